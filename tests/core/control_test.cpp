#include <gtest/gtest.h>

#include <cmath>

#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/plan.h"

namespace nacre {
namespace {

Tensor vec(std::vector<double> v) {
  const auto n = static_cast<int64_t>(v.size());
  return Tensor::from(v, {n});
}

void expect_near(const Tensor& a, const Tensor& b, double tolerance = 1e-12) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], tolerance) << "at " << i;
}

TEST(Cond, RunsOneBranchAndDifferentiates) {
  const Tensor x = vec({1, 2}), w = vec({3, 4});
  for (const double sign : {1.0, -1.0}) {
    const auto f = [&](const Tensor& at) {
      return cond(
          sum(at) * sign > 0.0, [&](const Tensors& t) { return Tensors{t[0] * w}; },
          [](const Tensors& t) { return Tensors{exp(t[0])}; }, {at})[0];
    };
    const Tensors g = grad(sum(f(x)), {x, w});
    if (sign > 0) {
      expect_near(f(x), vec({3, 8}));
      expect_near(g[0], w);
      expect_near(g[1], x);
    } else {
      expect_near(g[0], vec({std::exp(1), std::exp(2)}));
      expect_near(g[1], vec({0, 0}));
    }
  }
}

TEST(Scan, EqualsTheUnrolledLoopToSecondOrder) {
  const Tensor c = vec({0.1, -0.2}), w = vec({0.7, 1.1});
  const Tensor xs = Tensor::from({0.3, 0.1, -0.4, 0.2, 0.5, -0.6}, {3, 2});
  const auto step = [&](const Tensors& t) {
    const Tensor h = exp(t[0] * w) * t[1];
    return Tensors{h, h * h};
  };
  const auto looped = [&] {
    const Tensors out = scan(step, {c}, {xs});
    return sum(out[0] * w) + sum(out[1]);
  };
  const auto unrolled = [&] {
    Tensor h = c, total = Tensor::scalar(0, DType::f64);
    for (int64_t t = 0; t < 3; ++t) {
      // row t of xs without indexing ops: a product with a unit vector
      Tensor unit = Tensor::from(
          std::vector<double>{t == 0 ? 1. : 0., t == 1 ? 1. : 0., t == 2 ? 1. : 0.}, {1, 3});
      const Tensors y = step({h, reshape(matmul(unit, xs), {2})});
      h = y[0];
      total = total + sum(y[1]);
    }
    return sum(h * w) + total;
  };
  EXPECT_NEAR(looped().item(), unrolled().item(), 1e-12);
  const Tensors a = grad(looped(), {c, xs, w}), b = grad(unrolled(), {c, xs, w});
  for (size_t i = 0; i < 3; ++i) expect_near(a[i], b[i]);
  const Tensors aa = grad(sum(a[2] * a[2]), {c, xs, w}), bb = grad(sum(b[2] * b[2]), {c, xs, w});
  for (size_t i = 0; i < 3; ++i) expect_near(aa[i], bb[i], 1e-10);
}

TEST(WhileLoop, EqualsTheUnrolledLoop) {
  const Tensor x = vec({1.0, 1.5}), w = vec({0.25, 0.5});
  const Tensor y = while_loop([](const Tensors& c) { return sum(c[0]) < 20.0; },
                              [&](const Tensors& c) { return Tensors{c[0] * 2.0 + w}; }, {x})[0];
  Tensor z = x;
  while (sum(z).item() < 20.0) z = z * 2.0 + w;
  expect_near(y, z);
  const Tensors g = grad(sum(y), {x, w}), h = grad(sum(z), {x, w});
  expect_near(g[0], h[0]);
  expect_near(g[1], h[1]);
}

TEST(WhileLoop, OneCompilationWhateverTheCount) {
  const auto run = [](double limit) {
    const Tensor top = Tensor::scalar(limit, DType::f64);
    return while_loop([&](const Tensors& c) { return c[0] < top; },
                      [](const Tensors& c) { return Tensors{c[0] + 1.0}; },
                      {Tensor::scalar(0, DType::f64)})[0]
        .item();
  };
  EXPECT_EQ(run(3), 3);
  const auto before = plan_stats();
  for (int n = 1; n < 40; ++n) EXPECT_EQ(run(n), n);
  EXPECT_LE(plan_stats().compilations - before.compilations, 1u);
}

TEST(Checkpoint, SameGradients) {
  const Tensor x = vec({0.5, -1}), w = vec({2, 3});
  const auto f = [&](const Tensors& t) { return Tensors{exp(t[0] * w) * t[0]}; };
  const Tensors a = grad(sum(f({x})[0]), {x, w}), b = grad(sum(checkpoint(f, {x})[0]), {x, w});
  expect_near(a[0], b[0]);
  expect_near(a[1], b[1]);
  const Tensor gg = grad(sum(b[0]), {x})[0], hh = grad(sum(a[0]), {x})[0];
  expect_near(gg, hh);
}

}  // namespace
}  // namespace nacre
