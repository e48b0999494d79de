#include "ops/norm/norm.h"

namespace nacre {

/// Batch normalisation with the statistics of the batch (Ioffe and Szegedy 2015):
/// (x - mean) / sqrt(variance + eps) * weight + bias, mean and biased variance over all dimensions
/// but the second. x: NxCx..., weight, bias: C. Returns {y, mean, variance}; statistics are f32
/// where x is of a 16-bit type.
API(Tensors batch_norm_train(In x, In weight, In bias, double eps = 1e-5))
/// Batch normalisation with given statistics. x: NxCx..., weight, bias, mean, variance: C.
API(Tensor batch_norm_infer(In x, In weight, In bias, In mean, In variance, double eps = 1e-5))

namespace {

void check_channels(const Infer& in) {
  in.check_float(0);
  in.check(in.rank(0) >= 2, {"the input has rank ", in.rank(0), ", at least 2 is needed"});
  in.check(in.attrs<EpsAttrs>().eps >= 0, {"eps is ", in.attrs<EpsAttrs>().eps});
}

void check_per_channel(const Infer& in, size_t i) {
  const int64_t channels = in.shape(0)[1];
  check_beside(in, i);
  in.check(in.shape(i) == Shape{channels},
           {"input ", i, " has shape ", in.shape(i), ", ", channels, " channels need ", channels});
}

Tensors batch_norm_grad(const Tensor& x, const Tensor& weight, const Tensor& mean,
                        const Tensor& variance, const Tensor& dy, const EpsAttrs& a);

}  // namespace

OP(batch_norm_train) = {
    .name = "batch_norm_train",
    .kind = OpKind::composite,
    .attrs = attr_type<EpsAttrs>(),
    .infer =
        [](Infer& in) {
          check_channels(in);
          for (size_t i : {1, 2}) check_per_channel(in, i);
          const int64_t channels = in.shape(0)[1];
          in.check(in.shape(0).numel() > 0, {"there is no value to take statistics of"});
          in.out(in.dtype(0), in.shape(0));
          for (int k = 0; k < 2; ++k) in.out(statistics_type(in.dtype(0)), {channels});
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const Tensor x = wide(in[0]);
      const Ints dims = all_but_channels(x.rank());
      const Tensor m = mean(x, dims);
      const Tensor centred = x - over_channels(m, x.rank());
      const Tensor v = mean(square(centred), dims);
      const Tensor scale = rsqrt(v + static_cast<const EpsAttrs*>(attrs)->eps) * wide(in[1]);
      const Tensor y =
          centred * over_channels(scale, x.rank()) + over_channels(wide(in[2]), x.rank());
      return {cast(y, in[0].dtype()), m, v};
    },
    .vjp =
        [](Vjp& v) {
          const Tensor& x = v.x(0);
          if (v.has_dy(0)) {
            const Tensors g =
                batch_norm_grad(x, v.x(1), v.y(1), v.y(2), v.dy(), v.attrs<EpsAttrs>());
            v.dx(0) = g[0];
            v.dx(1) = g[1];
            v.dx(2) = g[2];
          }
          if (!v.has_dy(1) && !v.has_dy(2)) return;
          const int64_t rank = x.rank();
          const double n = static_cast<double>(x.numel() / x.size(1));
          Tensor extra = expand(over_channels(v.dy(1) / n, rank), x.shape());
          if (v.has_dy(2))
            extra +=
                (wide(x) - over_channels(v.y(1), rank)) * over_channels(v.dy(2) * (2 / n), rank);
          extra = cast(extra, x.dtype());
          v.dx(0) = v.has_dy(0) ? v.dx(0) + extra : extra;
        },
    .onnx = "BatchNormalization",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return batch_norm_train(x[0], x[1], x[2]); };
          const std::string torch =
              "(F.batch_norm({0}, None, None, {1}, {2}, True), {0}.mean(DIMS), "
              "{0}.var(DIMS, unbiased=False))";
          const auto with = [&](const std::string& dims) {
            std::string t = torch;
            for (size_t at; (at = t.find("DIMS")) != std::string::npos;) t.replace(at, 4, dims);
            return t;
          };
          s.add({s.uniform({4, 3, 2, 3}), s.uniform({3}), s.uniform({3})}, call, with("(0, 2, 3)"));
          s.add({s.uniform({5, 3}), s.uniform({3}), s.uniform({3})}, call, with("0"));
          s.add({s.uniform({1, 2, 7}, 3, 5), s.uniform({2}), s.uniform({2})}, call, with("(0, 2)"));
          s.add({s.uniform({1, 2, 1}), s.uniform({2}), s.uniform({2})}, call).oracle =
              "the decomposition: PyTorch refuses one value per channel";
          s.bad({s.uniform({4, 3, 2}), s.uniform({2}), s.uniform({3})}, call,
                "input 1 has shape 2, 3 channels need 3");
          s.bad({s.uniform({4, 3, 2}), s.uniform({3}), s.uniform({3, 1})}, call,
                "input 2 has shape 3x1");
          s.bad({s.uniform({4}), s.uniform({4}), s.uniform({4})}, call, "rank 1");
          s.bad({s.uniform({0, 3}), s.uniform({3}), s.uniform({3})}, call, "no value");
          s.bad({s.integers({4, 3}, 0, 9), s.uniform({3}), s.uniform({3})}, call,
                "a floating type is needed");
        },
};

OP(batch_norm_infer) = {
    .name = "batch_norm_infer",
    .kind = OpKind::composite,
    .attrs = attr_type<EpsAttrs>(),
    .infer =
        [](Infer& in) {
          check_channels(in);
          for (size_t i : {1, 2, 3, 4}) check_per_channel(in, i);
          in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const Tensor x = wide(in[0]);
      const Tensor scale =
          rsqrt(wide(in[4]) + static_cast<const EpsAttrs*>(attrs)->eps) * wide(in[1]);
      const Tensor y = (x - over_channels(wide(in[3]), x.rank())) * over_channels(scale, x.rank()) +
                       over_channels(wide(in[2]), x.rank());
      return {cast(y, in[0].dtype())};
    },
    .onnx = "BatchNormalization",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{batch_norm_infer(x[0], x[1], x[2], x[3], x[4])};
          };
          const auto torch = [](const char* v) {  // torch has no gradient of running statistics
            return cat(
                {"({0} - {3}", v, ") / torch.sqrt({4}", v, " + 1e-5) * {1}", v, " + {2}", v});
          };
          const auto c = [&](int64_t n) { return s.uniform({n}); };
          s.add({s.uniform({4, 3, 2, 3}), c(3), c(3), c(3), s.uniform({3}, 0.5, 2)}, call,
                torch("[:, None, None]"));
          s.add({s.uniform({5, 3}), c(3), c(3), c(3), s.uniform({3}, 0.5, 2)}, call, torch(""));
          s.add({s.uniform({0, 2, 3}), c(2), c(2), c(2), s.uniform({2}, 0.5, 2)}, call,
                torch("[:, None]"));
          s.bad({s.uniform({4, 3}), c(3), c(3), c(3), c(2)}, call, "input 4 has shape 2");
          s.bad({s.uniform({4}), c(3), c(3), c(3), c(3)}, call, "rank 1");
        },
};

/// Gradient of batch_norm_train: (x, weight, mean, variance, dy) -> (dx, dweight, dbias).
OP(batch_norm_grad) = {
    .name = "batch_norm_grad",
    .kind = OpKind::composite,
    .attrs = attr_type<EpsAttrs>(),
    .infer =
        [](Infer& in) {
          check_channels(in);
          for (size_t i : {1, 2, 3}) check_per_channel(in, i);
          check_beside(in, 4);
          in.check(in.shape(4) == in.shape(0),
                   {"input 4 has shape ", in.shape(4), ", input 0 has ", in.shape(0)});
          in.out(in.dtype(0), in.shape(0));
          for (int k = 0; k < 2; ++k) in.out(in.dtype(1), in.shape(1));
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const Tensor x = wide(in[0]), dy = wide(in[4]), w = wide(in[1]);
      const int64_t rank = x.rank();
      const Ints dims = all_but_channels(rank);
      const double n = static_cast<double>(x.numel()) / static_cast<double>(w.numel());
      const Tensor rstd = rsqrt(wide(in[3]) + static_cast<const EpsAttrs*>(attrs)->eps);
      const Tensor normal = (x - over_channels(wide(in[2]), rank)) * over_channels(rstd, rank);
      const Tensor db = sum(dy, dims), dw = sum(dy * normal, dims);
      const Tensor dx = (dy - over_channels(db / n, rank) - normal * over_channels(dw / n, rank)) *
                        over_channels(w * rstd, rank);
      return {cast(dx, in[0].dtype()), cast(dw, in[1].dtype()), cast(db, in[1].dtype())};
    },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return batch_norm_grad(x[0], x[1], x[2], x[3], x[4], EpsAttrs{});
          };
          const auto sample = [&](Shape x, const char* torch) {
            const int64_t c = x[1];
            s.add({s.uniform(x), s.uniform({c}), s.uniform({c}), s.uniform({c}, 0.5, 2),
                   s.uniform(x)},
                  call, torch);
          };
          const char* dwdb =
              "(lambda r, h: (({4} - {4}.mean(0) - h * ({4} * h).mean(0)) * {1} * r, "
              "({4} * h).sum(0), {4}.sum(0)))(({3} + 1e-5).rsqrt(), ({0} - {2}) * "
              "({3} + 1e-5).rsqrt())";
          sample({5, 3}, dwdb);
          sample({1, 3}, dwdb);
          sample({4, 1}, dwdb);
          s.bad({s.uniform({4, 3}), s.uniform({3}), s.uniform({3}), s.uniform({3}),
                 s.uniform({4, 2})},
                call, "input 4 has shape 4x2, input 0 has 4x3");
          s.bad({s.uniform({4, 3}), s.uniform({2}), s.uniform({3}), s.uniform({3}),
                 s.uniform({4, 3})},
                call, "input 1 has shape 2");
        },
};

namespace {

Tensors batch_norm_grad(const Tensor& x, const Tensor& weight, const Tensor& mean,
                        const Tensor& variance, const Tensor& dy, const EpsAttrs& a) {
  return make_all(op_batch_norm_grad, a, {x, weight, mean, variance, dy});
}

}  // namespace

Tensors batch_norm_train(In x, In weight, In bias, double eps) {
  return make_all(op_batch_norm_train, EpsAttrs{eps}, {x, weight, bias});
}

Tensor batch_norm_infer(In x, In weight, In bias, In mean, In variance, double eps) {
  return make(op_batch_norm_infer, EpsAttrs{eps}, {x, weight, bias, mean, variance});
}

}  // namespace nacre
