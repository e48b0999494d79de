#include "ops/linalg/linalg.h"

namespace nacre {
namespace {
struct TriangularAttrs {
  bool lower = true, transpose = false, unit = false;
  void fields(FieldVisitor& v) {
    v("lower", lower);
    v("transpose", transpose);
    v("unit", unit);
  }
};
}  // namespace

/// The solution x of a x = b, or of a^T x = b, for a triangular a. Only its lower (or upper)
/// triangle is read; with `unit` its diagonal counts as ones. a: ...xNxN, b: ...xNxK or a batch of
/// vectors, leading dimensions broadcast, f32 or f64. A zero on the diagonal is an Error(numeric)
/// when computed.
API(Tensor triangular_solve(In a, In b, bool lower = true, bool transpose = false,
                            bool unit = false))

OP(triangular_solve) = {
    .name = "triangular_solve",
    .attrs = attr_type<TriangularAttrs>(),
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
          const auto& t = r.attrs<TriangularAttrs>();
          const int64_t n = r.in(1).shape[-2], k = r.in(1).shape[-1];
          const int64_t count = batch_shape(r.in().shape).numel();
          const bool forwards = t.lower != t.transpose;
          for (int64_t q = 0; q < count; ++q) {
            const double* a = r.in().d + q * n * n;
            double* x = r.out().d + q * n * k;
            std::copy_n(r.in(1).d + q * n * k, n * k, x);
            for (int64_t s = 0; s < n; ++s) {
              const int64_t i = forwards ? s : n - 1 - s;
              if (!t.unit && a[i * n + i] == 0)
                r.fail(Error::Kind::numeric,
                       {"matrix ", q, " is singular (diagonal entry ", i, " is zero)"});
              for (int64_t c = 0; c < k; ++c) {
                for (int64_t p = 0; p < s; ++p) {
                  const int64_t j = forwards ? p : n - 1 - p;
                  x[i * k + c] -= (t.transpose ? a[j * n + i] : a[i * n + j]) * x[j * k + c];
                }
                if (!t.unit) x[i * k + c] /= a[i * n + i];
              }
            }
          }
        },
    .vjp =
        [](Vjp& v) {
          const auto& t = v.attrs<TriangularAttrs>();
          const Tensor db = triangular_solve(v.x(0), v.dy(), t.lower, !t.transpose, t.unit);
          v.dx(1) = db;
          if (!v.wants(0)) return;
          const Tensor da =
              t.transpose ? matmul(v.y(), transpose(db)) : matmul(db, transpose(v.y()));
          v.dx(0) = neg(t.lower ? tril(da, t.unit ? -1 : 0) : triu(da, t.unit ? 1 : 0));
        },
    .samples =
        [](Samples& s) {
          const auto call = [](bool lower, bool transposed, bool unit) {
            return [=](const Tensors& x) {
              const Tensor a = x[0] + 3 * eye(x[0].size(-1), -1, x[0].dtype());
              return Tensors{triangular_solve(a, x[1], lower, transposed, unit)};
            };
          };
          const std::string a = "({0} + 3 * torch.eye({0}.shape[-1]))";
          s.add({s.uniform({4, 4}), s.uniform({4, 3})}, call(true, false, false),
                "torch.linalg.solve_triangular(" + a + ", {1}, upper=False)");
          s.add({s.uniform({2, 3, 3}), s.uniform({3, 2})}, call(false, false, false),
                "torch.linalg.solve_triangular(" + a + ", {1}, upper=True)");
          s.add({s.uniform({4, 4}), s.uniform({4})}, call(true, true, true),
                "torch.linalg.solve_triangular(" + a +
                    ".mT, {1}.unsqueeze(-1), upper=True, unitriangular=True).squeeze(-1)");
          s.add({s.uniform({3, 3}), s.uniform({3, 2})}, call(false, true, false),
                "torch.linalg.solve_triangular(" + a + ".mT, {1}, upper=False)");
          s.add({s.uniform({3, 3}), s.uniform({3, 2})}, call(false, false, true),
                "torch.linalg.solve_triangular(" + a + ", {1}, upper=True, unitriangular=True)");
          s.add({s.uniform({0, 0}), s.uniform({0, 2})}, call(true, false, false), "{1}");
          s.bad({s.uniform({3, 3}), s.uniform({4, 2})}, call(true, false, false),
                "a has 3 rows, b has 4");
          s.bad({s.uniform({2, 3, 3}), s.uniform({4, 3, 2})}, call(true, false, false),
                "do not broadcast");
        },
};

Tensor triangular_solve(In a, In b, bool lower, bool transpose, bool unit) {
  const System s = make_system(op_triangular_solve, a, b);
  const Tensor x = make(op_triangular_solve, TriangularAttrs{lower, transpose, unit}, {s.a, s.b});
  return s.vector ? squeeze(x, {-1}) : x;
}

}  // namespace nacre
