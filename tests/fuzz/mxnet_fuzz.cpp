#include "fuzz.h"
#include "nacre/weights.h"

FUZZ_TARGET(mxnet) {
  for (const auto& [name, tensor] : nacre::parse_mxnet(input, nullptr, "input").tensors)
    touch(tensor.data, tensor.bytes());
}
