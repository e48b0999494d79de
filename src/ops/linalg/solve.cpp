#include "ops/linalg/linalg.h"

namespace nacre {

/// The solution x of a x = b. a: ...xNxN, b: ...xNxK or a batch of vectors (one dimension, or the
/// shape of a without its last), leading dimensions broadcast, f32 or f64. A singular matrix is an
/// Error(numeric) when computed.
API(Tensor solve(In a, In b))

OP(solve) = {
    .name = "solve",
    .infer =
        [](Infer& in) {
          check_square(in, 0);
          check_matrix(in, 1);
          in.check_same_dtype();
          const Shape &a = in.shape(0), &b = in.shape(1);
          in.check(a[-1] == b[-2], {"a has ", a[-1], " rows, b has ", b[-2]});
          in.check(batch_shape(a) == batch_shape(b), {"leading dimensions differ"});
          in.out(in.dtype(1), b);
        },
    .ref =
        [](Ref& r) {
          const int64_t n = r.in(1).shape[-2], k = r.in(1).shape[-1];
          const int64_t count = batch_shape(r.in().shape).numel();
          std::vector<int64_t> perm;
          for (int64_t q = 0; q < count; ++q) {
            std::vector<double> a(r.in().d + q * n * n, r.in().d + (q + 1) * n * n);
            int64_t pivot = 0;
            if (lu_factor(a.data(), n, perm, pivot) == 0)
              r.fail(Error::Kind::numeric,
                     {"matrix ", q, " is singular (pivot ", pivot, " is zero)"});
            const double* b = r.in(1).d + q * n * k;
            double* x = r.out().d + q * n * k;
            const auto at = [&](int64_t i, int64_t j) { return a[static_cast<size_t>(i * n + j)]; };
            for (int64_t c = 0; c < k; ++c) {
              for (int64_t i = 0; i < n; ++i) {
                x[i * k + c] = b[perm[static_cast<size_t>(i)] * k + c];
                for (int64_t j = 0; j < i; ++j) x[i * k + c] -= at(i, j) * x[j * k + c];
              }
              for (int64_t i = n; i-- > 0;) {
                for (int64_t j = i + 1; j < n; ++j) x[i * k + c] -= at(i, j) * x[j * k + c];
                x[i * k + c] /= at(i, i);
              }
            }
          }
        },
    .vjp =
        [](Vjp& v) {
          const Tensor db = solve(transpose(v.x(0)), v.dy());
          v.dx(1) = db;
          if (v.wants(0)) v.dx(0) = neg(matmul(db, transpose(v.y())));
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{solve(x[0] + 3 * eye(x[0].size(-1), -1, x[0].dtype()), x[1])};
          };
          const std::string torch = "torch.linalg.solve({0} + 3 * torch.eye({0}.shape[-1]), {1})";
          s.add({s.uniform({4, 4}), s.uniform({4, 3})}, call, torch);
          s.add({s.uniform({2, 3, 3}), s.uniform({2, 3})}, call, torch);
          s.add({s.uniform({3, 3}), s.uniform({2, 3, 2})}, call, torch);
          s.add({s.uniform({4, 4}), s.uniform({4})}, call, torch);
          s.add(
              {s.at({0, 2, 1, 1}, {2, 2}), s.at({4, 3})},
              [](const Tensors& x) { return Tensors{solve(x[0], x[1])}; },
              "torch.linalg.solve({0}, {1})");
          s.add({s.uniform({0, 0}), s.uniform({0, 2})}, call, torch);
          s.bad({s.uniform({3, 3}), s.uniform({4, 2})}, call, "a has 3 rows, b has 4");
          s.bad(
              {s.uniform({3}), s.uniform({3})},
              [](const Tensors& x) { return Tensors{solve(x[0], x[1])}; }, "a matrix is needed");
        },
};

Tensor solve(In a, In b) {
  const System s = make_system(op_solve, a, b);
  const Tensor x = make(op_solve, {s.a, s.b});
  return s.vector ? squeeze(x, {-1}) : x;
}

}  // namespace nacre
