#include "fuzz.h"
#include "nacre/weights.h"

FUZZ_TARGET(gguf) {
  for (const auto& [name, tensor] : nacre::parse_gguf(input, nullptr, "input").tensors)
    touch(tensor.data, tensor.bytes());
}
