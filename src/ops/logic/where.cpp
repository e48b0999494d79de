#include "ops/op.h"

namespace nacre {

/// a where cond is true, b elsewhere, elementwise. No gradient passes through the side not taken,
/// but its derivative is still computed: keep both sides finite, where(ok, f(where(ok, x, 1)), 0).
/// cond: any type (true is != 0); a, b: any types (promoted); shapes broadcast.
API(Tensor where(In cond, In a, In b))

OP(where) = {
    .name = "where",
    .kind = OpKind::elementwise,
    .infer =
        [](Infer& in) {
          in.check(in.dtype(0) == DType::boolean, {"the condition has to be bool"});
          in.check(in.dtype(1) == in.dtype(2),
                   {"input 2 has type ", in.dtype(2), ", input 1 has ", in.dtype(1)});
          Shape s = in.shape(0);
          for (size_t i = 1; i < 3; ++i) try {
              s = broadcast_shapes(s, in.shape(i));
            } catch (const Error& e) {
              in.fail({e.what()});
            }
          in.out(in.dtype(1), s);
        },
    .ref =
        [](Ref& r) {
          r.typed(
              [&](auto*, auto* y) {
                for (int64_t k = 0; k < r.out().n; ++k) {
                  const auto at = [&](size_t i) {
                    return broadcast_index(k, r.out().shape, r.in(i).shape);
                  };
                  const size_t from = r.in(0).i[at(0)] ? 1 : 2;
                  if constexpr (std::is_same_v<decltype(*y), double&>)
                    y[k] = r.in(from).d[at(from)];
                  else
                    y[k] = r.in(from).i[at(from)];
                }
              },
              1);
        },
    .vjp =
        [](Vjp& v) {
          if (v.wants(1)) v.dx(1) = where(v.x(0), v.dy(), 0.0);
          if (v.wants(2)) v.dx(2) = where(v.x(0), 0.0, v.dy());
        },
    .onnx = "Where",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{where(x[0], x[1], x[2])}; };
          s.add({s.boolean({3, 4}), s.uniform({3, 4}), s.uniform({3, 4})}, call,
                "torch.where({0}, {1}, {2})");
          s.add({s.boolean({3, 1}), s.uniform({4}), s.uniform({})}, call,
                "torch.where({0}, {1}, {2})");
          s.add({s.boolean({}), s.integers({2, 1}, -9, 9), s.integers({3}, -9, 9)}, call,
                "torch.where({0}, {1}, {2})");
          s.add({s.boolean({2, 1}), s.uniform({0}), s.uniform({})}, call,
                "torch.where({0}, {1}, {2})");
          s.bad({s.boolean({2, 3}), s.uniform({4}), s.uniform({3})}, call, "broadcast");
        },
};

Tensor where(In cond, In a, In b) {
  const auto [x, y] = unify(a, b);
  return make(op_where, {cast(cond, DType::boolean), x, y});
}

}  // namespace nacre
