#include "ops/linalg/linalg.h"

namespace nacre {

/// The inverse of square matrices; to solve a system, solve(a, b) is faster and more exact.
/// a: ...xNxN, f32 or f64. A singular matrix is an Error(numeric) when computed.
API(Tensor inverse(In a))
/// a multiplied by itself n times; negative n for powers of the inverse, 0 for the identity.
API(Tensor matrix_power(In a, int64_t n))

OP(inverse) = {
    .name = "inverse",
    .infer =
        [](Infer& in) {
          check_square(in, 0);
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {  // Gauss and Jordan, with row pivots
          const int64_t n = r.in().shape[-1], count = batch_shape(r.in().shape).numel();
          for (int64_t q = 0; q < count; ++q) {
            std::vector<double> copy(r.in().d + q * n * n, r.in().d + (q + 1) * n * n);
            double *a = copy.data(), *y = r.out().d + q * n * n;
            for (int64_t i = 0; i < n; ++i) y[i * n + i] = 1;
            for (int64_t c = 0; c < n; ++c) {
              int64_t best = c;
              for (int64_t i = c + 1; i < n; ++i)
                if (std::abs(a[i * n + c]) > std::abs(a[best * n + c])) best = i;
              if (a[best * n + c] == 0)
                r.fail(Error::Kind::numeric,
                       {"matrix ", q, " is singular (pivot ", c, " is zero)"});
              for (double* m : {a, y})
                if (best != c) std::swap_ranges(m + c * n, m + (c + 1) * n, m + best * n);
              const double pivot = a[c * n + c];
              for (int64_t j = 0; j < n; ++j) a[c * n + j] /= pivot, y[c * n + j] /= pivot;
              for (int64_t i = 0; i < n; ++i) {
                const double f = a[i * n + c];
                if (i == c) continue;
                for (int64_t j = 0; j < n; ++j) {
                  a[i * n + j] -= f * a[c * n + j];
                  y[i * n + j] -= f * y[c * n + j];
                }
              }
            }
          }
        },
    .vjp =
        [](Vjp& v) {
          const Tensor t = transpose(v.y());
          v.dx(0) = neg(matmul(t, matmul(v.dy(), t)));
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) {
            return Tensors{inverse(x[0] + 3 * eye(x[0].size(-1), -1, x[0].dtype()))};
          };
          const std::string a = "({0} + 3 * torch.eye({0}.shape[-1]))";
          s.add({s.uniform({4, 4})}, call, "torch.linalg.inv(" + a + ")");
          s.add({s.uniform({2, 3, 3})}, call, "torch.linalg.inv(" + a + ")");
          s.add({s.uniform({2, 0, 0})}, call, "torch.linalg.inv(" + a + ")");
          s.add(
              {s.uniform({3, 3})},
              [](const Tensors& x) {
                const Tensor a = x[0] + 3 * eye(3, -1, x[0].dtype());
                return Tensors{matrix_power(a, 5), matrix_power(a, -2), matrix_power(a, 0)};
              },
              "(torch.linalg.matrix_power(" + a + ", 5), torch.linalg.matrix_power(" + a +
                  ", -2), torch.linalg.matrix_power(" + a + ", 0))");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{inverse(x[0])}; },
              "a square matrix is needed");
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return Tensors{matrix_power(x[0], 2)}; },
              "2 rows and 3 columns");
        },
};

Tensor inverse(In a) { return make(op_inverse, {a}); }

Tensor matrix_power(In a, int64_t n) {
  if (a->rank() < 2 || a->size(-1) != a->size(-2))
    fail(Error::Kind::shape,
         {"[matrix_power] input has shape ", a->shape(), ", ",
          a->rank() < 2 ? cat({"rank ", a->rank()})
                        : cat({a->size(-2), " rows and ", a->size(-1), " columns"}),
          "; a square matrix is needed", where()});
  if (n == 0) return expand(eye(a->size(-1), -1, a->dtype()), a->shape());
  Tensor base = n < 0 ? inverse(a) : a.get(), result;
  for (uint64_t e = n < 0 ? 0 - static_cast<uint64_t>(n) : static_cast<uint64_t>(n);;) {
    if (e & 1) result = result.defined() ? matmul(result, base) : base;
    if ((e >>= 1) == 0) return result;
    base = matmul(base, base);
  }
}

}  // namespace nacre
