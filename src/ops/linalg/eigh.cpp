#include <algorithm>
#include <numeric>

#include "ops/linalg/linalg.h"

namespace nacre {
namespace {

/// Eigenvalues and vectors (columns of v) of a symmetric matrix, by Jacobi's rotations.
void jacobi(double* a, double* v, int64_t n) {
  std::fill_n(v, n * n, 0.0);
  for (int64_t i = 0; i < n; ++i) v[i * n + i] = 1;
  for (int sweep = 0; sweep < 60; ++sweep) {
    double off = 0, all = 0;
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        all += a[i * n + j] * a[i * n + j];
        if (i != j) off += a[i * n + j] * a[i * n + j];
      }
    if (off <= 1e-32 * all) return;
    for (int64_t p = 0; p < n; ++p)
      for (int64_t q = p + 1; q < n; ++q) {
        if (a[p * n + q] == 0) continue;
        const double theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
        const double t = (theta < 0 ? -1 : 1) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::hypot(t, 1.0), s = t * c;
        const auto rotate = [&](double* x, double* y) {
          const double u = *x;
          *x = c * u - s * *y;
          *y = s * u + c * *y;
        };
        for (int64_t k = 0; k < n; ++k) rotate(a + k * n + p, a + k * n + q);
        for (int64_t k = 0; k < n; ++k) rotate(a + p * n + k, a + q * n + k);
        for (int64_t k = 0; k < n; ++k) rotate(v + k * n + p, v + k * n + q);
      }
  }
}

}  // namespace

/// Eigenvalues (ascending, ...xN) and eigenvectors (columns, ...xNxN) of symmetric matrices, of
/// which the lower triangle is read. a: ...xNxN, f32 or f64. Vectors are unique but for their sign.
/// The gradient (Giles, 2008) is symmetric; it is infinite where eigenvalues are equal and it
/// comes from the vectors.
API(Tensors eigh(In a))

OP(eigh) = {
    .name = "eigh",
    .infer =
        [](Infer& in) {
          check_square(in, 0);
          in.out(in.dtype(0), in.shape(0).slice(0, in.rank(0) - 1));
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const int64_t n = r.in().shape[-1], count = batch_shape(r.in().shape).numel();
          std::vector<double> a(static_cast<size_t>(n * n)), v(a.size());
          std::vector<int64_t> order(static_cast<size_t>(n));
          for (int64_t m = 0; m < count; ++m) {
            for (int64_t i = 0; i < n; ++i)
              for (int64_t j = 0; j <= i; ++j) {
                const double x = r.in().d[(m * n + i) * n + j];
                if (!std::isfinite(x))
                  r.fail(Error::Kind::numeric, {"matrix ", m, " contains NaN or infinity"});
                a[static_cast<size_t>(i * n + j)] = a[static_cast<size_t>(j * n + i)] = x;
              }
            jacobi(a.data(), v.data(), n);
            std::iota(order.begin(), order.end(), 0);
            const auto value = [&](int64_t i) { return a[static_cast<size_t>(i * (n + 1))]; };
            std::sort(order.begin(), order.end(),
                      [&](int64_t i, int64_t j) { return value(i) < value(j); });
            for (int64_t j = 0; j < n; ++j) {
              const int64_t from = order[static_cast<size_t>(j)];
              r.out(0).d[m * n + j] = value(from);
              for (int64_t i = 0; i < n; ++i)
                r.out(1).d[(m * n + i) * n + j] = v[static_cast<size_t>(i * n + from)];
            }
          }
        },
    .vjp =
        [](Vjp& v) {
          const Tensor w = v.y(0), u = v.y(1);
          Tensor inner = v.has_dy(0) ? diag_embed(v.dy(0)) : zeros_like(u);
          if (v.has_dy(1)) {
            // 1 / (w_j - w_i), with 0 for i = j
            const Tensor one = eye(w.size(-1), -1, w.dtype());
            const Tensor f = (1 - one) / (unsqueeze(w, -2) - unsqueeze(w, -1) + one);
            inner = inner + f * matmul(transpose(u), v.dy(1));
          }
          const Tensor da = matmul(u, matmul(inner, transpose(u)));
          v.dx(0) = (da + transpose(da)) * 0.5;
        },
    .samples =
        [](Samples& s) {
          // Squares of the vectors, since their signs are free.
          const auto call = [](const Tensors& x) {
            const Tensors e = eigh(x[0] + transpose(x[0]));
            return Tensors{e[0], e[1] * e[1]};
          };
          const std::string torch =
              "(lambda e: (e[0], e[1] ** 2))(torch.linalg.eigh({0} + {0}.mT))";
          s.add({s.uniform({4, 4})}, call, torch).slack = 20;
          s.add({s.uniform({2, 3, 3})}, call, torch).slack = 20;
          s.add(
               {s.uniform({5, 5})},
               [](const Tensors& x) {
                 const Tensors e = eigh(x[0] + transpose(x[0]));
                 return Tensors{matmul(e[1] * exp(unsqueeze(e[0], -2)), transpose(e[1]))};
               },
               "torch.linalg.matrix_exp({0} + {0}.mT)")
              .slack = 20;
          s.add({s.uniform({0, 0})}, call, torch);
          s.bad(
              {s.uniform({2, 3})}, [](const Tensors& x) { return eigh(x[0]); },
              "a square matrix is needed");
        },
};

Tensors eigh(In a) { return make_all(op_eigh, Attrs(), std::span(&a.get(), 1)); }

}  // namespace nacre
