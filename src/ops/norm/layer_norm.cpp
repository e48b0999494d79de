#include "ops/norm/norm.h"

namespace nacre {

/// Layer normalisation (Ba et al. 2016): (x - mean) / sqrt(variance + eps) * weight + bias, mean
/// and biased variance over the last normalized_rank dimensions (0: those of weight, else 1). x:
/// floating, weight, bias: the sizes of these dimensions, or undefined. Returns x's shape.
API(Tensor layer_norm(In x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5,
                      int64_t normalized_rank = 0))

extern const OpDef op_layer_norm_grad;

namespace {

Tensors layer_norm_grad(const Vjp& v) {
  const Tensor& x = v.x(0);
  const auto& a = v.attrs<RowNormAttrs>();
  if (v.inputs() == 1) return make_all(op_layer_norm_grad, a, {x, v.y(1), v.y(2), v.dy()});
  return make_all(op_layer_norm_grad, a, {x, v.y(1), v.y(2), v.x(1), v.dy()});
}

}  // namespace

OP(layer_norm) = {
    .name = "layer_norm",
    .kind = OpKind::composite,
    .attrs = attr_type<RowNormAttrs>(),
    .infer =
        [](Infer& in) {
          const Shape leading = check_rows(in);
          for (size_t i = 1; i < in.inputs(); ++i) check_row_weight(in, i);
          in.out(in.dtype(0), in.shape(0));
          for (int k = 0; k < 2; ++k) in.out(statistics_type(in.dtype(0)), leading);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const RowNormAttrs*>(attrs);
      const Tensor x = wide(in[0]);
      const Ints dims = dims_between(x.rank() - a.normalized_rank, x.rank());
      const Tensor m = mean(x, dims, true);
      const Tensor centred = x - m;
      const Tensor rstd = rsqrt(mean(square(centred), dims, true) + a.eps);
      Tensor y = centred * rstd;
      if (in.size() > 1) y *= wide(in[1]);
      if (in.size() > 2) y += wide(in[2]);
      const Shape leading = x.shape().slice(0, x.rank() - a.normalized_rank);
      return {cast(y, in[0].dtype()), reshape(m, leading), reshape(rstd, leading)};
    },
    .vjp =
        [](Vjp& v) {
          const Tensor& x = v.x(0);
          const int64_t r = v.attrs<RowNormAttrs>().normalized_rank;
          if (v.has_dy(0)) {
            const Tensors g = layer_norm_grad(v);
            for (size_t i = 0; i < v.inputs(); ++i) v.dx(i) = g[i];
          }
          if (!v.has_dy(1) && !v.has_dy(2)) return;
          const double n = static_cast<double>(x.shape().slice(x.rank() - r, x.rank()).numel());
          Tensor extra = expand(over_rows(v.dy(1) / n, x, r), x.shape());
          if (v.has_dy(2)) {
            const Tensor rstd = v.y(2);
            extra -= (wide(x) - over_rows(v.y(1), x, r)) *
                     over_rows(v.dy(2) * square(rstd) * rstd / n, x, r);
          }
          extra = cast(extra, x.dtype());
          v.dx(0) = v.has_dy(0) ? v.dx(0) + extra : extra;
        },
    .onnx = "LayerNormalization",
    .samples =
        [](Samples& s) {
          const auto three = [](const Tensors& x) { return Tensors{layer_norm(x[0], x[1], x[2])}; };
          s.add({s.uniform({4, 6}), s.uniform({6}), s.uniform({6})}, three,
                "F.layer_norm({0}, (6,), {1}, {2})");
          s.add({s.uniform({2, 3, 4}), s.uniform({3, 4}), s.uniform({3, 4})}, three,
                "F.layer_norm({0}, (3, 4), {1}, {2})");
          s.add(
              {s.uniform({2, 3, 5})}, [](const Tensors& x) { return Tensors{layer_norm(x[0])}; },
              "F.layer_norm({0}, (5,))");
          s.add(
              {s.uniform({3, 5}), s.uniform({5})},
              [](const Tensors& x) { return Tensors{layer_norm(x[0], x[1], {}, 0.1)}; },
              "F.layer_norm({0}, (5,), {1}, None, 0.1)");
          s.add(
              {s.uniform({3, 2, 2}), s.uniform({2, 2})},
              [](const Tensors& x) { return Tensors{layer_norm(x[0], {}, x[1], 1e-5, 2)}; },
              "F.layer_norm({0}, (2, 2), None, {1})");
          s.add({s.uniform({0, 6}), s.uniform({6}), s.uniform({6})}, three,
                "F.layer_norm({0}, (6,), {1}, {2})");
          s.add(
              {s.uniform({4, 6}), s.uniform({6}), s.uniform({6})},
              [](const Tensors& x) {
                return make_all(op_layer_norm, RowNormAttrs{}, {x[0], x[1], x[2]});
              },
              "(F.layer_norm({0}, (6,), {1}, {2}), {0}.mean(1), "
              "({0}.var(1, unbiased=False) + 1e-5).rsqrt())");
          s.bad({s.uniform({4, 6}), s.uniform({5}), s.uniform({5})}, three,
                "input 1 has shape 5, the normalised dimensions are 6");
          s.bad({s.uniform({6}), s.uniform({1, 6}), s.uniform({1, 6})}, three,
                "normalized_rank is 2, the input has 1 dimensions");
          s.bad({s.integers({4, 6}, 0, 9), s.uniform({6}), s.uniform({6})}, three,
                "a floating type is needed");
          s.bad(
              {s.uniform({4, 6}), s.uniform({6})},
              [](const Tensors& x) { return Tensors{layer_norm(x[0], x[1], {}, 1e-5, 2)}; },
              "[layer_norm] normalized_rank is 2, the weight has shape 6");
        },
};

/// Gradient of layer_norm: (x, mean, rstd[, weight], dy) -> (dx[, dweight, dbias]).
OP(layer_norm_grad) = {
    .name = "layer_norm_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<RowNormAttrs>(),
    .infer =
        [](Infer& in) {
          check_rows(in);
          const size_t last = in.inputs() - 1;
          for (size_t i = 1; i < 3; ++i) check_row_statistic(in, i);
          for (size_t i = 3; i < last; ++i) check_row_weight(in, i);
          check_beside(in, last);
          in.check(in.shape(last) == in.shape(0),
                   {"dy has shape ", in.shape(last), ", x has ", in.shape(0)});
          in.out(in.dtype(0), in.shape(0));
          for (int k = 0; k < 2 && last > 3; ++k) in.out(in.dtype(3), in.shape(3));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const int64_t r = static_cast<const RowNormAttrs*>(attrs)->normalized_rank;
      const Tensor x = wide(in[0]), dy = wide(in.back());
      const Tensor rstd = over_rows(wide(in[2]), x, r);
      const Tensor normal = (x - over_rows(wide(in[1]), x, r)) * rstd;
      const Tensor g = in.size() > 4 ? dy * wide(in[3]) : dy;
      const Ints dims = dims_between(x.rank() - r, x.rank());
      const Tensor dx = rstd * (g - mean(g, dims, true) - normal * mean(g * normal, dims, true));
      if (in.size() <= 4) return {cast(dx, in[0].dtype())};
      const Ints rows = dims_between(0, x.rank() - r);
      const auto total = [&](const Tensor& t) {
        return cast(rows.empty() ? t : sum(t, rows), in[3].dtype());
      };
      return {cast(dx, in[0].dtype()), total(dy * normal), total(dy)};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return make_all(op_layer_norm_grad, box(RowNormAttrs{x[0].rank() - x[1].rank(), 1e-5}),
                            x);
          };
          const auto torch = [](const std::string& w, const std::string& dy,
                                const std::string& dims, const std::string& rows) {
            const std::string dx = "(lambda h, g, r: r * (g - g.mean(" + dims +
                                   ", keepdim=True) - h * (g * h).mean(" + dims +
                                   ", keepdim=True)))(({0} - M) * R, " + dy + w + ", R)";
            std::string all = rows.empty() ? dx
                                           : "(" + dx + ", (" + dy + " * ({0} - M) * R).sum(" +
                                                 rows + "), " + dy + ".sum(" + rows + "))";
            const std::string tail = dims == "-1" ? "[..., None]" : "[..., None, None]";
            for (size_t at; (at = all.find('M')) != std::string::npos;)
              all.replace(at, 1, "{1}" + tail);
            for (size_t at; (at = all.find('R')) != std::string::npos;)
              all.replace(at, 1, "{2}" + tail);
            return all;
          };
          s.add({s.uniform({3, 5}), s.uniform({3}), s.uniform({3}, 0.5, 2), s.uniform({5}),
                 s.uniform({3, 5})},
                call, torch(" * {3}", "{4}", "-1", "0"));
          s.add({s.uniform({2, 3, 5}), s.uniform({2, 3}), s.uniform({2, 3}, 0.5, 2), s.uniform({5}),
                 s.uniform({2, 3, 5})},
                call, torch(" * {3}", "{4}", "-1", "(0, 1)"));
          s.add({s.uniform({2, 3, 2}), s.uniform({2}), s.uniform({2}, 0.5, 2), s.uniform({3, 2}),
                 s.uniform({2, 3, 2})},
                call, torch(" * {3}", "{4}", "(-2, -1)", "0"));
          s.add({s.uniform({3, 5}), s.uniform({3}), s.uniform({3}, 0.5, 2), s.uniform({3, 5})},
                call, torch("", "{3}", "-1", ""));
          s.bad({s.uniform({3, 5}), s.uniform({3}), s.uniform({3}), s.uniform({5}),
                 s.uniform({3, 4})},
                call, "dy has shape 3x4, x has 3x5");
          s.bad({s.uniform({3, 5}), s.uniform({3}), s.uniform({4}), s.uniform({5}),
                 s.uniform({3, 5})},
                call, "input 2 has shape 4, the leading dimensions are 3");
        },
};

Tensor layer_norm(In x, const Tensor& weight, const Tensor& bias, double eps,
                  int64_t normalized_rank) {
  const Tensor& t = x;
  const int64_t r =
      resolve_rank("layer_norm", t, weight.defined() ? weight : bias, normalized_rank);
  const RowNormAttrs a{r, eps};
  if (!weight.defined() && !bias.defined()) return make(op_layer_norm, a, {t});
  if (!bias.defined()) return make(op_layer_norm, a, {t, weight});
  return make(op_layer_norm, a, {t, weight.defined() ? weight : ones_like(bias), bias});
}

}  // namespace nacre
