#include "fuzz.h"
#include "nacre/weights.h"

FUZZ_TARGET(torch) {
  for (const auto& [name, tensor] : nacre::parse_torch(input, nullptr, "input").tensors) {
    touch(tensor.data, tensor.bytes());
    touch(name.data(), name.size());
  }
}
