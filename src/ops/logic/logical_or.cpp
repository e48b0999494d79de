#include "ops/op.h"

namespace nacre {

/// True where at least one is true, elementwise.
/// a, b: any types (true is != 0) and shapes that broadcast. Returns bool.
API(Tensor logical_or(In a, In b))

OP(logical_or) = {
    .name = "logical_or",
    .kind = OpKind::elementwise,
    .infer =
        [](Infer& in) {
          in.check(in.dtype(0) == DType::boolean && in.dtype(1) == DType::boolean,
                   {"both inputs have to be bool"});
          infer_broadcast(in);
        },
    .i2 = [](int64_t a, int64_t b) -> int64_t { return a || b; },
    .onnx = "Or",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{logical_or(x[0], x[1])}; };
          s.add({s.boolean({3, 4}), s.boolean({4})}, call, "torch.logical_or({0}, {1})");
          s.add({s.at({0, 0, 2, NAN, 0}), s.at({0, -0.5, 0, 1, NAN})}, call,
                "torch.logical_or({0}, {1})");
          s.add({s.integers({2, 1}, 0, 2), s.integers({0}, 0, 2)}, call,
                "torch.logical_or({0}, {1})");
          s.bad({s.boolean({2, 3}), s.boolean({4})}, call, "do not broadcast");
        },
};

Tensor logical_or(In a, In b) {
  return make(op_logical_or, {cast(a, DType::boolean), cast(b, DType::boolean)});
}

}  // namespace nacre
