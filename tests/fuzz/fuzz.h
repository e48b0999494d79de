// A fuzz target is a file <reader>_fuzz.cpp with FUZZ_TARGET(reader) { use the string_view `input`
// }. It may throw nacre::Error; anything else that escapes, a crash, a leak or a hang is a bug.
//
//   cmake --preset fuzz && ninja -C build-fuzz fuzz         (clang-16, libomp-16-dev)
//   mkdir new && build-fuzz/fuzz/npy -max_total_time=60 new tests/fuzz/corpus/npy
//
// What it finds and is worth keeping goes from new/ to the corpus; cmake/Fuzz.cmake says more.
// replay_test.cpp includes the targets and runs them on the corpus, and on damaged good files.
#pragma once

#include <cstdint>
#include <string_view>

#include "nacre/error.h"

#ifdef NACRE_FUZZ_REPLAY
#define FUZZ_TARGET(name) static void fuzz_##name(std::string_view input)
#else
#define FUZZ_TARGET(name)                                                   \
  static void run(std::string_view input);                                  \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { \
    try {                                                                   \
      run({reinterpret_cast<const char*>(data), size});                     \
    } catch (const nacre::Error&) {                                         \
    }                                                                       \
    return 0;                                                               \
  }                                                                         \
  static void run(std::string_view input)
#endif

/// Reads every byte, so that a sanitizer sees a range that is not all there.
inline void touch(const void* data, size_t bytes) {
  volatile unsigned char sum = 0;
  for (size_t i = 0; i < bytes; ++i)
    sum = static_cast<unsigned char>(sum + static_cast<const unsigned char*>(data)[i]);
}
