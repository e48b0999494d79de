#include "ops/op.h"
#include "ops/reduce/reduce.h"

namespace nacre {

/// Product over dimensions. x: any shape and type; bool and narrow integers are multiplied as i64.
/// dims: all if none are given; keepdim leaves reduced dimensions with size 1.
API(Tensor prod(In x, const Ints& dims = {}, bool keepdim = false))

OP(prod) = {
    .name = "prod",
    .attrs = attr_type<ReduceAttrs>(),
    .infer = infer_reduce,
    .ref =
        [](Ref& r) {
          r.typed([&](auto* x, auto* y) {
            std::fill(y, y + r.out().n, 1);
            for_reduced(r, [&](int64_t i, int64_t o) {
              if constexpr (std::is_same_v<decltype(y), double*>)
                y[o] *= x[i];
              else
                y[o] =
                    static_cast<int64_t>(static_cast<uint64_t>(y[o]) * static_cast<uint64_t>(x[i]));
            });
          });
        },
    .vjp =
        [](Vjp& v) {
          // The product of all others, from the left times from the right: right where factors are
          // zero.
          const Shape& shape = v.x(0).shape();
          if (shape.numel() == 0) return;
          const Ints& dims = v.attrs<ReduceAttrs>().dims;
          Ints order;
          for (int64_t d = 0; d < shape.rank(); ++d)
            if (std::find(dims.begin(), dims.end(), d) == dims.end()) order.push_back(d);
          for (int64_t d : dims) order.push_back(d);
          const Tensor moved = permute(v.x(0), order);
          const int64_t n = shape.numel() / v.y().numel();
          const Tensor x = reshape(moved, {v.y().numel(), n});
          const Tensor left = narrow(pad(cumprod(x, 1), {0, 1}, {0, 0}, "constant", 1.0), 1, 0, n);
          const Tensor right = flip(
              narrow(pad(cumprod(flip(x, {1}), 1), {0, 1}, {0, 0}, "constant", 1.0), 1, 0, n), {1});
          Ints back(order.size(), 0);
          for (int64_t i = 0; i < order.rank(); ++i) back[order[i]] = i;
          v.dx(0) = permute(reshape(left * right * reshape(v.dy(), {-1, 1}), moved.shape()), back);
        },
    .onnx = "ReduceProd",
    .samples =
        [](Samples& s) {
          s.add(
              {s.uniform({2, 3, 4}, -1, 1)}, [](const Tensors& x) { return Tensors{prod(x[0])}; },
              "{0}.flatten().prod()");
          s.add(
              {s.uniform({2, 3, 4}, -1, 1)},
              [](const Tensors& x) { return Tensors{prod(x[0], {1})}; }, "{0}.prod(1)");
          s.add(
              {s.uniform({2, 3, 4}, -1, 1)},
              [](const Tensors& x) {
                return Tensors{prod(x[0], {0, -1}, true)};
              },
              "{0}.prod(0, keepdim=True).prod(2, keepdim=True)");
          s.add(
              {s.uniform({}, -1, 1)}, [](const Tensors& x) { return Tensors{prod(x[0])}; },
              "{0}.prod()");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{prod(x[0], {2})}; },
              "out of range");
          s.add(
              {s.at({1, 0, 2, 0, 3, 0, 4, 5, 6}, {3, 3})},
              [](const Tensors& x) { return Tensors{prod(x[0], {1})}; }, "{0}.prod(1)");
          s.add(
              {s.uniform({0, 3})}, [](const Tensors& x) { return Tensors{prod(x[0], {0})}; },
              "{0}.prod(0)");
          s.add(
              {s.integers({3, 4}, -5, 6)},
              [](const Tensors& x) { return Tensors{prod(x[0], {0})}; }, "{0}.prod(0)");
        },
};

Tensor prod(In x, const Ints& dims, bool keepdim) {
  return make(op_prod, ReduceAttrs{normalize_dims(op_prod, dims, x->rank()), keepdim},
              {widened(x)});
}

}  // namespace nacre
