#include "ops/linalg/linalg.h"

namespace nacre {

/// The lower triangular L with a = L L^T of a symmetric positive definite matrix, of which the
/// lower triangle is read. a: ...xNxN, f32 or f64. A matrix that is not positive definite is an
/// Error(numeric) when computed. The gradient (Murray, 2016, arXiv:1602.07527) is symmetric.
API(Tensor cholesky(In a))

OP(cholesky) = {
    .name = "cholesky",
    .infer =
        [](Infer& in) {
          check_square(in, 0);
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const int64_t n = r.in().shape[-1], count = batch_shape(r.in().shape).numel();
          for (int64_t q = 0; q < count; ++q) {
            const double* a = r.in().d + q * n * n;
            double* l = r.out().d + q * n * n;
            for (int64_t i = 0; i < n; ++i)
              for (int64_t j = 0; j <= i; ++j) {
                double v = a[i * n + j];
                for (int64_t k = 0; k < j; ++k) v -= l[i * n + k] * l[j * n + k];
                if (i == j && !(v > 0))
                  r.fail(Error::Kind::numeric, {"matrix ", q,
                                                " is not positive definite (leading "
                                                "minor of order ",
                                                i + 1, ")"});
                l[i * n + j] = i == j ? std::sqrt(v) : v / l[j * n + j];
              }
          }
        },
    .vjp =
        [](Vjp& v) {
          const Tensor l = v.y();
          const Tensor p = scaled_diagonal(tril(matmul(transpose(l), v.dy())), 0.5);
          const Tensor left = triangular_solve(l, p, true, true);
          const Tensor s = triangular_solve(l, transpose(left), true, true);
          v.dx(0) = (s + transpose(s)) * 0.5;
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{
                cholesky(matmul(x[0], transpose(x[0])) + eye(x[0].size(-2), -1, x[0].dtype()))};
          };
          s.add({s.uniform({4, 4})}, call, "torch.linalg.cholesky({0} @ {0}.mT + torch.eye(4))");
          s.add({s.uniform({2, 3, 5})}, call, "torch.linalg.cholesky({0} @ {0}.mT + torch.eye(3))");
          s.add({s.uniform({2, 0, 3})}, call, "torch.linalg.cholesky({0} @ {0}.mT + torch.eye(0))");
          s.add({s.uniform({1, 1})}, call, "torch.linalg.cholesky({0} @ {0}.mT + torch.eye(1))");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{cholesky(x[0])}; },
              "a square matrix is needed");
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return Tensors{cholesky(x[0])}; },
              "a matrix is needed");
          s.bad(
              {s.integers({2, 2}, 1, 5)}, [](const Tensors& x) { return Tensors{cholesky(x[0])}; },
              "f32 or f64 is needed");
        },
};

Tensor cholesky(In a) { return make(op_cholesky, {a}); }

}  // namespace nacre
