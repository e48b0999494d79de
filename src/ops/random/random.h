// What random ops share. Element i of a random tensor is a pure function of (key, i), see
// nacre/random.h.
#pragma once

#include "ops/op.h"

namespace nacre {

/// Types and shape of a random tensor; its key is input 0, so that a new key compiles nothing.
struct RandomAttrs {
  Ints shape;
  DType dtype = DType::f32;
  void fields(FieldVisitor& v) {
    v("shape", shape);
    v("dtype", dtype);
  }
};

/// A key: 0-d i64.
void check_key(const Infer& in, size_t i);

/// Shape rule of random tensors of floating type.
void infer_random_float(Infer& in);

inline uint64_t key_value(const RefTensor& key) { return static_cast<uint64_t>(key.i[0]); }

/// A uniform number in [0, 1) for element i with as many bits as the type holds: 24 for f32, 53 for
/// f64, 11 for f16, 8 for bf16.
double uniform_value(uint64_t key, int64_t i, DType dtype);

/// Non-negative integers of 63 random bits.
Tensor wide_bits(const Shape& shape, const Key& key);

}  // namespace nacre
