#include "compile/channels_last.h"

#include <algorithm>

namespace nacre {
namespace {

/// An operand that broadcasts to planes, as one that does to rows.
Tensor as_rows(const Tensor& t, const Shape& planes) {
  if (const Tensor y = rows_of(t); y.defined()) return y;
  Shape shape = t.shape();
  while (shape.rank() < 4) shape.insert(0, 1);
  const Tensor* source = &t;
  while (is_view(source->node())) source = &source->node()->inputs[0];
  const Tensor whole = reshape(t, shape);
  // A view that repeats few values is read where they are; others are put in order first.
  return shape == planes && 8 * source->numel() > planes.numel() ? ordered_rows(whole)
                                                                 : to_rows(whole);
}

}  // namespace

Tensor rows_of(const Tensor& planes) {
  if (!is_op(planes.node(), "permute") || planes.rank() != 4) return {};
  return attr<Ints>(*planes.node(), "dims") == Ints{0, 3, 1, 2} ? planes.node()->inputs[0]
                                                                : Tensor();
}

Tensor ordered_rows(const Tensor& planes) {
  const Tensor y = rows_of(planes);
  return y.defined() ? y : make(*find_op("contiguous"), {to_rows(planes)});
}

Tensors operands_as_rows(const Node& n, const Tensors& in) {
  const Shape& out = n.outputs[0].shape;
  if (out.rank() != 4 || std::none_of(in.begin(), in.end(), [&](const Tensor& t) {
        return t.shape() == out && rows_of(t).defined();
      }))
    return {};
  Tensors rows;
  for (const Tensor& t : in) rows.push_back(t.numel() == 1 ? t : as_rows(t, out));
  return rows;
}

Tensor pool_of_rows(const Node& n, const Tensor& x, const CompileOptions& options) {
  const Tensor y = make(*find_op(is_op(&n, "avg_pool") ? "avg_pool_rows" : "max_pool_rows"),
                        n.attrs, std::span(&x, 1));
  return has_kernel(*y.node(), y.node()->inputs, options) ? to_planes(y) : Tensor();
}

std::pair<Tensor, Tensor> norm_line(const Node& n, const Tensor& weight, const Tensor& bias,
                                    const Tensor& mean, const Tensor& variance) {
  const Tensor scale = weight * rsqrt(variance + attr<double>(n, "eps"));
  return {scale, bias - mean * scale};
}

}  // namespace nacre
