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

}  // namespace nacre
