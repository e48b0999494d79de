// A plug-in that needs a function which no program has.
#include <nacre/plugin.h>

namespace nacre {
void nobody_defines_this();
}

NACRE_PLUGIN { nacre::nobody_defines_this(); }
