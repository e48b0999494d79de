// What this backend found on the machine, for people.
#pragma once

#include <string>

namespace nacre::cpu {

/// "AVX2, AVX-512, AVX512_BF16, VNNI".
std::string vector_units();
/// "oneDNN 2.6.3, OpenBLAS 0.3.21".
std::string libraries();

}  // namespace nacre::cpu
