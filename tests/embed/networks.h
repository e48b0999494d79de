// Networks as program files, for tests.
#pragma once

#include <memory>
#include <string>

#include "nacre/predict.h"
#include "nacre/runtime.h"
#include "nacre/zoo.h"

namespace nacre::test {

inline Predictor predictor_of(std::unique_ptr<Module> net, const Shape& input) {
  Model m;
  m.net = std::move(net);
  m.info.model = "test";
  m.info.input = input;
  return Predictor(std::move(m));
}

inline Runtime runtime_of(const std::string& bytes) {
  auto kept = std::make_shared<const std::string>(bytes);
  return Runtime(*kept, kept, "the program");
}

/// The only output for the only input, which has that many samples.
inline std::vector<float> run(const Runtime& net, const std::vector<float>& x, int64_t rows) {
  Shape shape = net.outputs()[0].shape;
  if (net.batches()) shape[0] = rows;
  std::vector<float> y(static_cast<size_t>(shape.numel()));
  const void* in[] = {x.data()};
  void* out[] = {y.data()};
  net.run(in, out, rows);
  return y;
}

}  // namespace nacre::test
