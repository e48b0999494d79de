// Ops whose output shape depends on values, and what indices do at their limits.
#include <gtest/gtest.h>

#include <cmath>

#include "nacre/autograd.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

TEST(Nonzero, GivesPositionsInRowMajorOrder) {
  const Tensor x = Tensor::from({0.f, 2.f, 0.f, NAN, -1.f, 0.f}, {2, 3});
  const Tensor at = nonzero(x);
  EXPECT_EQ(at.shape(), (Shape{3, 2}));
  EXPECT_EQ(at.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 1, 0, 1, 1}));
}

TEST(Nonzero, OfNothingAndOfAScalar) {
  EXPECT_EQ(nonzero(zeros({2, 3})).shape(), (Shape{0, 2}));
  EXPECT_EQ(nonzero(zeros({0, 3})).shape(), (Shape{0, 2}));
  EXPECT_EQ(nonzero(Tensor::scalar(5, DType::i64)).shape(), (Shape{1, 0}));
}

TEST(MaskedSelect, TakesWhereTheBroadcastMaskIsTrue) {
  const Tensor x = Tensor::from({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}, {2, 3});
  const Tensor mask = Tensor::from(std::vector<bool>{true, false, true}, {3});
  EXPECT_EQ(masked_select(x, mask).to_vector<float>(), (std::vector<float>{1, 3, 4, 6}));
}

TEST(MaskedSelect, HasAGradient) {
  const Tensor x = Tensor::from({1.f, 2.f, 3.f, 4.f}, {4});
  const Tensor mask = Tensor::from(std::vector<bool>{true, false, false, true}, {4});
  const Tensor y = masked_select(x, mask);
  const Tensor g = grad(sum(y * y), {x})[0];
  EXPECT_EQ(g.to_vector<float>(), (std::vector<float>{2, 0, 0, 8}));
}

TEST(MaskedSelect, WantsABoolMask) {
  const Tensor x = zeros({3});
  EXPECT_THROW(masked_select(x, x), Error);
}

TEST(Unique, SortsCountsAndSaysWhere) {
  const Tensor x = Tensor::from<int64_t>({3, 1, 3, 2, 1, 3}, {2, 3});
  const Tensors u = unique(x);
  EXPECT_EQ(u[0].to_vector<int64_t>(), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(u[1].shape(), x.shape());
  EXPECT_EQ(u[1].to_vector<int64_t>(), (std::vector<int64_t>{2, 0, 2, 1, 0, 2}));
  EXPECT_EQ(u[2].to_vector<int64_t>(), (std::vector<int64_t>{2, 1, 3}));
}

TEST(Unique, NanIsOneValueAndTheLast) {
  const Tensors u = unique(Tensor::from({NAN, 1.f, NAN}, {3}));
  ASSERT_EQ(u[0].numel(), 2);
  EXPECT_EQ(u[0].to_vector<float>()[0], 1);
  EXPECT_TRUE(std::isnan(u[0].to_vector<float>()[1]));
  EXPECT_EQ(u[2].to_vector<int64_t>(), (std::vector<int64_t>{1, 2}));
}

TEST(Unique, OfNothing) {
  const Tensors u = unique(zeros({0}));
  EXPECT_EQ(u[0].numel(), 0);
  EXPECT_EQ(u[2].numel(), 0);
}

TEST(Index, OutOfRangeIsAnErrorOfData) {
  const Tensor x = zeros({3, 2});
  for (int64_t index : {3, -4}) {
    const Tensor at = Tensor::from({index}, {1});
    const Tensor along = Tensor::from({index, index}, {1, 2});
    const Tensor parts = ones({1, 2});
    for (const Tensor& y : {index_select(x, 0, at), gather(x, 0, along),
                            scatter(x, 0, along, parts), index_add(x, 0, at, parts)}) {
      try {
        eval(y);
        ADD_FAILURE() << "index " << index << " was taken";
      } catch (const Error& e) {
        EXPECT_EQ(e.kind(), Error::Kind::data) << e.what();
        EXPECT_NE(std::string(e.what()).find("out of range for dimension 0 of size 3"),
                  std::string::npos)
            << e.what();
      }
    }
  }
}

TEST(DynamicSlice, AStartOutsideIsAnErrorOfData) {
  const Tensor x = zeros({5});
  for (int64_t start : {-1, 3}) {
    try {
      eval(dynamic_slice(x, Tensor::scalar(static_cast<double>(start), DType::i64), 3));
      ADD_FAILURE() << "start " << start << " was taken";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::data) << e.what();
    }
  }
}

TEST(Linalg, ASingularMatrixIsANumericError) {
  const Tensor a = Tensor::from({1.0, 2.0, 2.0, 4.0}, {2, 2});
  const Tensor negative = Tensor::from({-1.0, 0.0, 0.0, 1.0}, {2, 2});
  for (const Tensor& y : {inverse(a), solve(a, ones({2}, DType::f64)), cholesky(negative),
                          triangular_solve(zeros({2, 2}), ones({2, 1}))}) {
    try {
      eval(y);
      ADD_FAILURE() << "computed";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::numeric) << e.what();
    }
  }
}

}  // namespace
}  // namespace nacre
