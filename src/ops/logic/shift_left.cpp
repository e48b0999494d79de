#include "ops/op.h"

namespace nacre {

/// Bits shifted to higher places, elementwise: a * 2^b. Shifts below 0 or beyond the width give 0.
/// a, b: integers (promoted), shapes that broadcast.
API(Tensor shift_left(In a, In b))

OP(shift_left) = {
    .name = "shift_left",
    .kind = OpKind::elementwise,
    .infer =
        [](Infer& in) {
          in.check(in.inputs() == 2, {"takes 2 inputs, got ", in.inputs()});
          in.check(is_integer(in.dtype(0)), {"integers are needed"});
          infer_broadcast(in);
        },
    .ref =
        [](Ref& r) {
          const int64_t bits = 8 * static_cast<int64_t>(size_of(r.out().dtype));
          for (int64_t k = 0; k < r.out().n; ++k) {
            const int64_t a = r.in(0).i[broadcast_index(k, r.out().shape, r.in(0).shape)];
            const int64_t b = r.in(1).i[broadcast_index(k, r.out().shape, r.in(1).shape)];
            r.out().i[k] =
                b < 0 || b >= bits ? 0 : static_cast<int64_t>(static_cast<uint64_t>(a) << b);
          }
        },
    .onnx = "BitShift",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{shift_left(x[0], x[1])}; };
          s.add({s.integers({3, 4}, 0, 99), s.integers({4}, 0, 9)}, call, "{0} << {1}");
          s.add({s.integers({5}, -99, 99), s.integers({}, 0, 9)}, call, "{0} << {1}");
          s.add({s.integers({2, 1}, 0, 9), s.integers({0}, 0, 9)}, call, "{0} << {1}");
          s.add({s.ints_at({1, -1, 7, -7}, {4}), s.ints_at({64, 64, -1, -1}, {4})}, call).oracle =
              "shifts beyond the width are our rule: all bits are shifted out";
          s.bad({s.uniform({3}), s.uniform({3})}, call, "integers are needed");
          s.bad({s.integers({2, 3}, 0, 9), s.integers({4}, 0, 9)}, call, "do not broadcast");
        },
};

Tensor shift_left(In a, In b) { return make(op_shift_left, unify(std::move(a), std::move(b))); }

}  // namespace nacre
