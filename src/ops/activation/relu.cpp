#include "ops/op.h"

namespace nacre {

/// Rectified linear unit, elementwise: max(x, 0). NaN stays NaN; the gradient at 0 is 0.
/// x: any shape and numeric type.
API(Tensor relu(In x))

OP(relu) = {
    .name = "relu",
    .kind = OpKind::elementwise,
    .infer = infer_same<0>,
    .f1 = [](double x) { return x < 0 ? 0 : x; },
    .i1 = [](int64_t x) { return x > 0 ? x : 0; },
    .vjp = [](Vjp& v) { v.dx(0) = where(v.y() > 0.0, v.dy(), 0.0); },
    .onnx = "Relu",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{relu(x[0])}; };
          s.add({s.uniform({3, 4}, 0.2, 2)}, call, "torch.relu({0})");
          s.add({s.uniform({}, 0.2, 2)}, call, "torch.relu({0})");
          s.add({s.uniform({0, 3}, 0.2, 2)}, call, "torch.relu({0})");
          s.add({s.at({-INFINITY, -1e30, -1, -0.0, 0, 1, 1e30, INFINITY, NAN})}, call,
                "torch.relu({0})")
              .check_grad = false;
          s.add({s.integers({7}, -9, 9)}, call, "torch.relu({0})");
          s.add({s.uniform({5}, -2, -0.2)}, call, "torch.relu({0})");
        },
};

Tensor relu(In x) { return make(op_relu, {x}); }

}  // namespace nacre
