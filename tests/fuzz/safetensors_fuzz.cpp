#include "fuzz.h"
#include "nacre/formats.h"

FUZZ_TARGET(safetensors) {
  const auto file = nacre::SafeTensors::parse(input, nullptr, "input");
  for (const auto& [name, tensor] : file.tensors()) {
    touch(file.at(name).data, tensor.bytes());
    touch(name.data(), name.size());
  }
}
