// An ONNX model: reading and checking it, not running it (tests/onnx/hostile_test.cpp does that).
#include "fuzz.h"
#include "nacre/onnx.h"

FUZZ_TARGET(onnx) {
  const auto net = nacre::onnx::parse(input, "input");
  for (const nacre::onnx::Port& port : net->inputs()) touch(port.name.data(), port.name.size());
  for (const nacre::Variable& v : net->variables())
    touch(v.value().data(),
          static_cast<size_t>(v.value().numel()) * nacre::size_of(v.value().dtype()));
}
