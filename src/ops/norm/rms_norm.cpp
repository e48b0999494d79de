#include "ops/norm/norm.h"

namespace nacre {

/// Root mean square normalisation (Zhang and Sennrich 2019): x / sqrt(mean(x^2) + eps) * weight,
/// the mean over the last normalized_rank dimensions (0: those of weight, else 1). x: floating,
/// weight: the sizes of these dimensions, or undefined. Returns x's shape.
API(Tensor rms_norm(In x, const Tensor& weight = {}, double eps = 1e-5,
                    int64_t normalized_rank = 0))

extern const OpDef op_rms_norm_grad;

OP(rms_norm) = {
    .name = "rms_norm",
    .kind = OpKind::composite,
    .attrs = attr_type<RowNormAttrs>(),
    .infer =
        [](Infer& in) {
          const Shape leading = check_rows(in);
          if (in.inputs() > 1) check_row_weight(in, 1);
          in.out(in.dtype(0), in.shape(0));
          in.out(statistics_type(in.dtype(0)), leading);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const RowNormAttrs*>(attrs);
      const Tensor x = wide(in[0]);
      const Ints dims = dims_between(x.rank() - a.normalized_rank, x.rank());
      const Tensor rstd = rsqrt(mean(square(x), dims, true) + a.eps);
      Tensor y = x * rstd;
      if (in.size() > 1) y *= wide(in[1]);
      return {cast(y, in[0].dtype()),
              reshape(rstd, x.shape().slice(0, x.rank() - a.normalized_rank))};
    },
    .vjp =
        [](Vjp& v) {
          const Tensor& x = v.x(0);
          const auto& a = v.attrs<RowNormAttrs>();
          if (v.has_dy(0)) {
            const Tensors g = v.inputs() == 1
                                  ? make_all(op_rms_norm_grad, a, {x, v.y(1), v.dy()})
                                  : make_all(op_rms_norm_grad, a, {x, v.y(1), v.x(1), v.dy()});
            for (size_t i = 0; i < v.inputs(); ++i) v.dx(i) = g[i];
          }
          if (!v.has_dy(1)) return;
          const int64_t r = a.normalized_rank;
          const double n = static_cast<double>(x.shape().slice(x.rank() - r, x.rank()).numel());
          const Tensor rstd = v.y(1);
          const Tensor extra =
              cast(wide(x) * over_rows(v.dy(1) * square(rstd) * rstd / -n, x, r), x.dtype());
          v.dx(0) = v.has_dy(0) ? v.dx(0) + extra : extra;
        },
    .onnx = "RMSNormalization",
    .samples =
        [](Samples& s) {
          const auto two = [](const Tensors& x) { return Tensors{rms_norm(x[0], x[1])}; };
          s.add({s.uniform({4, 6}), s.uniform({6})}, two, "F.rms_norm({0}, (6,), {1}, 1e-5)");
          s.add({s.uniform({2, 3, 4}), s.uniform({3, 4})}, two,
                "F.rms_norm({0}, (3, 4), {1}, 1e-5)");
          s.add(
              {s.uniform({2, 3, 5})},
              [](const Tensors& x) { return Tensors{rms_norm(x[0], {}, 0.1)}; },
              "F.rms_norm({0}, (5,), None, 0.1)");
          s.add({s.uniform({0, 6}), s.uniform({6})}, two, "F.rms_norm({0}, (6,), {1}, 1e-5)");
          s.add(
              {s.uniform({4, 6}), s.uniform({6})},
              [](const Tensors& x) {
                return make_all(op_rms_norm, RowNormAttrs{}, {x[0], x[1]});
              },
              "(F.rms_norm({0}, (6,), {1}, 1e-5), ({0}.square().mean(1) + 1e-5).rsqrt())");
          s.bad({s.uniform({4, 6}), s.uniform({5})}, two,
                "input 1 has shape 5, the normalised dimensions are 6");
          s.bad({s.uniform({6}), s.uniform({1, 6})}, two,
                "normalized_rank is 2, the input has 1 dimensions");
          s.bad({s.integers({4, 6}, 0, 9), s.uniform({6})}, two, "a floating type is needed");
        },
};

/// Gradient of rms_norm: (x, rstd[, weight], dy) -> (dx[, dweight]).
OP(rms_norm_grad) = {
    .name = "rms_norm_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<RowNormAttrs>(),
    .infer =
        [](Infer& in) {
          check_rows(in);
          const size_t last = in.inputs() - 1;
          check_row_statistic(in, 1);
          if (last > 2) check_row_weight(in, 2);
          check_beside(in, last);
          in.check(in.shape(last) == in.shape(0),
                   {"dy has shape ", in.shape(last), ", x has ", in.shape(0)});
          in.out(in.dtype(0), in.shape(0));
          if (last > 2) in.out(in.dtype(2), in.shape(2));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const int64_t r = static_cast<const RowNormAttrs*>(attrs)->normalized_rank;
      const Tensor x = wide(in[0]), dy = wide(in.back());
      const Tensor rstd = over_rows(wide(in[1]), x, r), normal = x * rstd;
      const Tensor g = in.size() > 3 ? dy * wide(in[2]) : dy;
      const Ints dims = dims_between(x.rank() - r, x.rank());
      const Tensor dx = cast(rstd * (g - normal * mean(g * normal, dims, true)), in[0].dtype());
      if (in.size() <= 3) return {dx};
      const Ints rows = dims_between(0, x.rank() - r);
      const Tensor dw = rows.empty() ? dy * normal : sum(dy * normal, rows);
      return {dx, cast(dw, in[2].dtype())};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return make_all(op_rms_norm_grad, box(RowNormAttrs{x[0].rank() - x[1].rank(), 1e-5}),
                            x);
          };
          s.add({s.uniform({3, 5}), s.uniform({3}, 0.5, 2), s.uniform({5}), s.uniform({3, 5})},
                call,
                "(lambda r, g: (r * (g - {0} * r * (g * {0} * r).mean(-1, keepdim=True)), "
                "({3} * {0} * r).sum(0)))({1}[:, None], {3} * {2})");
          s.add({s.uniform({3, 5}), s.uniform({3}, 0.5, 2), s.uniform({3, 5})}, call,
                "(lambda r, g: r * (g - {0} * r * (g * {0} * r).mean(-1, keepdim=True)))"
                "({1}[:, None], {2})");
          s.add({s.uniform({2, 3, 2}), s.uniform({2}, 0.5, 2), s.uniform({2, 3, 2})}, call,
                "(lambda r, g: r * (g - {0} * r * (g * {0} * r).mean((1, 2), keepdim=True)))"
                "({1}[:, None, None], {2})");
          s.bad({s.uniform({3, 5}), s.uniform({3}), s.uniform({5}), s.uniform({3, 4})}, call,
                "dy has shape 3x4, x has 3x5");
          s.bad({s.uniform({3, 5}), s.uniform({4}), s.uniform({5}), s.uniform({3, 5})}, call,
                "input 1 has shape 4, the leading dimensions are 3");
        },
};

Tensor rms_norm(In x, const Tensor& weight, double eps, int64_t normalized_rank) {
  const RowNormAttrs a{resolve_rank("rms_norm", x, weight, normalized_rank), eps};
  return weight.defined() ? make(op_rms_norm, a, {x, weight}) : make(op_rms_norm, a, {x});
}

}  // namespace nacre
