#include <limits>

#include "ops/op.h"

namespace nacre {

/// What multi_head_attention may look at.
API(struct AttentionOptions {
  int64_t heads = 1;
  bool causal = false;       ///< position i sees positions 0..i
  Tensor mask = {};          ///< LxS or NxLxS: bool (true where to look) or added to scores
  Tensor padding_mask = {};  ///< bool NxS: true for keys that are padding, which nobody sees
};)

/// Multi-head attention (Vaswani et al. 2017) with packed projections.
/// query: NxLxE, key, value: NxSxE; in_weight: 3ExE (rows of queries, keys, values), in_bias: 3E
/// or undefined; out_weight: ExE, out_bias: E or undefined. Heads divide E. Returns NxLxE.
API(Tensor multi_head_attention(In query, In key, In value, In in_weight, const Tensor& in_bias,
                                In out_weight, const Tensor& out_bias,
                                const AttentionOptions& options = {}))

namespace {

[[noreturn]] void bad(std::initializer_list<Piece> text) {
  fail(Error::Kind::shape, {"[multi_head_attention] ", cat(text), where()});
}

}  // namespace

Tensor multi_head_attention(In query, In key, In value, In in_weight, const Tensor& in_bias,
                            In out_weight, const Tensor& out_bias,
                            const AttentionOptions& options) {
  for (const Tensor* t : {&query.get(), &key.get(), &value.get()})
    if (t->rank() != 3) bad({"an input has shape ", t->shape(), ", NxLxE is needed"});
  const int64_t n = query->size(0), e = query->size(2), heads = options.heads;
  const int64_t keys = key->size(1);
  if (heads < 1 || e < 1 || e % heads != 0)
    bad({e, " features do not divide into ", heads, " heads"});
  if (key->shape() != Shape{n, keys, e} || value->shape() != key->shape())
    bad({"keys have shape ", key->shape(), ", values ", value->shape(), ", queries ",
         query->shape()});
  const auto check = [](const char* what, const Tensor& t, const Shape& want) {
    if (t.defined() && t.shape() != want)
      bad({what, " has shape ", t.shape(), ", ", want, " is needed"});
  };
  check("in_weight", in_weight, {3 * e, e});
  check("in_bias", in_bias, {3 * e});
  check("out_weight", out_weight, {e, e});
  check("out_bias", out_bias, {e});
  check("padding_mask", options.padding_mask, {n, keys});
  if (options.padding_mask.defined() && options.padding_mask.dtype() != DType::boolean)
    bad({"padding_mask has type ", options.padding_mask.dtype(), ", bool is needed"});

  const auto project = [&](const Tensor& x, const Tensor& w, const Tensor& b) {
    const Tensor y = matmul(x, transpose(w));
    return b.defined() ? y + b : y;
  };
  const auto split_heads = [&](const Tensor& t) {
    return permute(reshape(t, {n, t.size(1), heads, e / heads}), {0, 2, 1, 3});
  };
  Tensor q, k, v;
  if (same(query.get(), key.get()) && same(query.get(), value.get())) {
    const Tensors all = split(project(query, in_weight, in_bias), {e, e, e}, 2);
    q = all[0], k = all[1], v = all[2];
  } else {
    const Tensors w = split(in_weight, {e, e, e}, 0);
    const Tensors b = in_bias.defined() ? split(in_bias, {e, e, e}, 0) : Tensors(3);
    q = project(query, w[0], b[0]);
    k = project(key, w[1], b[1]);
    v = project(value, w[2], b[2]);
  }
  Tensor mask = options.mask;
  if (mask.defined()) {
    if (mask.rank() != 2 && mask.rank() != 3)
      bad({"mask has shape ", mask.shape(), ", LxS or NxLxS is needed"});
    if (mask.rank() == 3) mask = reshape(mask, {mask.size(0), 1, mask.size(1), mask.size(2)});
  }
  if (options.padding_mask.defined()) {
    const Tensor visible = logical_not(reshape(options.padding_mask, {n, 1, 1, keys}));
    if (!mask.defined())
      mask = visible;
    else if (mask.dtype() == DType::boolean)
      mask = logical_and(mask, visible);
    else
      mask = where(visible, mask, -std::numeric_limits<double>::infinity());
  }
  const Tensor y = scaled_dot_product_attention(split_heads(q), split_heads(k), split_heads(v),
                                                mask, options.causal);
  return project(reshape(permute(y, {0, 2, 1, 3}), query->shape()), out_weight, out_bias);
}

}  // namespace nacre
