// A shared library that says it was compiled with headers of another version.
#include <cstdint>

extern "C" uint64_t nacre_plugin_abi() { return 0; }
extern "C" void nacre_register_ops() { __builtin_trap(); }
