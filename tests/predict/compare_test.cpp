// How far two networks are apart.
#include <gtest/gtest.h>

#include <cmath>

#include "nacre/convert.h"
#include "nacre/ops.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

NetworkFunction doubled(double by, bool any_batch = true) {
  return {{{"x", DType::f32, {1, 3}, any_batch}}, {"y", "z"}, [by](const Tensors& in) {
            return Tensors{in[0] * by, expand(Tensor(4.0f), {in[0].size(0), 2})};
          }};
}

TEST(CompareOutputs, TheLargestDifferenceOfEachOutput) {
  const auto same = compare_outputs(doubled(2), doubled(2));
  ASSERT_EQ(same.size(), 2u);
  EXPECT_EQ(same[0].absolute, 0);
  const auto apart = compare_outputs(doubled(2), doubled(3));
  EXPECT_EQ(apart[0].name, "y");
  EXPECT_NEAR(apart[0].relative, 0.5, 1e-6);
  EXPECT_GT(apart[0].absolute, 0.5);
  EXPECT_EQ(apart[1].relative, 0);
}

TEST(CompareOutputs, OutputsBelongTogetherByTheirNames) {
  NetworkFunction turned = doubled(2);
  turned.outputs = {"z", "y"};
  turned.run = [f = turned.run](const Tensors& in) {
    const Tensors out = f(in);
    return Tensors{out[1], out[0]};
  };
  for (const auto& d : compare_outputs(doubled(2), turned)) EXPECT_EQ(d.absolute, 0) << d.name;
}

TEST(CompareOutputs, BatchesOfTwoOnlyWhereBothTakeThem) {
  for (const bool any : {true, false}) {
    int64_t most = 0;
    NetworkFunction f = doubled(1, any);
    f.run = [&most, run = f.run](const Tensors& in) {
      most = std::max(most, in[0].size(0));
      return run(in);
    };
    compare_outputs(doubled(1), f);
    EXPECT_EQ(most, 1 + any);
  }
}

TEST(CompareOutputs, WhatIsNoNumberAndOtherShapes) {
  const Tensor x = Tensor::from<float>({1, NAN, INFINITY}, {3});
  EXPECT_EQ(compare_values("x", x, x).absolute, 0);
  EXPECT_TRUE(std::isinf(compare_values("x", x, Tensor::from<float>({1, 2, 3}, {3})).absolute));
  EXPECT_TRUE(std::isinf(compare_values("x", x, Tensor::from<float>({1}, {1})).absolute));
  NetworkFunction fewer = doubled(1);
  fewer.outputs.pop_back();
  EXPECT_THROW(compare_outputs(doubled(1), fewer), Error);
}

}  // namespace
}  // namespace nacre
