// Random operands and plain oracles for the tests of kernels.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "backends/cpu/make.h"

namespace nacre::cpu::test {

using Random = std::mt19937;

inline int64_t draw(Random& r, int64_t low, int64_t high) {
  return std::uniform_int_distribution<int64_t>(low, high)(r);
}

/// Memory with guard bytes behind it, filled with a pattern that no test expects.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : bytes_(bytes) {
    data_ = static_cast<unsigned char*>(::operator new (bytes + kGuard, std::align_val_t{64}));
    std::memset(data_, 0xA5, bytes + kGuard);
  }
  Buffer(Buffer&& o) noexcept : bytes_(o.bytes_), data_(o.data_) { o.data_ = nullptr; }
  Buffer(const Buffer&) = delete;
  ~Buffer() {
    if (data_) ::operator delete (data_, std::align_val_t{64});
  }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  bool guard_intact() const {
    for (size_t i = 0; i < kGuard; ++i)
      if (data_[bytes_ + i] != 0xA5) return false;
    return true;
  }

 private:
  static constexpr size_t kGuard = 64;
  size_t bytes_;
  unsigned char* data_;
};

inline double get(DType t, const void* p, int64_t i) {
  switch (t) {
    case DType::f32:
      return static_cast<const float*>(p)[i];
    case DType::f64:
      return static_cast<const double*>(p)[i];
    case DType::bf16:
      return bf16_to_f32(static_cast<const uint16_t*>(p)[i]);
    case DType::f16:
      return f16_to_f32(static_cast<const uint16_t*>(p)[i]);
    case DType::i8:
      return static_cast<const int8_t*>(p)[i];
    case DType::u8:
      return static_cast<const uint8_t*>(p)[i];
    case DType::i32:
      return static_cast<const int32_t*>(p)[i];
    case DType::i64:
      return static_cast<double>(static_cast<const int64_t*>(p)[i]);
    case DType::boolean:
      return static_cast<const bool*>(p)[i];
  }
  return 0;
}

inline void put(DType t, void* p, int64_t i, double v) {
  switch (t) {
    case DType::f32:
      static_cast<float*>(p)[i] = static_cast<float>(v);
      break;
    case DType::f64:
      static_cast<double*>(p)[i] = v;
      break;
    case DType::bf16:
      static_cast<uint16_t*>(p)[i] = f32_to_bf16(static_cast<float>(v));
      break;
    case DType::f16:
      static_cast<uint16_t*>(p)[i] = f32_to_f16(static_cast<float>(v));
      break;
    case DType::i8:
      static_cast<int8_t*>(p)[i] = static_cast<int8_t>(v);
      break;
    case DType::u8:
      static_cast<uint8_t*>(p)[i] = static_cast<uint8_t>(v);
      break;
    case DType::i32:
      static_cast<int32_t*>(p)[i] = static_cast<int32_t>(v);
      break;
    case DType::i64:
      static_cast<int64_t*>(p)[i] = static_cast<int64_t>(v);
      break;
    case DType::boolean:
      static_cast<bool*>(p)[i] = v != 0;
      break;
  }
}

/// An operand with its memory. `values` are the logical elements in row-major order.
struct Data {
  Operand op;
  Buffer memory;
  int64_t origin = 0;  // of the first element, in elements

  const void* first() const {
    return memory.as<char>() + static_cast<size_t>(origin) * size_of(op.dtype);
  }
  int64_t position(int64_t i) const {
    int64_t at = origin;
    for (int64_t d = op.shape.rank(); d-- > 0; i /= op.shape[d])
      at += i % op.shape[d] * op.strides[d];
    return at;
  }
  double operator[](int64_t i) const { return get(op.dtype, memory.data(), position(i)); }
  void set(int64_t i, double v) { put(op.dtype, memory.data(), position(i), v); }
  std::vector<double> values() const {
    std::vector<double> v(static_cast<size_t>(op.numel()));
    for (size_t i = 0; i < v.size(); ++i) v[i] = (*this)[static_cast<int64_t>(i)];
    return v;
  }
};

inline Data empty(DType t, const Shape& shape) {
  Operand o = dense(t, shape);
  const size_t bytes = o.bytes();
  return {std::move(o), Buffer(bytes), 0};
}

/// Dense, standard normal (small integers for the integer types).
inline Data random(Random& r, DType t, const Shape& shape) {
  Data d = empty(t, shape);
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < d.op.numel(); ++i)
    d.set(i, is_float(t) ? normal(r) : static_cast<double>(draw(r, t == DType::u8 ? 0 : -9, 9)));
  return d;
}

inline Data from(DType t, const Shape& shape, const std::vector<double>& values) {
  Data d = empty(t, shape);
  for (size_t i = 0; i < values.size(); ++i) d.set(static_cast<int64_t>(i), values[i]);
  return d;
}

/// A view of this shape with permuted, gapped, reversed or broadcast strides.
inline Data random_view(Random& r, DType t, const Shape& shape) {
  const int64_t rank = shape.rank();
  std::vector<int64_t> order(static_cast<size_t>(rank));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i);
  std::shuffle(order.begin(), order.end(), r);
  Operand o;
  o.dtype = t;
  o.shape = shape;
  o.strides = Shape(shape.size(), 0);
  int64_t step = draw(r, 0, 3) == 0 ? 2 : 1, origin = 0;
  for (int64_t d : order) {
    if (draw(r, 0, 7) == 0) continue;  // broadcast
    const int64_t extent = std::max<int64_t>(1, shape[d]);
    o.strides[d] = draw(r, 0, 9) == 0 ? -step : step;
    if (o.strides[d] < 0) origin += step * (extent - 1);
    step *= extent;
    if (draw(r, 0, 5) == 0) step += draw(r, 1, 3);
  }
  Data d{std::move(o), Buffer(static_cast<size_t>(step + 4) * size_of(t)), origin};
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < d.op.numel(); ++i)
    d.set(i, is_float(t) ? normal(r) : static_cast<double>(draw(r, 0, 9)));
  return d;
}

/// Runs the kernel on its own scratch and checks that it stayed within it and within its outputs.
inline void run(const Kernel& k, const std::vector<const Data*>& in, std::vector<Data>& out) {
  std::vector<const void*> ins;
  std::vector<void*> outs;
  for (const Data* d : in) ins.push_back(d->first());
  for (Data& d : out) outs.push_back(d.memory.data());
  const Buffer scratch(k.scratch_bytes());
  k.run(ins.data(), outs.data(), scratch.data());
  EXPECT_TRUE(scratch.guard_intact()) << k.description() << " wrote behind its scratch";
  for (const Data& d : out)
    EXPECT_TRUE(d.memory.guard_intact()) << k.description() << " wrote behind its output";
}

inline std::vector<Operand> operands(const std::vector<const Data*>& list) {
  std::vector<Operand> v;
  for (const Data* d : list) v.push_back(d->op);
  return v;
}
inline std::vector<Operand> outputs(const std::vector<Data>& list) {
  std::vector<Operand> v;
  for (const Data& d : list) v.push_back(d.op);
  return v;
}

/// Unit round-off of a type's arithmetic.
inline double epsilon(DType t) {
  switch (t) {
    case DType::f32:
      return 0x1p-24;
    case DType::f64:
      return 0x1p-53;
    case DType::bf16:
      return 0x1p-8;
    case DType::f16:
      return 0x1p-11;
    default:
      return 0;
  }
}

/// Every |got - want| <= tolerance * max(1, |want|).
inline void expect_near(const Data& got, const std::vector<double>& want, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(static_cast<size_t>(got.op.numel()), want.size()) << what;
  for (size_t i = 0; i < want.size(); ++i) {
    const double g = got[static_cast<int64_t>(i)], w = want[i];
    if (std::isnan(g) && std::isnan(w)) continue;
    if (g == w) continue;
    if (!(std::fabs(g - w) <= tolerance * std::max(1.0, std::fabs(w)))) {
      ADD_FAILURE() << what << ": element " << i << " is " << g << ", want " << w;
      return;
    }
  }
}

}  // namespace nacre::cpu::test
