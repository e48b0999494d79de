#include <algorithm>
#include <numeric>

#include "ops/linalg/linalg.h"

namespace nacre {
namespace {

/// Rotates the columns of a (m x n, m >= n) until they are orthogonal; a becomes U S, v holds the
/// rotations (Hestenes, 1958).
void one_sided_jacobi(std::vector<double>& a, std::vector<double>& v, int64_t m, int64_t n) {
  const auto rotate = [&](std::vector<double>& x, int64_t rows, int64_t p, int64_t q, double c,
                          double s) {
    for (int64_t k = 0; k < rows; ++k) {
      double &xp = x[static_cast<size_t>(k * n + p)], &xq = x[static_cast<size_t>(k * n + q)];
      const double t = xp;
      xp = c * t - s * xq;
      xq = s * t + c * xq;
    }
  };
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool moved = false;
    for (int64_t p = 0; p < n; ++p)
      for (int64_t q = p + 1; q < n; ++q) {
        double pp = 0, qq = 0, pq = 0;
        for (int64_t k = 0; k < m; ++k) {
          const double x = a[static_cast<size_t>(k * n + p)], y = a[static_cast<size_t>(k * n + q)];
          pp += x * x;
          qq += y * y;
          pq += x * y;
        }
        if (std::abs(pq) <= 1e-16 * std::sqrt(pp * qq) || pq == 0) continue;
        moved = true;
        const double theta = (qq - pp) / (2 * pq);
        const double t = (theta < 0 ? -1 : 1) / (std::abs(theta) + std::hypot(theta, 1.0));
        const double c = 1 / std::hypot(t, 1.0);
        rotate(a, m, p, q, c, t * c);
        rotate(v, n, p, q, c, t * c);
      }
    if (!moved) return;
  }
}

/// A column for a singular value of zero: any unit vector that is orthogonal to the first `done`.
void complete(double* u, int64_t m, int64_t k, int64_t done) {
  for (int64_t axis = 0; axis < m; ++axis) {
    std::vector<double> x(static_cast<size_t>(m));
    x[static_cast<size_t>(axis)] = 1;
    for (int round = 0; round < 2; ++round)
      for (int64_t j = 0; j < done; ++j) {
        double dot = 0;
        for (int64_t i = 0; i < m; ++i) dot += x[static_cast<size_t>(i)] * u[i * k + j];
        for (int64_t i = 0; i < m; ++i) x[static_cast<size_t>(i)] -= dot * u[i * k + j];
      }
    const double norm = std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
    if (norm < 0.1 / std::sqrt(static_cast<double>(m))) continue;
    for (int64_t i = 0; i < m; ++i) u[i * k + done] = x[static_cast<size_t>(i)] / norm;
    return;
  }
}

}  // namespace

/// Reduced singular value decomposition a = U diag(S) Vh: U ...xMxK, S ...xK descending, Vh ...xKxN
/// with K = min(M, N). a: ...xMxN, f32 or f64. Vectors are unique but for a common sign. Gradient:
/// Townsend, "Differentiating the singular value decomposition" (2016); infinite where singular
/// values are equal (or zero) and it comes from the vectors.
API(Tensors svd(In a))

OP(svd) = {
    .name = "svd",
    .infer =
        [](Infer& in) {
          check_matrix(in, 0);
          const Shape batch = batch_shape(in.shape(0));
          const int64_t m = in.shape(0)[-2], n = in.shape(0)[-1], k = std::min(m, n);
          in.out(in.dtype(0), matrices(batch, m, k));
          Shape s = batch;
          s.push_back(k);
          in.out(in.dtype(0), s);
          in.out(in.dtype(0), matrices(batch, k, n));
        },
    .ref =
        [](Ref& r) {
          const int64_t rows = r.in().shape[-2], columns = r.in().shape[-1];
          const bool wide = rows < columns;  // then of the transpose
          const int64_t m = wide ? columns : rows, k = wide ? rows : columns;
          const int64_t count = batch_shape(r.in().shape).numel();
          for (int64_t q = 0; q < count; ++q) {
            const double* x = r.in().d + q * rows * columns;
            std::vector<double> a(static_cast<size_t>(m * k)), v(static_cast<size_t>(k * k));
            for (int64_t i = 0; i < m; ++i)
              for (int64_t j = 0; j < k; ++j) {
                const double e = wide ? x[j * columns + i] : x[i * columns + j];
                if (!std::isfinite(e))
                  r.fail(Error::Kind::numeric, {"matrix ", q, " contains NaN or infinity"});
                a[static_cast<size_t>(i * k + j)] = e;
              }
            for (int64_t j = 0; j < k; ++j) v[static_cast<size_t>(j * (k + 1))] = 1;
            one_sided_jacobi(a, v, m, k);
            std::vector<double> norms(static_cast<size_t>(k));
            for (int64_t j = 0; j < k; ++j) {
              double sum = 0;
              for (int64_t i = 0; i < m; ++i)
                sum += a[static_cast<size_t>(i * k + j)] * a[static_cast<size_t>(i * k + j)];
              norms[static_cast<size_t>(j)] = std::sqrt(sum);
            }
            std::vector<int64_t> order(static_cast<size_t>(k));
            std::iota(order.begin(), order.end(), 0);
            std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
              return norms[static_cast<size_t>(i)] > norms[static_cast<size_t>(j)];
            });
            std::vector<double> u(static_cast<size_t>(m * k));
            const double least = k ? 1e-15 * norms[static_cast<size_t>(order[0])] : 0;
            for (int64_t j = 0; j < k; ++j) {
              const int64_t from = order[static_cast<size_t>(j)];
              const double s = norms[static_cast<size_t>(from)];
              r.out(1).d[q * k + j] = s;
              if (s > least) {
                for (int64_t i = 0; i < m; ++i)
                  u[static_cast<size_t>(i * k + j)] = a[static_cast<size_t>(i * k + from)] / s;
              } else {
                complete(u.data(), m, k, j);
              }
            }
            double *left = r.out(0).d + q * rows * k, *right = r.out(2).d + q * k * columns;
            for (int64_t j = 0; j < k; ++j) {
              const int64_t from = order[static_cast<size_t>(j)];
              for (int64_t i = 0; i < m; ++i)
                (wide ? right[j * m + i] : left[i * k + j]) = u[static_cast<size_t>(i * k + j)];
              for (int64_t i = 0; i < k; ++i)
                (wide ? left[i * k + j] : right[j * k + i]) = v[static_cast<size_t>(i * k + from)];
            }
          }
        },
    .vjp =
        [](Vjp& v) {
          const Tensor u = v.y(0), s = v.y(1), vh = v.y(2);
          const int64_t m = u.size(-2), n = vh.size(-1), k = s.size(-1);
          const Tensor row = unsqueeze(s, -2), column = unsqueeze(s, -1);
          const Tensor one = eye(k, -1, s.dtype());
          // 1 / (s_j^2 - s_i^2), with 0 for i = j
          const Tensor f = (1 - one) / (row * row - column * column + one);
          const auto skew = [](const Tensor& x) { return x - transpose(x); };
          Tensor inner = v.has_dy(1) ? diag_embed(v.dy(1)) : zeros_like(matmul(transpose(u), u));
          if (v.has_dy(0)) inner = inner + skew(matmul(transpose(u), v.dy(0))) * f * row;
          if (v.has_dy(2)) inner = inner + column * f * skew(matmul(vh, transpose(v.dy(2))));
          Tensor da = matmul(u, matmul(inner, vh));
          if (v.has_dy(0) && m > k) {
            const Tensor g = v.dy(0) / row;
            da = da + matmul(g - matmul(u, matmul(transpose(u), g)), vh);
          }
          if (v.has_dy(2) && n > k) {
            const Tensor g = v.dy(2) / column;
            da = da + matmul(u, g - matmul(matmul(g, transpose(vh)), vh));
          }
          v.dx(0) = da;
        },
    .samples =
        [](Samples& s) {
          // Squares of the vectors, since their signs are free.
          const auto call = [](const Tensors& x) {
            const Tensors d = svd(x[0]);
            return Tensors{d[0] * d[0], d[1], d[2] * d[2]};
          };
          const std::string torch =
              "(lambda d: (d[0] ** 2, d[1], d[2] ** 2))"
              "(torch.linalg.svd({0}, full_matrices=False))";
          s.add({s.uniform({4, 3})}, call, torch).slack = 20;
          s.add({s.uniform({2, 3, 5})}, call, torch).slack = 20;
          s.add({s.uniform({3, 3})}, call, torch).slack = 20;
          s.add({s.uniform({5, 1})}, call, torch).slack = 20;
          s.add(
               {s.uniform({4, 3})},
               [](const Tensors& x) {
                 const Tensors d = svd(x[0]);
                 return Tensors{matmul(d[0], d[2])};
               },
               "(lambda d: d[0] @ d[2])(torch.linalg.svd({0}, full_matrices=False))")
              .slack = 20;
          s.add(
               {s.at({1, 2, 2, 4, 3, 6}, {3, 2})},
               [](const Tensors& x) {
                 const Tensors d = svd(x[0]);
                 return Tensors{d[1], matmul(d[0] * unsqueeze(d[1], -2), d[2])};
               },
               "(torch.linalg.svdvals({0}), {0})")
              .check_grad = false;
          s.add({s.uniform({0, 3})}, call, torch);
          s.bad(
              {s.uniform({3})}, [](const Tensors& x) { return svd(x[0]); }, "a matrix is needed");
        },
};

Tensors svd(In a) { return make_all(op_svd, Attrs(), std::span(&a.get(), 1)); }

}  // namespace nacre
