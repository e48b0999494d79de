#include "ops/linalg/linalg.h"

namespace nacre {
namespace {

void infer_det(Infer& in) {
  check_square(in, 0);
  in.out(in.dtype(0), batch_shape(in.shape(0)));
}

/// Calls f(matrix, sign, diagonal of U) for each matrix; the sign is 0 if it is singular.
template <typename F>
void for_factors(const Ref& r, F f) {
  const int64_t n = r.in().shape[-1], count = batch_shape(r.in().shape).numel();
  std::vector<int64_t> perm;
  for (int64_t q = 0; q < count; ++q) {
    std::vector<double> a(r.in().d + q * n * n, r.in().d + (q + 1) * n * n), diagonal;
    int64_t pivot = 0;
    const int sign = lu_factor(a.data(), n, perm, pivot);
    for (int64_t i = 0; i < n; ++i) diagonal.push_back(a[static_cast<size_t>(i * (n + 1))]);
    f(q, sign, diagonal);
  }
}

/// The inverse transposed, times a number for each matrix: what both gradients are made of.
Tensor scaled_inverse(const Tensor& a, const Tensor& by) {
  return transpose(inverse(a)) * reshape(by, matrices(by.shape(), 1, 1));
}

}  // namespace

/// Determinant of square matrices. a: ...xNxN, f32 or f64. Its gradient (Giles, 2008) needs an
/// invertible matrix.
API(Tensor det(In a))

OP(det) = {
    .name = "det",
    .infer = infer_det,
    .ref =
        [](Ref& r) {
          for_factors(r, [&](int64_t q, int sign, const std::vector<double>& u) {
            double v = sign;
            if (sign)
              for (double d : u) v *= d;
            r.out().d[q] = v;
          });
        },
    .vjp = [](Vjp& v) { v.dx(0) = scaled_inverse(v.x(0), v.dy() * v.y()); },
    .onnx = "Det",
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return Tensors{det(x[0])}; };
          s.add({s.uniform({4, 4})}, call, "torch.linalg.det({0})");
          s.add({s.uniform({2, 3, 3})}, call, "torch.linalg.det({0})");
          s.add({s.at({0, 2, 3, 0}, {2, 2})}, call, "torch.linalg.det({0})");
          s.add({s.at({1, 2, 2, 4}, {2, 2})}, call, "torch.linalg.det({0})").check_grad = false;
          s.add({s.uniform({2, 0, 0})}, call, "torch.linalg.det({0})");
          s.bad({s.uniform({2, 3})}, call, "a square matrix is needed");
        },
};

Tensor det(In a) { return make(op_det, {a}); }

/// Sign and logarithm of the absolute value of the determinant; 0 and -infinity for a singular
/// matrix. a: ...xNxN, f32 or f64. The gradient needs an invertible matrix.
API(Tensors slogdet(In a))

OP(slogdet) = {
    .name = "slogdet",
    .infer =
        [](Infer& in) {
          infer_det(in);
          infer_det(in);
        },
    .ref =
        [](Ref& r) {
          for_factors(r, [&](int64_t q, int sign, const std::vector<double>& u) {
            double log = sign ? 0 : -INFINITY, s = sign;
            if (sign)
              for (double d : u) {
                log += std::log(std::abs(d));
                if (d < 0) s = -s;
              }
            r.out(0).d[q] = s;
            r.out(1).d[q] = log;
          });
        },
    .vjp =
        [](Vjp& v) {
          if (v.has_dy(1)) v.dx(0) = scaled_inverse(v.x(0), v.dy(1));
        },
    .samples =
        [](Samples& s) {
          const auto call = [](const Tensors& x) { return slogdet(x[0]); };
          s.add({s.uniform({4, 4})}, call, "tuple(torch.linalg.slogdet({0}))");
          s.add({s.uniform({3, 2, 2})}, call, "tuple(torch.linalg.slogdet({0}))");
          s.add({s.at({0, 2, 3, 0}, {2, 2})}, call, "tuple(torch.linalg.slogdet({0}))");
          s.add({s.at({1, 2, 2, 4}, {2, 2})}, call, "tuple(torch.linalg.slogdet({0}))").check_grad =
              false;
          s.bad({s.uniform({3})}, call, "a matrix is needed");
        },
};

Tensors slogdet(In a) { return make_all(op_slogdet, Attrs(), std::span(&a.get(), 1)); }

}  // namespace nacre
