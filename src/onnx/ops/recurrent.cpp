// Sequences with a state that is handed on: of a convolution, and of attention without softmax.
#include <cmath>

#include "onnx/window.h"

namespace nacre::onnx {
namespace {

/// Each channel convolved with a kernel of its own over its past; the last entries are the state.
Values causal_conv(Call& c) {
  const Shape &x = c.shape(0), &w = c.shape(1);
  c.check(x.rank() == 3 && w.rank() == 3 && w[0] == x[1] && w[1] == 1 && w[2] > 0,
          {"input ", x, " and weight ", w});
  const int64_t past = w[2] - 1;
  c.check(!c.has(3) || c.shape(3) == Shape{x[0], x[1], past},
          {"past_state for an input of ", x, " and ", w[2], " taps"});
  const std::string activation = c.s("activation", "none");
  c.check(activation == "none" || activation == "silu" || activation == "swish",
          {"activation '", activation, "' is not known"});
  const Tensor before = c.has(3) ? c[3] : zeros({x[0], x[1], past}, c[0].dtype());
  const Tensor all = concat({before, c[0]}, 2);
  Tensor y = conv1d(all, c[1], c.optional(2), {.groups = x[1]});
  if (activation != "none") y = y * sigmoid(y);
  return {y, slice(all, 2, all.size(2) - past)};
}

/// BxTx(H*D) as BxHxTxD, in f32.
Tensor by_head(const Call& c, const Tensor& x, int64_t heads) {
  c.check(x.rank() == 3 && x.size(2) % heads == 0,
          {"cannot split ", x.shape(), " into ", heads, " heads"});
  const Tensor apart = reshape(x, {x.size(0), x.size(1), heads, x.size(2) / heads});
  return cast(permute(apart, {0, 2, 1, 3}), DType::f32);
}

/// Attention as a recurrence: a matrix for each head is decayed, corrected, written to and read.
Values linear_attention(Call& c) {
  const std::string rule = c.s("update_rule", "gated_delta");
  const bool gated = rule == "gated" || rule == "gated_delta";
  const bool corrected = rule == "delta" || rule == "gated_delta";
  c.check(gated || corrected || rule == "linear", {"update_rule '", rule, "' is not known"});
  c.check(gated == c.has(4) && corrected == c.has(5),
          {"decay or beta do not go with the update_rule '", rule, "'"});
  const int64_t heads = c.i("kv_num_heads"), readers = c.i("q_num_heads");
  c.check(heads > 0 && readers > 0 && readers % heads == 0,
          {readers, " heads of queries and ", heads, " of keys"});
  const Tensor q = by_head(c, c[0], readers), k = by_head(c, c[1], heads);
  const Tensor v = by_head(c, c[2], heads);
  const int64_t b = q.size(0), steps = q.size(2), dk = k.size(3), dv = v.size(3);
  c.check(q.size(3) == dk && k.size(2) == steps && v.size(2) == steps && k.size(0) == b &&
              v.size(0) == b,
          {"query ", c.shape(0), ", key ", c.shape(1), ", value ", c.shape(2)});
  const Tensor decay = gated ? exp(by_head(c, c[4], heads)) : Tensor();
  const Tensor beta = corrected ? by_head(c, c[5], c.shape(5).back() == 1 ? 1 : heads) : Tensor();
  c.check(!gated || decay.size(3) == 1 || decay.size(3) == dk,
          {"decay ", c.value(gated ? 4 : 0).str(), " for ", heads, " heads of ", dk});
  const Shape held = {b, heads, dk, dv};
  c.check(!c.has(3) || c.shape(3) == held, {"past_state is not ", held});
  Tensor state = c.has(3) ? cast(c[3], DType::f32) : zeros(held);
  const double given = c.f("scale");
  const double scale = given != 0 ? given : 1 / std::sqrt(static_cast<double>(dk));
  Tensors ys;
  for (int64_t t = 0; t < steps; ++t) {
    const Tensor key = unsqueeze(select(k, 2, t), 3);  // BxHxDx1
    Tensor value = slice(v, 2, t, t + 1);              // BxHx1xE
    if (gated) state = state * unsqueeze(select(decay, 2, t), 3);
    if (corrected) value = slice(beta, 2, t, t + 1) * (value - matmul(transpose(key), state));
    state = state + key * value;
    const Tensor read = readers == heads ? state : repeat_interleave(state, readers / heads, 1);
    ys.push_back(matmul(slice(q, 2, t, t + 1), read) * scale);
  }
  const Tensor y = ys.empty() ? zeros({b, readers, 0, dv}) : concat(ys, 2);
  return {cast(reshape(permute(y, {0, 2, 1, 3}), {b, steps, readers * dv}), c[0].dtype()),
          cast(state, c.has(3) ? c[3].dtype() : c[0].dtype())};
}

}  // namespace

ONNX(CausalConvWithState) = {"CausalConvWithState", causal_conv};
ONNX(LinearAttention) = {"LinearAttention", linear_attention};

}  // namespace nacre::onnx
