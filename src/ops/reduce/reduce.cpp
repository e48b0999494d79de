#include "ops/reduce/reduce.h"

namespace nacre {

Shape reduced_shape(const Shape& in, const ReduceAttrs& attrs) {
  Shape out;
  for (int64_t d = 0; d < in.rank(); ++d) {
    const bool gone = std::find(attrs.dims.begin(), attrs.dims.end(), d) != attrs.dims.end();
    if (!gone)
      out.push_back(in[d]);
    else if (attrs.keepdim)
      out.push_back(1);
  }
  return out;
}

void infer_reduce(Infer& in) {
  in.out(in.dtype(0), reduced_shape(in.shape(0), in.attrs<ReduceAttrs>()));
}

double reduced_count(const Shape& in, const ReduceAttrs& attrs) {
  double n = 1;
  for (int64_t d : attrs.dims) n *= static_cast<double>(in[d]);
  return n;
}

Tensor expand_reduced(const Tensor& y, const Shape& shape, const ReduceAttrs& attrs) {
  Shape kept = shape;
  for (int64_t d : attrs.dims) kept[d] = 1;
  return expand(reshape(y, kept), shape);
}

Tensor widened(const Tensor& x) { return is_float(x.dtype()) ? x : cast(x, DType::i64); }

void infer_reduce_nonempty(Infer& in) {
  const auto& a = in.attrs<ReduceAttrs>();
  in.check(reduced_count(in.shape(0), a) > 0,
           {"dimensions ", as_list(a.dims), " have no elements"});
  infer_reduce(in);
}

void extremum_vjp(Vjp& v) {
  const auto& a = v.attrs<ReduceAttrs>();
  const Shape& shape = v.x(0).shape();
  const Tensor hit = cast(eq(v.x(0), expand_reduced(v.y(), shape, a)), v.x(0).dtype());
  v.dx(0) = hit * expand_reduced(v.dy() / sum(hit, a.dims, a.keepdim), shape, a);
}

void infer_position(Infer& in) {
  const int64_t dim = in.attrs<DimAttrs>().dim;
  in.check(in.shape(0)[dim] > 0, {"dimension ", dim, " has no elements"});
  Shape s = in.shape(0);
  s.erase(dim);
  in.out(DType::i64, s);
}

Tensor make_position(const OpDef& op, const Tensor& x, int64_t dim, bool keepdim) {
  const int64_t d = normalize_dim(op, dim, x.rank());
  const Tensor y = make(op, DimAttrs{d}, {x});
  return keepdim ? unsqueeze(y, d) : y;
}

}  // namespace nacre
