#include "ops/op.h"

namespace nacre {

/// Leaky rectified linear unit with learned slopes: x where x > 0, else weight * x (He et al.,
/// 2015). x: NxC... (or any shape), floating; weight: one element, or C.
API(Tensor prelu(In x, In weight))

OP(prelu) = {
    .name = "prelu",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          in.check_float(0);
          in.check_same_dtype();
          const int64_t n = in.shape(1).numel(), channels = in.rank(0) > 1 ? in.shape(0)[1] : 1;
          in.check(in.rank(1) <= 1 && (n == 1 || n == channels),
                   {"weight has ", n, " elements, expected 1 or the ", channels,
                    " channels of the input"});
          in.out(in.dtype(0), in.shape(0));
        },
    .decompose = [](const void*, const Tensors& in) -> Tensors {
      Shape s(in[0].shape().size(), 1);
      if (in[1].numel() != 1) s[1] = in[1].numel();
      return {where(gt(in[0], 0.0), in[0], in[0] * reshape(in[1], s))};
    },
    .onnx = "PRelu",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4}, -2, -0.2), s.uniform({3})},
              [](const Tensors& x) { return Tensors{prelu(x[0], x[1])}; }, "F.prelu({0}, {1})");
          s.add(
              {s.uniform({2, 3}, 0.2, 1), s.uniform({1})},
              [](const Tensors& x) { return Tensors{prelu(x[0], x[1])}; }, "F.prelu({0}, {1})");
          s.add(
              {s.uniform({4}, -2, -0.2), s.uniform({1})},
              [](const Tensors& x) { return Tensors{prelu(x[0], x[1])}; }, "F.prelu({0}, {1})");
          s.add(
              {s.uniform({0, 3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{prelu(x[0], x[1])}; },
              "torch.where({0} > 0, {0}, {0} * {1})");
          s.add(
              {s.uniform({}, -2, -1), s.uniform({1})},
              [](const Tensors& x) { return Tensors{prelu(x[0], x[1])}; },
              "torch.where({0} > 0, {0}, {0} * {1}.squeeze())");
          s.bad(
              {s.uniform({2, 3}), s.uniform({2})},
              [](const Tensors& x) { return Tensors{prelu(x[0], x[1])}; },
              "weight has 2 elements, expected 1 or the 3 channels");
        },
};

Tensor prelu(In x, In weight) { return make(op_prelu, {as_float(x), weight}); }

}  // namespace nacre
