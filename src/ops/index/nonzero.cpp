#include <algorithm>
#include <numeric>

#include "ops/op.h"

namespace nacre {
namespace {

/// Row-major numbers of the entries that are not zero. Evaluates x.
std::vector<int64_t> places(const Tensor& x) {
  const auto mask = cast(ne(x, cast(0, x.dtype())), DType::u8).to_vector<uint8_t>();
  std::vector<int64_t> found;
  for (size_t k = 0; k < mask.size(); ++k)
    if (mask[k]) found.push_back(static_cast<int64_t>(k));
  return found;
}

}  // namespace

/// Positions of the entries that are not zero (NaN is not zero), in row-major order: N x rank, i64.
/// The shape depends on the values, so x is evaluated when this is called.
API(Tensor nonzero(In x))

Tensor nonzero(In x) {
  const std::vector<int64_t> found = places(x);
  std::vector<int64_t> at;
  const Shape strides = contiguous_strides(x->shape());
  for (int64_t k : found)
    for (int64_t d = 0; d < x->rank(); ++d) at.push_back(k / strides[d] % x->size(d));
  return Tensor::from(at, {static_cast<int64_t>(found.size()), x->rank()});
}

/// The entries of x where mask (bool, broadcast with x) is true, in row-major order, as one
/// dimension. The shape depends on the values of mask, so mask is evaluated when this is called; x
/// is not, and has a gradient.
API(Tensor masked_select(In x, In mask))

Tensor masked_select(In x, In mask) {
  if (mask->dtype() != DType::boolean)
    fail(Error::Kind::shape,
         {"[masked_select] the mask has type ", mask->dtype(), ", bool is needed", where()});
  const Shape shape = broadcast_shapes(x->shape(), mask->shape());
  const std::vector<int64_t> found = places(expand(mask, shape));
  return index_select(reshape(expand(x, shape), {-1}), 0,
                      Tensor::from(found, {static_cast<int64_t>(found.size())}));
}

/// The different values of x in ascending order; for each entry of x the position of its value
/// among them (i64, shape of x); and how often each value occurs (i64). NaN is last and equal to
/// itself. The shapes depend on the values, so x is evaluated when this is called.
API(Tensors unique(In x))

Tensors unique(In x) {
  const Tensors sorted = sort(reshape(x, {-1}));
  const Tensor before = slice(sorted[0], 0, 0, -1), after = slice(sorted[0], 0, 1);
  eval({sorted[1], before, after});
  const auto order = sorted[1].to_vector<int64_t>();
  // A value is new if it differs from the one before, two NaN do not.
  const auto differs = cast(ne(before, after), DType::u8).to_vector<uint8_t>();
  const auto real = cast(eq(before, before), DType::u8).to_vector<uint8_t>();
  std::vector<int64_t> first, counts, inverse(order.size());
  for (size_t k = 0; k < order.size(); ++k) {
    if (k == 0 || (differs[k - 1] && real[k - 1])) {
      first.push_back(order[k]);
      counts.push_back(0);
    }
    ++counts.back();
    inverse[static_cast<size_t>(order[k])] = static_cast<int64_t>(counts.size()) - 1;
  }
  const Shape n = {static_cast<int64_t>(counts.size())};
  return {index_select(reshape(x, {-1}), 0, Tensor::from(first, n)),
          Tensor::from(inverse, x->shape()), Tensor::from(counts, n)};
}

}  // namespace nacre
