// Attention: of the standard domain, and as ONNX Runtime fuses it.
#include <cmath>

#include "onnx/window.h"

namespace nacre::onnx {
namespace {

/// BxLx(H*D) as BxHxLxD.
Tensor heads_apart(const Call& c, const Tensor& x, int64_t heads) {
  if (x.rank() == 4) return x;
  c.check(x.rank() == 3 && heads > 0 && x.size(2) % heads == 0,
          {"cannot split ", x.shape(), " into ", heads, " heads"});
  return permute(reshape(x, {x.size(0), x.size(1), heads, x.size(2) / heads}), {0, 2, 1, 3});
}
Tensor heads_joined(const Tensor& x) {
  return reshape(permute(x, {0, 2, 1, 3}), {x.size(0), x.size(2), x.size(1) * x.size(3)});
}

/// How far query i of `rows` is behind key j of `columns`, if `before` keys come before query 0.
Tensor distance(int64_t rows, int64_t columns, In before) {
  return reshape(arange(rows), {rows, 1}) + before - reshape(arange(columns), {1, columns});
}
/// True where position i of `rows` may look: at keys up to its own place, counted from `before`.
Tensor causal_mask(int64_t rows, int64_t columns, int64_t before) {
  return ge(distance(rows, columns, before), 0);
}

/// What is added to the scores of BxHxLxS: the mask, and -inf where a query may not look.
/// Undefined: nothing.
Tensor bias_of(const Call& c, const Shape& scores, DType t) {
  const int64_t batch = scores[0], rows = scores[2], columns = scores[3];
  const Tensor no = Tensor::scalar(-INFINITY, t);
  Tensor bias;
  if (c.has(3)) {
    bias = c[3].dtype() == DType::boolean ? where(c[3], 0.0, no) : c[3];
    const int64_t more = columns - bias.shape().back();
    if (more > 0) {
      Ints high(bias.shape().size(), 0);
      high[bias.rank() - 1] = more;
      bias = pad(bias, Ints(high.size(), 0), high, "constant", -INFINITY);
    }
  }
  const auto only = [&](const Tensor& allowed) {
    const Tensor part = where(allowed, 0.0, no);
    bias = bias.defined() ? bias + part : part;
  };
  // Keys before the first query: those of the past, or of a cache of which so many count.
  Tensor before = scalar_of(c.has(4) ? c.shape(4)[2] : 0);
  if (c.has(6)) {
    c.check(!c.has(4) && c.shape(6) == Shape{batch},
            {"nonpad_kv_seqlen ", c.shape(6), " for a batch of ", batch,
             c.has(4) ? " and a past" : ""});
    const Tensor count = reshape(cast(c[6], DType::i64), {batch, 1, 1, 1});
    only(reshape(arange(columns), {1, 1, 1, columns}) < count);
    before = count - rows;
  }
  const bool windows = c.opset >= 25;
  const int64_t left = windows ? c.i("left_window_size", -1) : -1;
  const int64_t right = windows ? c.i("right_window_size", -1) : -1;
  c.check(left >= -1 && right >= -1, {"windows of ", left, " and ", right});
  const bool causal = c.i("is_causal") != 0;
  if (causal || left >= 0 || right >= 0) {
    const Tensor behind = distance(rows, columns, before);
    if (causal || right >= 0) only(ge(behind, causal ? 0 : -right));
    if (left >= 0) only(le(behind, left));
  }
  return bias;
}

Values attention(Call& c) {
  const bool flat = c.rank(0) == 3;
  const int64_t kv_heads = c.i("kv_num_heads");
  const Tensor q = heads_apart(c, c[0], c.i("q_num_heads"));
  Tensor k = heads_apart(c, c[1], kv_heads), v = heads_apart(c, c[2], kv_heads);
  c.check(q.rank() == 4 && k.rank() == 4 && v.rank() == 4 && c.has(4) == c.has(5),
          {"Q ", c.shape(0), ", K ", c.shape(1), ", V ", c.shape(2)});
  if (c.has(4)) k = concat({c[4], k}, 2);
  if (c.has(5)) v = concat({c[5], v}, 2);
  const Values present = {k, v};
  const int64_t groups = k.size(1) ? q.size(1) / k.size(1) : 0;
  c.check(groups > 0 && q.size(1) % k.size(1) == 0,
          {q.size(1), " heads of queries and ", k.size(1), " of keys"});
  if (groups > 1) {
    k = repeat_interleave(k, groups, 1);
    v = repeat_interleave(v, groups, 1);
  }
  const DType t = q.dtype();
  const double scale = c.f("scale", 1 / std::sqrt(static_cast<double>(q.size(3))));
  Tensor scores = matmul(q * std::sqrt(scale), transpose(k) * std::sqrt(scale));
  const int64_t mode = c.i("qk_matmul_output_mode");
  Tensor seen = scores;
  if (const double cap = c.f("softcap"); cap > 0) scores = tanh(scores / cap) * cap;
  if (mode == 1) seen = scores;
  const Tensor bias = bias_of(c, scores.shape(), t);
  if (bias.defined()) scores = scores + bias;
  if (mode == 2) seen = scores;
  if (const int64_t precision = c.i("softmax_precision"))
    scores = cast(scores, storage_of(static_cast<Elem>(precision)));
  Tensor weights;
  if (bias.defined()) {  // a row that may look at nothing gives zeros
    const Tensor blind = eq(amax(bias, {bias.rank() - 1}, true), -INFINITY);
    weights = where(blind, 0.0, softmax(where(blind, 0.0, scores), 3));
  } else {
    weights = softmax(scores, 3);
  }
  weights = cast(weights, t);
  if (mode == 3) seen = weights;
  const Tensor y = matmul(weights, v);
  return {flat ? heads_joined(y) : y, present[0], present[1], seen};
}

/// Scores and probabilities pass through graphs of the file.
Values flex_attention(Call& c) {
  const Tensor& q = c[0];
  Tensor k = c[1], v = c[2];
  c.check(q.rank() == 4 && k.rank() == 4 && v.rank() == 4 && k.size(1) == v.size(1) &&
              k.size(1) > 0 && q.size(1) % k.size(1) == 0,
          {"Q ", q.shape(), ", K ", k.shape(), ", V ", v.shape()});
  if (const int64_t groups = q.size(1) / k.size(1); groups > 1) {
    k = repeat_interleave(k, groups, 1);
    v = repeat_interleave(v, groups, 1);
  }
  const double scale = c.f("scale", 1 / std::sqrt(static_cast<double>(q.size(3))));
  const int64_t precision = c.i("softmax_precision");
  const DType t = precision                ? storage_of(static_cast<Elem>(precision))
                  : size_of(q.dtype()) < 4 ? DType::f32
                                           : q.dtype();
  const auto changed = [&](const char* graph, const Tensor& x) -> Tensor {
    if (!c.given(graph)) return x;
    const Values y = c.run(graph, {x});
    c.check(y.size() == 1 && y[0].shape() == x.shape(), {graph, " gives no value like its input"});
    return cast(y[0].tensor(), t);
  };
  const Tensor scores = cast(matmul(q * std::sqrt(scale), transpose(k) * std::sqrt(scale)), t);
  const Tensor weights = changed("prob_mod", softmax(changed("score_mod", scores), 3));
  return {cast(matmul(weights, cast(v, t)), v.dtype())};
}

Values rotary(Call& c) {
  const bool flat = c.rank(0) == 3;
  const Tensor x = heads_apart(c, c[0], c.i("num_heads"));
  const int64_t size = x.size(3),
                dim = c.i("rotary_embedding_dim") ? c.i("rotary_embedding_dim") : size;
  c.check(dim > 0 && dim <= size && dim % 2 == 0, {"cannot rotate ", dim, " of ", size});
  const bool given = c.has(3);  // rows of the tables by position
  const auto table = [&](size_t i) {
    const Tensor t = given ? index_select(c[i], 0, c[3]) : c[i];
    return unsqueeze(slice(t, -1, 0, dim / 2), 1);  // Bx1xLxD/2
  };
  const Tensor cosine = table(1), sine = table(2);
  const Tensor turned = slice(x, 3, 0, dim), rest = slice(x, 3, dim);
  const bool interleaved = c.i("interleaved") != 0;
  const Tensor a = interleaved ? slice(turned, 3, 0, INT64_MAX, 2) : slice(turned, 3, 0, dim / 2);
  const Tensor b = interleaved ? slice(turned, 3, 1, INT64_MAX, 2) : slice(turned, 3, dim / 2);
  const Tensor p = a * cosine - b * sine, r = a * sine + b * cosine;
  Tensor y = interleaved ? reshape(stack({p, r}, 4), turned.shape()) : concat({p, r}, 3);
  if (dim < size) y = concat({y, rest}, 3);
  return {flat ? heads_joined(y) : y};
}

/// Attention with packed projections: input, weights, bias, mask, past, bias of the scores.
Values fused_attention(Call& c) {
  const int64_t heads = c.i("num_heads");
  c.check(c.rank(0) == 3 && c.rank(1) == 2 && heads > 0,
          {"input ", c.shape(0), ", weights ", c.shape(1)});
  c.check(c.i("do_rotary") == 0, {"do_rotary is not supported"});
  const int64_t b = c.shape(0)[0], rows = c.shape(0)[1], width = c.shape(1)[1];
  Tensor packed = matmul(c[0], c[1]);
  if (c.has(2)) packed = packed + c[2];
  const Ints sizes = c.is("qkv_hidden_sizes", {width / 3, width / 3, width / 3});
  c.check(sizes.rank() == 3 && sizes[0] + sizes[1] + sizes[2] == width,
          {"qkv_hidden_sizes ", as_list(sizes), " for weights of ", width});
  const Tensor q = heads_apart(c, slice(packed, 2, 0, sizes[0]), heads);
  Tensor k = heads_apart(c, slice(packed, 2, sizes[0], sizes[0] + sizes[1]), heads);
  Tensor v = heads_apart(c, slice(packed, 2, sizes[0] + sizes[1]), heads);
  int64_t before = 0;
  if (c.has(4)) {
    before = c.shape(4)[3];
    k = concat({select(c[4], 0, 0), k}, 2);
    v = concat({select(c[4], 0, 1), v}, 2);
  }
  const int64_t columns = k.size(2);
  const double given = c.f("scale");
  const double scale = given > 0 ? given : 1 / std::sqrt(static_cast<double>(q.size(3)));
  Tensor scores = matmul(q, transpose(k)) * scale;
  const double masked = c.f("mask_filter_value", -10000);
  if (c.has(3)) {
    const Tensor& m = c[3];
    Tensor seen;
    if (m.rank() == 1) {  // lengths, and perhaps starts after them
      c.check(m.numel() == b || m.numel() == 2 * b,
              {"mask_index ", m.shape(), " for a batch of ", b});
      const Tensor at = reshape(arange(columns), {1, 1, 1, columns});
      seen = at < reshape(slice(m, 0, 0, b), {b, 1, 1, 1});
      if (m.numel() == 2 * b)
        seen = logical_and(seen, ge(at, reshape(slice(m, 0, b), {b, 1, 1, 1})));
    } else {
      const Tensor wide = m.rank() == 2   ? reshape(m, {m.size(0), 1, 1, m.size(1)})
                          : m.rank() == 3 ? unsqueeze(m, 1)
                                          : m;
      seen = ne(wide, 0);
    }
    scores = scores + where(seen, 0.0, Tensor::scalar(masked, scores.dtype()));
  }
  if (c.i("unidirectional"))
    scores = where(causal_mask(rows, columns, before), scores,
                   Tensor::scalar(-INFINITY, scores.dtype()));
  if (c.has(5)) scores = scores + c[5];
  return {heads_joined(matmul(softmax(scores, 3), v)),
          c.wants(1) ? Value(stack({k, v}, 0)) : Value()};
}

/// Of queries, keys and values that are projected already.
Values multi_head(Call& c) {
  const int64_t heads = c.i("num_heads");
  Tensor q = c[0], k = c[1], v = c[2];
  c.check(q.rank() == 3, {"query ", q.shape(), " is not BxLxE"});
  if (c.has(3)) {
    const int64_t eq_ = q.size(2), ev = c[3].numel() - 2 * eq_;
    q = q + slice(c[3], 0, 0, eq_);
    if (k.rank() == 3) k = k + slice(c[3], 0, eq_, 2 * eq_);
    if (v.rank() == 3) v = v + slice(c[3], 0, 2 * eq_, 2 * eq_ + ev);
  }
  q = heads_apart(c, q, heads);
  k = heads_apart(c, k, heads);
  v = heads_apart(c, v, heads);
  const int64_t before = c.has(6) ? c.shape(6)[2] : 0;
  if (c.has(6)) k = concat({c[6], k}, 2);
  if (c.has(7)) v = concat({c[7], v}, 2);
  const double given = c.f("scale");
  const double scale = given > 0 ? given : 1 / std::sqrt(static_cast<double>(q.size(3)));
  const double masked = c.f("mask_filter_value", -10000);
  Tensor scores = matmul(q, transpose(k)) * scale;
  if (c.has(4)) {
    const Tensor& m = c[4];
    const int64_t columns = k.size(2);
    const Tensor seen =
        m.rank() == 1
            ? reshape(arange(columns), {1, 1, 1, columns}) < reshape(m, {m.numel(), 1, 1, 1})
            : ne(m.rank() == 2 ? reshape(m, {m.size(0), 1, 1, m.size(1)}) : unsqueeze(m, 1), 0);
    scores = scores + where(seen, 0.0, Tensor::scalar(masked, scores.dtype()));
  }
  if (c.has(5)) scores = scores + c[5];
  if (c.i("unidirectional"))
    scores = where(causal_mask(q.size(2), k.size(2), before), scores,
                   Tensor::scalar(-INFINITY, scores.dtype()));
  return {heads_joined(matmul(softmax(scores, 3), v)), k, v};
}

}  // namespace

ONNX(Attention) = {"Attention", attention};
ONNX(FlexAttention) = {"FlexAttention", flex_attention, "ai.onnx.preview"};
ONNX(RotaryEmbedding) = {"RotaryEmbedding", rotary};
ONNX(ms_Attention) = {"Attention", fused_attention, kMicrosoft};
ONNX(ms_MultiHeadAttention) = {"MultiHeadAttention", multi_head, kMicrosoft};

}  // namespace nacre::onnx
