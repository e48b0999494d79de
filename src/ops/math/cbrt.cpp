#include "ops/op.h"

namespace nacre {

/// Cube root, elementwise; negative numbers have a negative one.
/// x: any shape, floating (integers become f32).
API(Tensor cbrt(In x))

OP(cbrt) = {
    .name = "cbrt",
    .kind = OpKind::elementwise,
    .infer = infer_same_float,
    .f1 = [](double x) { return std::cbrt(x); },
    .vjp = [](Vjp& v) { v.dx(0) = v.dy() / (3.0 * square(v.y())); },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{cbrt(x[0])}; };
          s.add({s.uniform({3, 4}, 0.1, 4)}, call, "torch.sign({0}) * torch.abs({0}).pow(1 / 3)");
          s.add({s.uniform({}, 0.1, 4)}, call, "torch.sign({0}) * torch.abs({0}).pow(1 / 3)");
          s.add({s.uniform({0, 3}, 0.1, 4)}, call, "torch.sign({0}) * torch.abs({0}).pow(1 / 3)");
          s.add({s.at({0, 1, 8, -8, -27, INFINITY, -INFINITY, NAN})}, call,
                "torch.sign({0}) * torch.abs({0}).pow(1 / 3)")
              .check_grad = false;
        },
};

Tensor cbrt(In x) { return make(op_cbrt, {as_float(x)}); }

}  // namespace nacre
