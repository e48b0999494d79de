#include "ops/random/random.h"

namespace nacre {

void check_key(const Infer& in, size_t i) {
  in.check(in.dtype(i) == DType::i64 && in.rank(i) == 0,
           {"a key is one i64 (see key_tensor), input ", i, " is ", in.dtype(i), " ", in.shape(i)});
}

void infer_random_float(Infer& in) {
  const auto& a = in.attrs<RandomAttrs>();
  check_key(in, 0);
  in.check(is_float(a.dtype), {"type ", a.dtype, " is not a floating type"});
  for (int64_t d : a.shape) in.check(d >= 0, {"shape ", as_list(a.shape), " has a negative entry"});
  in.out(a.dtype, a.shape);
}

double uniform_value(uint64_t key, int64_t i, DType dtype) {
  const auto at = static_cast<uint64_t>(i);
  if (dtype == DType::f64) {
    const uint64_t high = random_word(key, 2 * at) >> 5, low = random_word(key, 2 * at + 1) >> 6;
    return (static_cast<double>(high) * 0x1p26 + static_cast<double>(low)) * 0x1p-53;
  }
  const int bits = dtype == DType::bf16 ? 8 : dtype == DType::f16 ? 11 : 24;
  return std::ldexp(static_cast<double>(random_word(key, at) >> (32 - bits)), -bits);
}

Tensor wide_bits(const Shape& shape, const Key& key) {
  Shape pairs = shape;
  pairs.push_back(2);
  const Tensor words = random_bits(pairs, key);
  return select(words, -1, 0) * (int64_t{1} << 31) + shift_right(select(words, -1, 1), 1);
}

}  // namespace nacre
