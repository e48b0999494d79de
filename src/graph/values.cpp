// Reading values out of tensors.
#include <cmath>
#include <cstdio>
#include <ostream>

#include "graph/kernel.h"
#include "graph/node.h"
#include "graph/recording.h"
#include "nacre/ops.h"

namespace nacre {
namespace {

template <typename T>
T read(const void* p, int64_t k, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return static_cast<T>(static_cast<const float*>(p)[k]);
    case DType::f64:
      return static_cast<T>(static_cast<const double*>(p)[k]);
    case DType::bf16:
      return static_cast<T>(bf16_to_f32(static_cast<const uint16_t*>(p)[k]));
    case DType::f16:
      return static_cast<T>(f16_to_f32(static_cast<const uint16_t*>(p)[k]));
    case DType::i8:
      return static_cast<T>(static_cast<const int8_t*>(p)[k]);
    case DType::u8:
      return static_cast<T>(static_cast<const uint8_t*>(p)[k]);
    case DType::i32:
      return static_cast<T>(static_cast<const int32_t*>(p)[k]);
    case DType::i64:
      return static_cast<T>(static_cast<const int64_t*>(p)[k]);
    case DType::boolean:
      return static_cast<T>(static_cast<const uint8_t*>(p)[k] != 0);
  }
  return T();
}

std::string number_text(const void* p, int64_t k, DType dtype) {
  if (dtype == DType::boolean) return read<int64_t>(p, k, dtype) ? "true" : "false";
  if (!is_float(dtype)) return std::to_string(read<int64_t>(p, k, dtype));
  char text[32];
  std::snprintf(text, sizeof(text), "%.5g", read<double>(p, k, dtype));
  return text;
}

constexpr int64_t kEdge = 3;  // entries shown at each end of a long dimension

void print(std::string& s, const void* p, const Shape& shape, DType dtype, int64_t dim,
           int64_t offset, bool abbreviate) {
  if (dim == shape.rank()) {
    s += number_text(p, offset, dtype);
    return;
  }
  int64_t stride = 1;
  for (int64_t d = dim + 1; d < shape.rank(); ++d) stride *= shape[d];
  s += '[';
  for (int64_t i = 0; i < shape[dim]; ++i) {
    if (i)
      s += dim + 1 == shape.rank() ? ", " : ",\n" + std::string(static_cast<size_t>(dim) + 1, ' ');
    if (abbreviate && shape[dim] > 2 * kEdge && i == kEdge) {
      s += "...";
      i = shape[dim] - kEdge - 1;
      continue;
    }
    print(s, p, shape, dtype, dim + 1, offset + i * stride, abbreviate);
  }
  s += ']';
}

}  // namespace

const void* Tensor::data() const {
  Recording::values_read();
  if (!evaluated()) eval(*this);
  const Output& o = out();
  o.storage->check();
  if (Operand{o.dtype, o.shape, o.strides}.contiguous()) return o.data();
  // Readers want dense memory: keep a dense copy in place of the view.
  Tensor dense = contiguous(*this);
  eval(dense);
  std::lock_guard lock(graph_mutex());
  Output& mine = node_->outputs[index_];
  mine.strides = dense.out().strides;
  mine.offset = dense.out().offset;
  mine.storage = dense.out().storage;
  return mine.data();
}

double Tensor::item() const {
  if (numel() != 1)
    fail(Error::Kind::shape,
         {"[item] the tensor has shape ", shape(), ", one element is needed", where()});
  return read<double>(data(), 0, dtype());
}

int64_t Tensor::item_int() const {
  if (numel() != 1)
    fail(Error::Kind::shape,
         {"[item] the tensor has shape ", shape(), ", one element is needed", where()});
  return read<int64_t>(data(), 0, dtype());
}

template <typename T>
std::vector<T> Tensor::to_vector() const {
  std::vector<T> v(static_cast<size_t>(numel()));
  const void* p = data();
  for (size_t k = 0; k < v.size(); ++k) v[k] = read<T>(p, static_cast<int64_t>(k), dtype());
  return v;
}
template std::vector<float> Tensor::to_vector<float>() const;
template std::vector<double> Tensor::to_vector<double>() const;
template std::vector<int32_t> Tensor::to_vector<int32_t>() const;
template std::vector<int64_t> Tensor::to_vector<int64_t>() const;
template std::vector<uint8_t> Tensor::to_vector<uint8_t>() const;
template std::vector<int8_t> Tensor::to_vector<int8_t>() const;

std::string Tensor::str() const {
  if (!defined()) return "undefined";
  std::string s;
  print(s, data(), shape(), dtype(), 0, 0, numel() > 200);
  return s + cat({rank() ? "\n" : " ", dtype(), " ", shape()});
}

std::ostream& operator<<(std::ostream& os, const Tensor& t) { return os << t.str(); }

}  // namespace nacre
