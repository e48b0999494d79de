#include "fuzz.h"
#include "nacre/formats.h"

FUZZ_TARGET(npz) {
  for (const auto& [name, array] : nacre::parse_npz(input, nullptr, "input", 1 << 26))
    touch(array.data, array.bytes());
}
