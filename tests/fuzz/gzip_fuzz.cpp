#include "base/gzip.h"

#include "fuzz.h"

FUZZ_TARGET(gzip) {
  const std::string bytes = nacre::gunzip(input, 1 << 20, "input");
  if (nacre::gunzip(nacre::gzip(bytes), 1 << 20, "again") != bytes) __builtin_trap();
}
