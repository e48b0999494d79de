#include "ops/linalg/linalg.h"

namespace nacre {

extern const OpDef op_permute;

Shape product_shape(Infer& in) {
  for (size_t i = 0; i < 2; ++i)
    in.check(in.rank(i) >= 2, {"input ", i, " has rank ", in.rank(i), ", at least 2 is needed"});
  const Shape &a = in.shape(0), &b = in.shape(1);
  in.check(a[-1] == b[-2], {"inner sizes differ: ", a[-1], " columns against ", b[-2], " rows"});
  Shape out;
  try {
    out = broadcast_shapes(a.slice(0, a.rank() - 2), b.slice(0, b.rank() - 2));
  } catch (const Error& e) {
    in.fail({e.what()});
  }
  out.push_back(a[-2]);
  out.push_back(b[-1]);
  return out;
}

/// Matrix product of the last two dimensions; leading dimensions broadcast (NumPy's matmul, without
/// its 1-d cases: see dot). a: ...xMxK, b: ...xKxN, one type. Returns ...xMxN. Floating: sums in
/// the type itself (f32 for 16-bit types).
API(Tensor matmul(In a, In b))

OP(matmul) = {
    .name = "matmul",
    .infer =
        [](Infer& in) {
          in.check_same_dtype();
          in.out(in.dtype(0), product_shape(in));
        },
    .ref =
        [](Ref& r) {
          const Shape &a = r.in(0).shape, &b = r.in(1).shape, &y = r.out().shape;
          const int64_t m = y[-2], n = y[-1], k = a[-1];
          const Shape batch = y.slice(0, y.rank() - 2);
          const auto run = [&](const auto* pa, const auto* pb, auto* py) {
            for (int64_t q = 0; q < batch.numel(); ++q) {
              const auto* x = pa + broadcast_index(q, batch, a.slice(0, a.rank() - 2)) * m * k;
              const auto* w = pb + broadcast_index(q, batch, b.slice(0, b.rank() - 2)) * k * n;
              for (int64_t i = 0; i < m; ++i)
                for (int64_t p = 0; p < k; ++p)
                  for (int64_t j = 0; j < n; ++j)
                    py[(q * m + i) * n + j] += x[i * k + p] * w[p * n + j];
            }
          };
          if (r.out().floating())
            run(r.in(0).d, r.in(1).d, r.out().d);
          else
            run(r.in(0).i, r.in(1).i, r.out().i);
        },
    .vjp =
        [](Vjp& v) {
          const auto fit = [](Tensor g,
                              const Shape& shape) {  // sums over broadcast leading dimensions
            Ints dims;
            const int64_t extra = g.rank() - shape.rank();
            for (int64_t d = 0; d < g.rank() - 2; ++d)
              if (d < extra || (shape[d - extra] == 1 && g.size(d) != 1)) dims.push_back(d);
            return reshape(dims.empty() ? g : sum(g, dims), shape);
          };
          // The gradient of a transposed factor is made transposed, so that what was transposed
          // (the weight of a full layer) gets one without gaps.
          const auto turned = [&](size_t i) { return v.x(i).node()->op == &op_permute; };
          const Tensor &a = v.x(0), &b = v.x(1), dy = v.dy();
          if (v.wants(0))
            v.dx(0) =
                fit(turned(0) ? transpose(matmul(b, transpose(dy))) : matmul(dy, transpose(b)),
                    a.shape());
          if (v.wants(1))
            v.dx(1) =
                fit(turned(1) ? transpose(matmul(transpose(dy), a)) : matmul(transpose(a), dy),
                    b.shape());
        },
    .macs = [](const Node& n) { return n.outputs[0].shape.numel() * n.inputs[0].size(-1); },
    .onnx = "MatMul",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{matmul(x[0], x[1])}; };
          s.add({s.uniform({3, 4}), s.uniform({4, 5})}, call, "{0} @ {1}");
          s.add({s.uniform({2, 3, 4}), s.uniform({2, 4, 5})}, call, "{0} @ {1}");
          s.add({s.uniform({2, 1, 3, 4}), s.uniform({3, 4, 2})}, call, "{0} @ {1}");
          s.add({s.uniform({1, 7}), s.uniform({7, 1})}, call, "{0} @ {1}");
          s.add({s.uniform({3, 0}), s.uniform({0, 2})}, call, "{0} @ {1}");
          s.add(
              {s.uniform({4, 3}), s.uniform({4, 5})},
              [](const Tensors& x) { return Tensors{matmul(transpose(x[0]), x[1])}; },
              "{0}.t() @ {1}");
          s.add({s.integers({3, 4}, -5, 5), s.integers({4, 2}, -5, 5)}, call, "{0} @ {1}");
          s.add({s.uniform({2, 3, 4}), s.uniform({5, 4})}, [](const Tensors& x) {
             return Tensors{matmul(x[0], transpose(x[1]))};
           }).oracle = "the samples before";
          s.bad({s.uniform({2, 3}), s.uniform({4, 5})}, call,
                "inner sizes differ: 3 columns against 4 rows");
          s.bad({s.uniform({3}), s.uniform({3, 5})}, call, "rank 1");
        },
};

Tensor matmul(In a, In b) { return make(op_matmul, unify(std::move(a), std::move(b))); }

}  // namespace nacre
