// What this backend found on the machine, for people.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace nacre::cpu {

/// The processor's name, "unknown" where the system has none.
std::string processor();
/// "AVX2, AVX-512, AVX512_BF16, VNNI".
std::string vector_units();
/// "oneDNN 2.6.3, OpenBLAS 0.3.21".
std::string libraries();
/// What multiplies numbers of bf16 here: "AMX", "AVX512_BF16"; "" if nothing does.
std::string bf16_units();
/// True if products of 8-bit integers have instructions here.
bool int8_units();
/// Settings of the environment with which the libraries would run faster here (names, values),
/// without those that are set. They take effect when the program starts.
std::vector<std::pair<const char*, std::string>> better_environment();

}  // namespace nacre::cpu
