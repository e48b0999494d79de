// A plug-in whose second op has the name of one that exists.
#include <nacre/plugin.h>

using namespace nacre;

const OpDef op_first = {.name = "taken_name_first", .infer = infer_same<0>};
const OpDef op_second = {.name = "exp", .infer = infer_same<0>};

NACRE_PLUGIN {
  register_op(op_first);
  register_op(op_second);
}
