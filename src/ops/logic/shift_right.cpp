#include "ops/op.h"

namespace nacre {

/// Bits shifted to lower places, elementwise: floor(a / 2^b), the sign stays. Shifts below 0 or
/// beyond the width leave only the sign: 0 or -1. a, b: integers (promoted), shapes that broadcast.
API(Tensor shift_right(In a, In b))

OP(shift_right) = {
    .name = "shift_right",
    .kind = OpKind::elementwise,
    .infer =
        [](Infer& in) {
          in.check(in.inputs() == 2, {"takes 2 inputs, got ", in.inputs()});
          in.check(is_integer(in.dtype(0)), {"integers are needed"});
          infer_broadcast(in);
        },
    .i2 = [](int64_t a, int64_t b) { return a >> (b < 0 || b > 63 ? 63 : b); },
    .onnx = "BitShift",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{shift_right(x[0], x[1])}; };
          s.add({s.integers({3, 4}, 0, 99), s.integers({4}, 0, 9)}, call, "{0} >> {1}");
          s.add({s.integers({5}, -99, 99), s.integers({}, 0, 9)}, call, "{0} >> {1}");
          s.add({s.integers({2, 1}, 0, 9), s.integers({0}, 0, 9)}, call, "{0} >> {1}");
          s.add({s.ints_at({1, -1, 7, -7}, {4}), s.ints_at({64, 64, -1, -1}, {4})}, call).oracle =
              "shifts beyond the width are our rule: all bits are shifted out";
          s.bad({s.uniform({3}), s.uniform({3})}, call, "integers are needed");
          s.bad({s.integers({2, 3}, 0, 9), s.integers({4}, 0, 9)}, call, "do not broadcast");
        },
};

Tensor shift_right(In a, In b) { return make(op_shift_right, unify(std::move(a), std::move(b))); }

}  // namespace nacre
