#include "nacre/autograd.h"
#include "ops/nn/pool.h"

namespace nacre {
namespace {

struct StochasticPoolAttrs {
  Ints kernel, stride;
  void fields(FieldVisitor& v) {
    v("kernel", kernel);
    v("stride", stride);
  }
};

SlidingWindow window_of(const StochasticPoolAttrs& a) {
  const Ints one(a.kernel.size(), 1), none(a.kernel.size(), 0);
  return {a.kernel, a.stride, one, none, none};
}

}  // namespace

/// Stochastic pooling (Zeiler and Fergus 2013) of activations >= 0. With noise, one value of each
/// window is drawn with probability in proportion to it; without, the result is the expectation:
/// the mean weighted by these probabilities. x: NxCx and one to three spatial dimensions; noise:
/// uniform in [0, 1), of the result's shape. A window of zeros gives 0.
API(Tensor stochastic_pool(In x, const Ints& kernel, const Ints& stride = {},
                           const Tensor& noise = {}))

OP(stochastic_pool) = {
    .name = "stochastic_pool",
    .kind = OpKind::composite,
    .attrs = attr_type<StochasticPoolAttrs>(),
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.check(in.rank(0) >= 3 && in.rank(0) <= 5,
                   {"the input has rank ", in.rank(0), ", 3 to 5 are known"});
          const Shape& x = in.shape(0);
          const Shape y = with_spatial(
              x[0], x[1],
              windowed_shape(in, spatial_of(x), window_of(in.attrs<StochasticPoolAttrs>())));
          if (in.inputs() > 1) {
            in.check_float(1);
            in.check(in.shape(1) == y, {"noise has shape ", in.shape(1), ", ", y, " is needed"});
          }
          in.out(in.dtype(0), y);
        },
    .decompose = [](const void* attrs, const Tensors& in) -> Tensors {
      const auto& a = *static_cast<const StochasticPoolAttrs*>(attrs);
      const Shape &x = in[0].shape(), spatial = spatial_of(x);
      Shape out = {x[0], x[1]};
      for (int64_t d = 0; d < spatial.rank(); ++d)
        out.push_back((spatial[d] - a.kernel[d]) / a.stride[d] + 1);
      const int64_t planes = x[0] * x[1], positions = spatial_of(out).numel();
      const Tensor windows =
          unfold(reshape(in[0], with_spatial(planes, 1, spatial)), a.kernel, a.stride);
      const Tensor total = sum(windows, {1}, true);
      if (in.size() == 1) {
        const Tensor safe = where(total > 0.0, total, 1.0);
        return {reshape(sum(square(windows), {1}, true) / safe, out)};
      }
      const Tensor mark = reshape(in[1], {planes, 1, positions}) * total;
      const Tensor below = cast(cumsum(windows, 1) <= mark, DType::i64);
      const Tensor at = minimum(sum(below, {1}, true), a.kernel.numel() - 1);
      return {reshape(gather(windows, 1, at), out)};
    },
    .samples =
        [](Samples& s) {
          const auto mean = [](Ints kernel, Ints stride) {
            return [=](const Tensors& x) { return Tensors{stochastic_pool(x[0], kernel, stride)}; };
          };
          s.add({s.uniform({2, 3, 4, 6}, 0, 1)}, mean({2}, {}),
                "F.avg_pool2d({0} ** 2, 2) / F.avg_pool2d({0}, 2)");
          s.add({s.uniform({1, 2, 7}, 0, 1)}, mean({3}, {2}),
                "F.avg_pool1d({0} ** 2, 3, 2) / F.avg_pool1d({0}, 3, 2)");
          s.add({s.at({0, 0, 3, 4, 1, 0}, {1, 1, 6})}, mean({2}, {})).check_grad = false;
          s.list.back().oracle = "a window of zeros gives 0";
          const auto drawn = [](const Tensors& x) {
            return Tensors{stochastic_pool(x[0], {2}, {}, stop_gradient(x[1]))};
          };
          s.add({s.at({1, 3, 3, 1, 0, 0}, {1, 1, 6}), s.at({0.2, 0.8, 0.5}, {1, 1, 3})}, drawn,
                "torch.stack([{0}[..., 0], {0}[..., 3], {0}[..., 5]], -1)");
          s.list.back().check_grad = false;
          s.add({s.uniform({0, 2, 4, 4}, 0, 1)}, mean({2}, {}), "F.avg_pool2d({0}, 2)");
          s.bad({s.uniform({1, 1, 4}, 0, 1), s.uniform({1, 1, 3})}, drawn,
                "noise has shape 1x1x3, 1x1x2 is needed");
          s.bad({s.uniform({1, 4}, 0, 1)}, mean({2}, {}), "rank 2");
          s.bad({s.uniform({1, 1, 4}, 0, 1)}, mean({5}, {}), "window of 5 is larger");
        },
};

Tensor stochastic_pool(In x, const Ints& kernel, const Ints& stride, const Tensor& noise) {
  if (x->rank() < 3) check_pool_input("stochastic_pool", x, 1);
  const int64_t rank = x->rank() - 2;
  const StochasticPoolAttrs a{
      per_dimension("stochastic_pool", "kernel", kernel, rank),
      per_dimension("stochastic_pool", "stride", stride.empty() ? kernel : stride, rank)};
  if (noise.defined()) return make(op_stochastic_pool, a, {x, noise});
  return make(op_stochastic_pool, a, {x});
}

}  // namespace nacre
