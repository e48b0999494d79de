#include "fuzz.h"
#include "nacre/formats.h"

FUZZ_TARGET(npy) {
  const nacre::RawTensor array = nacre::parse_npy(input, nullptr, "input");
  touch(array.data, array.bytes());
}
