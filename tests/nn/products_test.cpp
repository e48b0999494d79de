// What follows a matrix product: what the pass "products" makes of it against the plain ops.
#include <gtest/gtest.h>

#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/plan.h"
#include "runtime/profile.h"

namespace nacre {
namespace {

struct Work {
  std::vector<float> values;
  int64_t fused = 0, products = 0, others = 0;  // steps of matmul_fused, of matmul, all others
};

Work products_run(const std::function<Tensors()>& f, bool passes) {
  clear_plans();
  set_passes(passes);
  set_profiling(true);
  const Tensors results = f();
  eval(results);
  Work r;
  for (const ProfileLine& l : profile()) {
    const auto calls = static_cast<int64_t>(l.calls);
    (l.label.starts_with("matmul_fused") ? r.fused
     : l.label.starts_with("matmul")     ? r.products
                                         : r.others) += calls;
  }
  set_profiling(false);
  set_passes(true);
  for (const Tensor& t : results)
    for (const float v : t.to_vector<float>()) r.values.push_back(v);
  return r;
}

/// The same values, from so many fused products, plain ones and other steps.
void expect_same(const std::function<Tensors()>& f, int64_t fused, int64_t products, int64_t others,
                 const std::string& what) {
  const Work plain = products_run(f, false), fast = products_run(f, true);
  EXPECT_EQ(plain.fused, 0) << what;
  EXPECT_EQ(fast.fused, fused) << what;
  EXPECT_EQ(fast.products, products) << what;
  EXPECT_EQ(fast.others, others) << what;
  ASSERT_EQ(fast.values.size(), plain.values.size());
  for (size_t i = 0; i < plain.values.size(); ++i)
    ASSERT_NEAR(fast.values[i], plain.values[i], 2e-5) << what << ", value " << i;
}

TEST(ProductsPass, WhatFollowsAProduct) {
  const Tensor x = normal({6, 4, 16}, Key(1)), flat = reshape(x, {24, 16}),
               w = normal({20, 16}, Key(2)) * 0.2, b = normal({20}, Key(3)),
               r = normal({6, 4, 20}, Key(4)), plane = normal({24, 20}, Key(5));
  eval({x, flat, w, b, r, plane});
  const auto linear = [&] { return matmul(flat, transpose(w)) + b; };
  const auto in_batch = [&](const Tensor& y) { return reshape(y, {6, 4, 20}); };
  expect_same([&] { return Tensors{linear()}; }, 1, 0, 0, "bias");
  expect_same([&] { return Tensors{b + matmul(flat, transpose(w))}; }, 1, 0, 0, "bias before");
  expect_same([&] { return Tensors{gelu(in_batch(linear()))}; }, 1, 0, 0, "bias and GELU");
  expect_same([&] { return Tensors{r + in_batch(linear())}; }, 1, 0, 0, "bias and residual");
  expect_same([&] { return Tensors{matmul(flat, transpose(w)) + plane + b}; }, 1, 0, 0,
              "residual and bias");
  expect_same([&] { return Tensors{gelu(r + in_batch(linear()))}; }, 1, 0, 0, "all three");
  // What others read has to be there as it is.
  expect_same(
      [&] {
        const Tensor y = matmul(flat, transpose(w));
        return Tensors{y, y + b};
      },
      0, 1, 1, "a product that is a result");
  expect_same([&] { return Tensors{gelu(linear(), "tanh")}; }, 1, 0, 1, "the other GELU");
  expect_same([&] { return Tensors{matmul(flat, transpose(w)) + slice(plane, 1, 0, 1)}; }, 0, 1, 1,
              "a number for each row");
  expect_same([&] { return Tensors{linear() + tanh(plane)}; }, 1, 0, 1,
              "element by element, with the addition");
}

TEST(ProductsPass, GradientsAreThoseOfThePlainOps) {
  const Tensor x = normal({24, 16}, Key(1)), w0 = normal({20, 16}, Key(2)) * 0.2,
               b0 = normal({20}, Key(3)), r0 = normal({24, 20}, Key(4));
  eval({x, w0, b0, r0});
  const auto step = [&] {
    const Tensor w = w0.as_leaf(), b = b0.as_leaf(), r = r0.as_leaf();
    const Tensor y = gelu(matmul(x, transpose(w)) + b) + r;
    return grad(mean(square(y)), {w, b, r});
  };
  const Work plain = products_run(step, false), fast = products_run(step, true);
  EXPECT_EQ(fast.fused, 1);  // the bias; GELU's gradient reads what it is of
  for (size_t i = 0; i < plain.values.size(); ++i)
    ASSERT_NEAR(fast.values[i], plain.values[i], 1e-5) << i;
}

}  // namespace
}  // namespace nacre
