// Ops and models in a shared library that is compiled apart from nacre and loaded at run time.
//
// The library, bell.cpp (see docs/add-an-op.md):
//
//   #include <nacre/plugin.h>
//   const nacre::OpDef op_bell = {...};
//   NACRE_PLUGIN { nacre::register_op(op_bell); }
//
// is compiled with  c++ -std=c++20 -fPIC -shared bell.cpp -o bell.so  and loaded with
// load_plugin("bell.so") or `nacre --plugin bell.so`. It takes nacre from the program that loads
// it: do not link libnacre into it. That program has to offer its symbols (CMake: link it to
// nacre::plugin_host; the command line program does).
#pragma once

#include "nacre/op.h"

namespace nacre {

struct ModelEntry;

/// A number that differs where a plug-in and a program cannot work together: the layout of what
/// they share, and the C++ library.
constexpr uint64_t plugin_abi() {
  constexpr uint64_t generation = 1;  // raised when the meaning of these headers changes
  uint64_t h = generation;
  for (uint64_t v :
       {sizeof(OpDef), sizeof(Infer), sizeof(Ref), sizeof(RefTensor), sizeof(Vjp), sizeof(Samples),
        sizeof(OpSample), sizeof(Tensor), sizeof(Attrs), sizeof(Shape), sizeof(std::string)})
    h = (h ^ v) * 0x100000001b3ull;
  return h;
}

/// Adds a model to the zoo, from inside a plug-in or a program. Its name must be new. The entry
/// must outlive the program's use of it.
void register_model(const ModelEntry& model);

}  // namespace nacre

/// Begins the function that a plug-in registers its ops and models in.
#define NACRE_PLUGIN                                                              \
  extern "C" __attribute__((visibility("default"))) uint64_t nacre_plugin_abi() { \
    return ::nacre::plugin_abi();                                                 \
  }                                                                               \
  extern "C" __attribute__((visibility("default"))) void nacre_register_ops()
