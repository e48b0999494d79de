#include "ops/linalg/linalg.h"

namespace nacre {
namespace {

/// Gradient of a tall or square QR (Walter and Lehmann, 2010; Seeger et al., 2017).
Tensor tall_grad(const Tensor& q, const Tensor& r, const Tensor& dq, const Tensor& dr) {
  const Tensor m = triu(matmul(dr, transpose(r)) - matmul(transpose(q), dq));
  const Tensor inner = dq + matmul(q, m + transpose(triu(m, 1)));
  return transpose(triangular_solve(r, transpose(inner), false));
}

}  // namespace

/// Reduced QR decomposition a = Q R: Q ...xMxK with orthonormal columns, R ...xKxN upper
/// triangular, K = min(M, N), with the signs of LAPACK's reflections. a: ...xMxN, f32 or f64. The
/// gradient needs the first K columns of a to be independent.
API(Tensors qr(In a))
/// The x that makes |a x - b| least, and among several the shortest. a: ...xMxN of full rank, b:
/// ...xMxK or a batch of vectors; returns ...xNxK.
API(Tensor lstsq(In a, In b))

OP(qr) = {
    .name = "qr",
    .infer =
        [](Infer& in) {
          check_matrix(in, 0);
          const int64_t m = in.shape(0)[-2], n = in.shape(0)[-1], k = std::min(m, n);
          in.out(in.dtype(0), matrices(batch_shape(in.shape(0)), m, k));
          in.out(in.dtype(0), matrices(batch_shape(in.shape(0)), k, n));
        },
    .ref =
        [](Ref& r) {  // Householder
          const int64_t m = r.in().shape[-2], n = r.in().shape[-1], k = std::min(m, n);
          const int64_t count = batch_shape(r.in().shape).numel();
          for (int64_t p = 0; p < count; ++p) {
            std::vector<double> work(r.in().d + p * m * n, r.in().d + (p + 1) * m * n);
            std::vector<std::vector<double>> reflections;
            // x -= 2 v (v . x) for one column of a matrix of this width
            const auto reflect = [m](const std::vector<double>& v, double* x, int64_t width) {
              double dot = 0;
              for (int64_t i = 0; i < m; ++i) dot += v[static_cast<size_t>(i)] * x[i * width];
              for (int64_t i = 0; i < m; ++i) x[i * width] -= 2 * dot * v[static_cast<size_t>(i)];
            };
            double* a = work.data();
            for (int64_t c = 0; c < k; ++c) {
              std::vector<double> v(static_cast<size_t>(m));
              double below = 0;
              for (int64_t i = c + 1; i < m; ++i) below += a[i * n + c] * a[i * n + c];
              if (below > 0) {  // else nothing to reflect, as in LAPACK
                const double head = a[c * n + c], norm = std::sqrt(head * head + below);
                v[static_cast<size_t>(c)] = head + (head < 0 ? -norm : norm);
                for (int64_t i = c + 1; i < m; ++i) v[static_cast<size_t>(i)] = a[i * n + c];
                double length = 0;
                for (double e : v) length += e * e;
                for (double& e : v) e /= std::sqrt(length);
                for (int64_t j = c; j < n; ++j) reflect(v, a + j, n);
              }
              reflections.push_back(std::move(v));
            }
            double *q = r.out(0).d + p * m * k, *upper = r.out(1).d + p * k * n;
            for (int64_t i = 0; i < k; ++i) {
              q[i * k + i] = 1;
              for (int64_t j = i; j < n; ++j) upper[i * n + j] = a[i * n + j];
            }
            for (int64_t c = k; c-- > 0;)
              for (int64_t j = 0; j < k; ++j)
                reflect(reflections[static_cast<size_t>(c)], q + j, k);
          }
        },
    .vjp =
        [](Vjp& v) {
          const Tensor q = v.y(0), r = v.y(1), dr = v.dy(1);
          Tensor dq = v.dy(0);
          const int64_t m = q.size(-2), n = r.size(-1);
          if (m >= n) {
            v.dx(0) = tall_grad(q, r, dq, dr);
            return;
          }
          // a = [X | Y] with X = Q R1 square and Y = Q R2
          const Tensor y = slice(v.x(0), -1, m), dr2 = slice(dr, -1, m);
          dq = dq + matmul(y, transpose(dr2));
          v.dx(0) = concat(
              {tall_grad(q, slice(r, -1, 0, m), dq, slice(dr, -1, 0, m)), matmul(q, dr2)}, -1);
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return qr(x[0]); };
          const std::string torch = "tuple(torch.linalg.qr({0}))";
          s.add({s.uniform({4, 3})}, call, torch).slack = 20;
          s.add({s.uniform({2, 3, 3})}, call, torch).slack = 20;
          s.add({s.uniform({2, 4})}, call, torch).slack = 20;
          s.add({s.uniform({1, 1})}, call, torch);
          s.add({s.uniform({0, 2})}, call, torch).check_grad = false;
          s.add(
               {s.uniform({5, 3}), s.uniform({5, 2})},
               [](const Tensors& x) { return Tensors{lstsq(x[0], x[1])}; },
               "torch.linalg.lstsq({0}, {1}).solution")
              .slack = 50;
          s.add(
               {s.uniform({2, 2, 4}), s.uniform({2, 2})},
               [](const Tensors& x) { return Tensors{lstsq(x[0], x[1])}; },
               "(torch.linalg.pinv({0}) @ {1}.unsqueeze(-1)).squeeze(-1)")
              .slack = 50;
          s.bad({s.uniform({3})}, call, "a matrix is needed");
          s.bad(
              {s.uniform({3, 2}), s.uniform({4, 2})},
              [](const Tensors& x) { return Tensors{lstsq(x[0], x[1])}; }, "a has 3 rows, b has 4");
        },
};

Tensors qr(In a) { return make_all(op_qr, Attrs(), std::span(&a.get(), 1)); }

Tensor lstsq(In a, In b) {
  const System s = make_system(op_qr, a, b);
  if (s.a.rank() < 2 || s.b.rank() < 2)
    fail(Error::Kind::shape, {"[lstsq] a of shape ", s.a.shape(), " and b of shape ", s.b.shape(),
                              " are no system of equations", where()});
  const int64_t m = s.a.size(-2), n = s.a.size(-1);
  if (m != s.b.size(-2))
    fail(Error::Kind::shape, {"[lstsq] a has ", m, " rows, b has ", s.b.size(-2), where()});
  Tensor x;
  if (m >= n) {
    const Tensors f = qr(s.a);
    x = triangular_solve(f[1], matmul(transpose(f[0]), s.b), false);
  } else {
    const Tensors f = qr(transpose(s.a));
    x = matmul(f[0], triangular_solve(f[1], s.b, false, true));
  }
  return s.vector ? squeeze(x, {-1}) : x;
}

}  // namespace nacre
