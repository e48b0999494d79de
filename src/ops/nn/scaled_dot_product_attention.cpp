#include <limits>

#include "nacre/autograd.h"
#include "ops/nn/attention.h"

namespace nacre {

/// softmax(scale * q k^T + mask) v over the last two dimensions (Vaswani et al. 2017).
/// q: ...xLxD, k: ...xSxD, v: ...xSxE with equal leading dimensions. mask: undefined, or broadcasts
/// to ...xLxS; bool (true where a query may look) or added to the scores. causal: query i sees keys
/// 0..i. scale: 0 means 1 / sqrt(D). A query that sees nothing gives zeros. Returns ...xLxE.
API(Tensor scaled_dot_product_attention(In q, In k, In v, const Tensor& mask = {},
                                        bool causal = false, double scale = 0))

namespace {

struct AttentionAttrs {
  bool causal = false;
  double scale = 1;
  void fields(FieldVisitor& v) {
    v("causal", causal);
    v("scale", scale);
  }
};

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

/// scale q k^T plus the masks, -infinity where a query may not look.
Tensor scores(const Tensor& q, const Tensor& k, const Tensor& mask, const AttentionAttrs& a) {
  Tensor s = matmul(q, transpose(k)) * a.scale;
  if (mask.defined())
    s = mask.dtype() == DType::boolean ? where(mask, s, kMinusInfinity) : s + cast(mask, s.dtype());
  if (!a.causal) return s;
  const int64_t rows = s.size(-2), columns = s.size(-1);
  return where(reshape(arange(rows), {rows, 1}) >= arange(columns), s, kMinusInfinity);
}

/// exp(s - lse) where a row sees anything, else 0. lse: one dimension less.
Tensor weights(const Tensor& s, const Tensor& lse) {
  const Tensor finite = where(lse > kMinusInfinity, lse, 0.0);
  Shape column = lse.shape();
  column.push_back(1);
  return exp(s - reshape(finite, column));
}

void check_attention(const Infer& in) {
  in.check_float(0);
  for (size_t i = 0; i < 3; ++i) {
    in.check_rank(i, 4);
    in.check(in.dtype(i) == in.dtype(0),
             {"input ", i, " has type ", in.dtype(i), ", input 0 has ", in.dtype(0)});
    in.check(in.shape(i).slice(0, 2) == in.shape(0).slice(0, 2),
             {"leading dimensions of input ", i, " are ", in.shape(i).slice(0, 2), ", of input 0 ",
              in.shape(0).slice(0, 2)});
  }
  const Shape &q = in.shape(0), &k = in.shape(1), &v = in.shape(2);
  in.check(q[3] == k[3], {"queries have ", q[3], " features, keys ", k[3]});
  in.check(k[2] == v[2], {k[2], " keys but ", v[2], " values"});
}

void check_mask(const Infer& in, size_t i) {
  const Shape full = {in.shape(0)[0], in.shape(0)[1], in.shape(0)[2], in.shape(1)[2]};
  const Shape& m = in.shape(i);
  bool fits = m.rank() <= 4;
  for (int64_t d = 1; fits && d <= m.rank(); ++d) fits = m[-d] == 1 || m[-d] == full[-d];
  in.check(fits, {"the mask has shape ", m, ", which does not broadcast to ", full});
  in.check(in.dtype(i) == DType::boolean || is_float(in.dtype(i)),
           {"the mask has type ", in.dtype(i), ", bool or a floating type is needed"});
}

Tensor sum_to_mask(const Tensor& g, const Shape& shape) {
  Ints dims;
  const int64_t extra = g.rank() - shape.rank();
  for (int64_t d = 0; d < g.rank(); ++d)
    if (d < extra || (shape[d - extra] == 1 && g.size(d) != 1)) dims.push_back(d);
  return reshape(dims.empty() ? g : sum(g, dims), shape);
}

}  // namespace

extern const OpDef op_scaled_dot_product_attention_grad;

OP(scaled_dot_product_attention) = {
    .name = "scaled_dot_product_attention",
    .kind = OpKind::composite,
    .attrs = attr_type<AttentionAttrs>(),
    .infer =
        [](Infer& in) {
          check_attention(in);
          if (in.inputs() > 3) check_mask(in, 3);
          const Shape &q = in.shape(0), &v = in.shape(2);
          in.out(in.dtype(0), {q[0], q[1], q[2], v[3]});
          in.out(in.dtype(0), {q[0], q[1], q[2]});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const AttentionAttrs*>(attrs);
      const Tensor s = scores(in[0], in[1], in.size() > 3 ? in[3] : Tensor(), a);
      if (s.size(-1) == 0)
        return {matmul(s, in[2]), full(s.shape().slice(0, 3), kMinusInfinity, s.dtype())};
      const Tensor top = stop_gradient(amax(s, {-1}, true));
      const Tensor shift = where(top > kMinusInfinity, top, 0.0);
      const Tensor e = exp(s - shift);
      const Tensor total = sum(e, {-1}, true);
      const Tensor sees = total > 0.0;
      const Tensor safe = where(sees, total, 1.0);
      const Tensor lse = where(sees, log(safe) + shift, kMinusInfinity);
      return {matmul(e / safe, in[2]), reshape(lse, s.shape().slice(0, 3))};
    },
    .vjp =
        [](Vjp& v) {
          const auto& a = v.attrs<AttentionAttrs>();
          const Tensor &q = v.x(0), &k = v.x(1), &value = v.x(2);
          const Tensor mask = v.inputs() > 3 ? v.x(3) : Tensor();
          const bool to_mask = mask.defined() && v.wants(3);
          if (v.has_dy(0) && !v.has_dy(1) && !to_mask) {
            Tensors in = {q, k, value, v.y(0), v.y(1), v.dy()};
            if (mask.defined()) in.push_back(mask);
            const Tensors g = make_all(op_scaled_dot_product_attention_grad, box(a), in);
            for (size_t i = 0; i < 3; ++i) v.dx(i) = g[i];
            return;
          }
          const Tensor p = weights(scores(q, k, mask, a), v.y(1));
          const Tensor delta = v.dy(1) - sum(v.dy(0) * v.y(0), {-1});
          Shape column = delta.shape();
          column.push_back(1);
          const Tensor ds = p * (matmul(v.dy(0), transpose(value)) + reshape(delta, column));
          v.dx(0) = matmul(ds, k) * a.scale;
          v.dx(1) = matmul(transpose(ds), q) * a.scale;
          v.dx(2) = matmul(transpose(p), v.dy(0));
          if (to_mask) v.dx(3) = sum_to_mask(ds, mask.shape());
        },
    .onnx = "Attention",
    .samples = attention_samples,
};

/// Gradient of scaled_dot_product_attention: (q, k, v, out, log-sum-exp, dout[, mask]) ->
/// (dq, dk, dv).
OP(scaled_dot_product_attention_grad) = {
    .name = "scaled_dot_product_attention_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<AttentionAttrs>(),
    .infer =
        [](Infer& in) {
          check_attention(in);
          const Shape &q = in.shape(0), &v = in.shape(2);
          for (size_t i : {3, 5})
            in.check(in.shape(i) == Shape{q[0], q[1], q[2], v[3]},
                     {"input ", i, " has shape ", in.shape(i)});
          in.check(in.shape(4) == q.slice(0, 3), {"input 4 has shape ", in.shape(4)});
          if (in.inputs() > 6) check_mask(in, 6);
          for (size_t i = 0; i < 3; ++i) in.out(in.dtype(i), in.shape(i));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const AttentionAttrs*>(attrs);
      const Tensor &q = in[0], &k = in[1], &v = in[2], &out = in[3], &dout = in[5];
      const Tensor p = weights(scores(q, k, in.size() > 6 ? in[6] : Tensor(), a), in[4]);
      const Tensor ds = p * (matmul(dout, transpose(v)) - sum(dout * out, {-1}, true)) * a.scale;
      return {matmul(ds, k), matmul(transpose(ds), q), matmul(transpose(p), dout)};
    },
    .samples = attention_grad_samples,
};

Tensor scaled_dot_product_attention(In q, In k, In v, const Tensor& mask, bool causal,
                                    double scale) {
  const Shape &qs = q->shape(), &ks = k->shape(), &vs = v->shape();
  const int64_t rank = qs.rank();
  const auto bad = [&](std::initializer_list<Piece> text) {
    fail(Error::Kind::shape, {"[scaled_dot_product_attention] ", cat(text), " (queries ", qs,
                              ", keys ", ks, ", values ", vs, ")", where()});
  };
  if (rank < 2 || ks.rank() != rank || vs.rank() != rank)
    bad({"ranks have to be equal and at least 2"});
  const Shape leading = qs.slice(0, rank - 2);
  if (ks.slice(0, rank - 2) != leading || vs.slice(0, rank - 2) != leading)
    bad({"leading dimensions differ"});
  const int64_t heads = rank > 3 ? leading.back() : 1;
  const int64_t batch = rank > 3 ? leading.slice(0, rank - 3).numel() : rank == 3 ? leading[0] : 1;
  const auto four = [&](const Tensor& t) {
    return rank == 4 ? t : reshape(t, {batch, heads, t.size(-2), t.size(-1)});
  };
  Tensor m = mask;
  if (m.defined() && rank != 4 && m.rank() > 2) {
    Shape whole = leading;
    whole.push_back(m.size(-2));
    whole.push_back(m.size(-1));
    m = four(expand(m, whole));
  }
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(std::max<int64_t>(qs.back(), 1)));
  Tensors in = {four(q), four(k), four(v)};
  if (m.defined()) in.push_back(m);
  const Tensor y = make(op_scaled_dot_product_attention, box(AttentionAttrs{causal, scale}), in);
  Shape out = qs;
  out[-1] = vs.back();
  return reshape(y, out);
}

Tensors attention_grad(const Tensors& in, bool causal, double scale) {
  return make_all(op_scaled_dot_product_attention_grad, box(AttentionAttrs{causal, scale}), in);
}

}  // namespace nacre
