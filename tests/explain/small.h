// Small networks for the tests of explanations.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nacre/explain.h"
#include "nacre/formats.h"
#include "nacre/weights.h"
#include "nacre/zoo.h"

namespace nacre::test {

/// The network of goldens/make.py.
struct Small : Module {
  explicit Small(const Scope& s)
      : Module(s),
        conv1(s / "conv1", conv(2, 4)),
        conv2(s / "conv2", conv(4, 6)),
        fc1(s / "fc1", {24, 10}),
        fc2(s / "fc2", {10, 3}) {}
  static ConvConfig conv(int64_t in, int64_t out) {
    ConvConfig c;
    c.in = in;
    c.out = out;
    c.kernel = 3;
    c.padding = 1;
    return c;
  }
  Tensor forward(const Tensor& x, Context& ctx) override {
    const Tensor a = max_pool2d(relu(conv1(x, ctx)), 2)[0];
    const Tensor b = avg_pool2d(relu(conv2(a, ctx)), 2);
    return fc2(relu(fc1(flatten(b, 1), ctx)), ctx);
  }
  Conv2d conv1, conv2;
  Linear fc1, fc2;
};

/// max |a - b|.
inline double farthest(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double most = 0;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    const double d = std::fabs(x[i] - y[i]);
    most = std::max(most, std::isnan(d) ? INFINITY : d);
  }
  return most;
}

}  // namespace nacre::test
