// A network as an ONNX file, read back.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "nacre/onnx.h"
#include "nacre/zoo.h"
#include "tools/shell.h"

namespace nacre::onnx {

inline double largest_difference(const Tensor& got, const Tensor& want) {
  if (got.shape() != want.shape()) return INFINITY;
  const auto a = got.to_vector<double>(), b = want.to_vector<double>();
  double most = 0, scale = 1e-6;
  for (size_t k = 0; k < b.size(); ++k) {
    most = std::max(most, std::isfinite(a[k]) ? std::abs(a[k] - b[k]) : INFINITY);
    scale = std::max(scale, std::abs(b[k]));
  }
  return most / scale;
}

/// Between what two networks give for a batch of random inputs, as a share of the largest output.
inline double difference(Module& a, Module& b, const Shape& sample, int64_t batch) {
  Shape shape = sample;
  shape.insert(0, batch);
  const Tensor x = normal(shape, Key(2));
  Context one = Context::eval(), two = Context::eval();
  NoGrad guard;
  return largest_difference(a(x, one), b(x, two));
}

struct RoundTrip {
  int64_t parameters;  ///< of the network that was read back
  double difference;   ///< the larger one for batches of 1 and 3
};
inline RoundTrip round_trip(Module& net, const Shape& sample) {
  const test::TempFolder folder;
  const std::string path = (folder / "m.onnx").string();
  save(path, net, sample);
  const auto back = load(path);
  return {back->parameter_count(),
          std::max(difference(*back, net, sample, 1), difference(*back, net, sample, 3))};
}

}  // namespace nacre::onnx
