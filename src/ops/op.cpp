#include "ops/op.h"

namespace nacre {
namespace {

Tensor to(const Tensor& t, DType dtype) {
  if (t.dtype() == dtype) return t;
  if (t.node()->weak) return Tensor::scalar(t.node()->number, dtype);
  return cast(t, dtype);
}

DType common(const Tensor& a, const Tensor& b) {
  const bool wa = a.node()->weak, wb = b.node()->weak;
  if (wa == wb) return promote(a.dtype(), b.dtype());
  const DType weak = wa ? a.dtype() : b.dtype(), strong = wa ? b.dtype() : a.dtype();
  if (is_float(strong)) return strong;
  if (is_float(weak)) return DType::f32;
  return strong == DType::boolean ? weak : strong;
}

}  // namespace

std::pair<Tensor, Tensor> unify(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined())
    fail(Error::Kind::shape, {"an operand is an undefined tensor", where()});
  if (a.dtype() == b.dtype()) return {a, b};
  const DType t = common(a, b);
  return {to(a, t), to(b, t)};
}

std::pair<Tensor, Tensor> unify(In&& a, In&& b) {
  if (a.get().defined() && b.get().defined() && a->dtype() == b->dtype())
    return {a.take(), b.take()};
  return unify(a.get(), b.get());
}

std::pair<Tensor, Tensor> unify_float(const Tensor& a, const Tensor& b) {
  std::pair<Tensor, Tensor> both = unify(a, b);
  for (Tensor* t : {&both.first, &both.second})
    if (!is_float(t->dtype())) *t = as_float(*t);
  return both;
}

std::pair<Tensor, Tensor> unify_float(In&& a, In&& b) {
  if (a.get().defined() && b.get().defined() && a->dtype() == b->dtype() && is_float(a->dtype()))
    return {a.take(), b.take()};
  return unify_float(a.get(), b.get());
}

Tensor as_float(const Tensor& t) { return is_float(t.dtype()) ? t : to(t, DType::f32); }

Tensor sum_to_shape(const Tensor& g, const Shape& shape) {
  if (g.shape() == shape) return g;
  Ints dims;
  const int64_t extra = g.rank() - shape.rank();
  for (int64_t d = 0; d < g.rank(); ++d)
    if (d < extra || (shape[d - extra] == 1 && g.size(d) != 1)) dims.push_back(d);
  return reshape(dims.empty() ? g : sum(g, dims), shape);
}

int64_t normalize_dim(const OpDef& op, int64_t dim, int64_t rank) {
  try {
    return normalize_dim(dim, rank);
  } catch (const Error& e) {
    fail(e.kind(), {"[", op.name, "] ", e.what(), where()});
  }
}

Ints normalize_dims(const OpDef& op, const Ints& dims, int64_t rank) {
  try {
    return normalize_dims(dims, rank);
  } catch (const Error& e) {
    fail(e.kind(), {"[", op.name, "] ", e.what(), where()});
  }
}

int64_t broadcast_index(int64_t k, const Shape& out, const Shape& in) {
  int64_t i = 0, stride = 1;
  for (int64_t d = 1; d <= out.rank(); ++d) {
    const int64_t at = k % out[-d];
    k /= out[-d];
    if (d <= in.rank()) {
      if (in[-d] != 1) i += at * stride;
      stride *= in[-d];
    }
  }
  return i;
}

Around around(const Shape& shape, int64_t dim) {
  Around a;
  for (int64_t d = 0; d < shape.rank(); ++d)
    (d < dim ? a.outer : d > dim ? a.inner : a.size) *= shape[d];
  return a;
}

Tensor operator+(In a, In b) { return add(std::move(a), std::move(b)); }
Tensor operator-(In a, In b) { return sub(std::move(a), std::move(b)); }
Tensor operator*(In a, In b) { return mul(std::move(a), std::move(b)); }
Tensor operator/(In a, In b) { return div(std::move(a), std::move(b)); }
Tensor operator-(In a) { return neg(a); }
Tensor operator<(In a, In b) { return lt(a, b); }
Tensor operator<=(In a, In b) { return le(a, b); }
Tensor operator>(In a, In b) { return gt(a, b); }
Tensor operator>=(In a, In b) { return ge(a, b); }
Tensor& operator+=(Tensor& a, In b) { return a = add(a, b); }
Tensor& operator-=(Tensor& a, In b) { return a = sub(a, b); }
Tensor& operator*=(Tensor& a, In b) { return a = mul(a, b); }
Tensor& operator/=(Tensor& a, In b) { return a = div(a, b); }

}  // namespace nacre
