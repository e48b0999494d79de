// The types of results, where tensors of several types and C++ numbers meet: as in NumPy 2 and
// PyTorch with their defaults (docs/architecture.md).
#include <gtest/gtest.h>

#include "nacre/ops.h"

namespace nacre {
namespace {

Tensor of(DType t) { return cast(Tensor::from<int64_t>({0, 1}, {2}), t); }
const DType b = DType::boolean, u8 = DType::u8, i8 = DType::i8, i32 = DType::i32, i64 = DType::i64,
            f16 = DType::f16, bf16 = DType::bf16, f32 = DType::f32, f64 = DType::f64;

TEST(Promotion, NumbersGiveWayToTensorsOfTheirKind) {
  for (DType t : {u8, i8, i32, i64, f16, bf16, f32, f64}) {
    EXPECT_EQ((of(t) + 1).dtype(), t);
    EXPECT_EQ((of(t) + true).dtype(), t);
    EXPECT_EQ(where(of(b), of(t), 0).dtype(), t);
    EXPECT_EQ(where(of(b), 0, of(t)).dtype(), t);
    EXPECT_EQ((of(t) + 1.5).dtype(), is_float(t) ? t : f32);
    EXPECT_EQ(where(of(b), 1.5, of(t)).dtype(), is_float(t) ? t : f32);
  }
  EXPECT_EQ((of(b) + 1).dtype(), i64);
  EXPECT_EQ((of(b) + 1.5).dtype(), f32);
  EXPECT_EQ((of(f64) + 0.1).to_vector<double>()[0], 0.1);  // not rounded to f32 on the way
}

TEST(Promotion, NumbersAloneAreI64F32AndBool) {
  EXPECT_EQ(where(of(b), 1, 0).dtype(), i64);
  EXPECT_EQ(where(of(b), 1.0, 0.0).dtype(), f32);
  EXPECT_EQ(where(of(b), 1, 0.5).dtype(), f32);
  EXPECT_EQ(where(of(b), true, 2).dtype(), i64);
  EXPECT_EQ(where(of(b), true, false).dtype(), b);
  EXPECT_EQ(add(1, 2).dtype(), i64);
  EXPECT_EQ(add(1, 2.5).dtype(), f32);
  EXPECT_EQ(where(of(b), (int64_t{1} << 62) + 1, 0).to_vector<int64_t>()[1],
            (int64_t{1} << 62) + 1);
  // Such a result is a tensor like any other: its type counts from then on.
  EXPECT_EQ((where(of(b), 1, 0) + of(i32)).dtype(), i64);
  EXPECT_EQ((where(of(b), 1.0, 0.0) + of(f16)).dtype(), f32);
}

TEST(Promotion, TensorsMeetInTheSmallestTypeThatHoldsBoth) {
  const auto meets = [](DType x, DType y, DType want) {
    EXPECT_EQ((of(x) + of(y)).dtype(), want) << name_of(x) << " + " << name_of(y);
    EXPECT_EQ(where(of(b), of(y), of(x)).dtype(), want) << name_of(y) << ", " << name_of(x);
  };
  meets(b, u8, u8);
  meets(u8, i8, DType::i32);
  meets(u8, i32, i32);
  meets(i32, i64, i64);
  meets(i64, f16, f16);
  meets(i64, f32, f32);
  meets(f16, bf16, f32);
  meets(bf16, f32, f32);
  meets(f32, f64, f64);
}

TEST(Promotion, QuotientsAndRootsOfWholeNumbersAreF32) {
  EXPECT_EQ((of(i64) / of(i32)).dtype(), f32);
  EXPECT_EQ((of(i64) / 2).dtype(), f32);
  EXPECT_EQ(sqrt(of(u8)).dtype(), f32);
  EXPECT_EQ((of(bf16) / 2).dtype(), bf16);
  EXPECT_EQ(pow(of(i64), 2).dtype(), i64);
  EXPECT_EQ(pow(of(i64), 0.5).dtype(), f32);
}

}  // namespace
}  // namespace nacre
