#include <numbers>

#include "ops/op.h"

namespace nacre {
namespace {

struct FftAttrs {
  bool inverse = false;
  void fields(FieldVisitor& v) { v("inverse", inverse); }
};

void check_complex(const Infer& in) {
  in.check(in.dtype(0) == DType::f32 || in.dtype(0) == DType::f64,
           {"input has type ", in.dtype(0), ", f32 or f64 is needed"});
  in.check(in.rank(0) >= 2 && in.shape(0)[-1] == 2,
           {"input of shape ", in.shape(0),
            " holds no complex numbers: a last dimension of size 2 is needed"});
}

/// The transform along a dimension of the complex tensor, whose pairs do not count as one.
Tensor along(const Tensor& x, int64_t dim, bool inverse);

}  // namespace

/// Discrete Fourier transform along one dimension, unnormalised: y[k] = sum_j x[j] exp(-2 pi i j k
/// / n). x: f32 or f64, complex numbers as pairs in a last dimension of size 2; dim does not count
/// that dimension, so -1 is the last of the complex tensor.
API(Tensor fft(In x, int64_t dim = -1))
/// Inverse of fft, divided by n.
API(Tensor ifft(In x, int64_t dim = -1))
/// fft over the last two dimensions of the complex tensor.
API(Tensor fft2(In x))
/// ifft over the last two dimensions of the complex tensor.
API(Tensor ifft2(In x))

OP(fft_c2c) = {
    .name = "fft_c2c",
    .attrs = attr_type<FftAttrs>(),
    .infer =
        [](Infer& in) {
          check_complex(in);
          in.check(in.shape(0)[-2] > 0, {"nothing to transform"});
          in.out(in.dtype(0), in.shape(0));
        },
    .ref =
        [](Ref& r) {
          const bool inverse = r.attrs<FftAttrs>().inverse;
          const int64_t n = r.in().shape[-2];
          std::vector<double> c, s;
          for (int64_t k = 0; k < n; ++k) {
            const double angle =
                2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n);
            c.push_back(std::cos(angle));
            s.push_back(inverse ? std::sin(angle) : -std::sin(angle));
          }
          const double scale = inverse ? 1.0 / static_cast<double>(n) : 1;
          for (int64_t row = 0; row < r.in().n; row += 2 * n) {
            const double* x = r.in().d + row;
            double* y = r.out().d + row;
            for (int64_t k = 0; k < n; ++k) {
              double re = 0, im = 0;
              for (int64_t j = 0; j < n; ++j) {
                const auto at = static_cast<size_t>(j * k % n);
                re += x[2 * j] * c[at] - x[2 * j + 1] * s[at];
                im += x[2 * j] * s[at] + x[2 * j + 1] * c[at];
              }
              y[2 * k] = re * scale;
              y[2 * k + 1] = im * scale;
            }
          }
        },
    .vjp =
        [](Vjp& v) {  // the adjoint is the transform the other way, normalised as this one
          const bool inverse = v.attrs<FftAttrs>().inverse;
          const auto n = static_cast<double>(v.dy().size(-2));
          v.dx(0) = along(v.dy(), -1, !inverse) * (inverse ? 1 / n : n);
        },
    .onnx = "DFT",
    .samples =
        [](Samples& s) {
          const std::string x = "torch.view_as_complex({0})",
                            real = "torch.view_as_real(torch.fft.";
          s.add(
              {s.uniform({3, 8, 2})},
              [](const Tensors& x) {
                return Tensors{fft(x[0]), ifft(x[0])};
              },
              "(" + real + "fft(" + x + ")), " + real + "ifft(" + x + ")))");
          s.add(
              {s.uniform({7, 2, 2})},
              [](const Tensors& x) {
                return Tensors{fft(x[0], 0), ifft(x[0], -2)};
              },
              "(" + real + "fft(" + x + ", dim=0)), " + real + "ifft(" + x + ", dim=0)))");
          s.add(
              {s.uniform({2, 4, 3, 2})},
              [](const Tensors& x) {
                return Tensors{fft2(x[0]), ifft2(x[0])};
              },
              "(" + real + "fft2(" + x + ")), " + real + "ifft2(" + x + ")))");
          s.add(
              {s.uniform({1, 2})}, [](const Tensors& x) { return Tensors{fft(x[0])}; }, "{0} * 1");
          s.bad(
              {s.uniform({4, 3})}, [](const Tensors& x) { return Tensors{fft(x[0])}; },
              "holds no complex numbers");
          s.bad(
              {s.uniform({0, 2})}, [](const Tensors& x) { return Tensors{fft(x[0])}; },
              "nothing to transform");
          s.bad(
              {s.integers({4, 2}, 0, 9)}, [](const Tensors& x) { return Tensors{fft(x[0])}; },
              "f32 or f64 is needed");
          s.bad(
              {s.uniform({4, 2})}, [](const Tensors& x) { return Tensors{fft(x[0], 1)}; },
              "out of range");
        },
};

namespace {
Tensor along(const Tensor& x, int64_t dim, bool inverse) {
  if (x.rank() < 2) return make(op_fft_c2c, FftAttrs{inverse}, {x});  // says what is wrong
  dim = normalize_dim(op_fft_c2c, dim, x.rank() - 1);
  if (dim == x.rank() - 2) return make(op_fft_c2c, FftAttrs{inverse}, {x});
  return transpose(make(op_fft_c2c, FftAttrs{inverse}, {transpose(x, dim, -2)}), dim, -2);
}
}  // namespace

Tensor fft(In x, int64_t dim) { return along(x, dim, false); }
Tensor ifft(In x, int64_t dim) { return along(x, dim, true); }
Tensor fft2(In x) { return fft(fft(x, -1), -2); }
Tensor ifft2(In x) { return ifft(ifft(x, -1), -2); }

/// Fourier transform of real numbers along one dimension, unnormalised: of its n values, the first
/// n/2 + 1, as the rest mirrors them. x: f32 or f64. The result has a last dimension of size 2 for
/// the complex pairs.
API(Tensor rfft(In x, int64_t dim = -1))

OP(rfft) = {
    .name = "rfft",
    .kind = OpKind::composite,
    .infer =
        [](Infer& in) {
          in.check(in.dtype(0) == DType::f32 || in.dtype(0) == DType::f64,
                   {"input has type ", in.dtype(0), ", f32 or f64 is needed"});
          in.check(in.rank(0) >= 1 && in.shape(0)[-1] > 0, {"nothing to transform"});
          Shape out = in.shape(0);
          out[-1] = out[-1] / 2 + 1;
          out.push_back(2);
          in.out(in.dtype(0), out);
        },
    .decompose =
        [](const void*, const Tensors& in) {
          const Tensor y = fft(stack({in[0], zeros_like(in[0])}, -1));
          return Tensors{narrow(y, -2, 0, in[0].size(-1) / 2 + 1)};
        },
    .samples =
        [](Samples& s) {
          const auto call = [](int64_t dim) {
            return [dim](const Tensors& x) { return Tensors{rfft(x[0], dim)}; };
          };
          s.add({s.uniform({3, 8})}, call(-1), "torch.view_as_real(torch.fft.rfft({0}))");
          s.add({s.uniform({7, 2})}, call(0), "torch.view_as_real(torch.fft.rfft({0}, dim=0))");
          s.add({s.uniform({1})}, call(-1), "torch.view_as_real(torch.fft.rfft({0}))");
          s.bad({s.uniform({2, 0})}, call(-1), "nothing to transform");
          s.bad({s.integers({4}, 0, 9)}, call(-1), "f32 or f64 is needed");
          s.bad({s.uniform({4})}, call(1), "out of range");
        },
};

Tensor rfft(In x, int64_t dim) {
  dim = normalize_dim(op_rfft, dim, x->rank());
  if (dim == x->rank() - 1) return make(op_rfft, {x});
  return transpose(make(op_rfft, {transpose(x, dim, -1)}), dim, -2);
}

namespace {
struct IrfftAttrs {
  int64_t n = 0;
  void fields(FieldVisitor& v) { v("n", n); }
};
}  // namespace

/// Inverse of rfft: n real numbers (-1: twice the size less two) from n/2 + 1 complex ones.
/// Imaginary parts that the transform of real numbers cannot have are ignored. x: f32 or f64 with
/// a last dimension of size 2, which dim does not count.
API(Tensor irfft(In x, int64_t n = -1, int64_t dim = -1))

OP(irfft) = {
    .name = "irfft",
    .kind = OpKind::composite,
    .attrs = attr_type<IrfftAttrs>(),
    .infer =
        [](Infer& in) {
          check_complex(in);
          const int64_t n = in.attrs<IrfftAttrs>().n;
          in.check(n > 0, {"nothing to transform"});
          in.check(in.shape(0)[-2] == n / 2 + 1, {n, " real numbers need ", n / 2 + 1,
                                                  " complex ones, input has ", in.shape(0)[-2]});
          Shape out = in.shape(0).slice(0, in.rank(0) - 1);
          out[-1] = n;
          in.out(in.dtype(0), out);
        },
    .decompose =
        [](const void* attrs, const Tensors& in) {
          const int64_t n = static_cast<const IrfftAttrs*>(attrs)->n;
          const DType type = in[0].dtype();
          // The half that is missing is the conjugate of the middle, backwards.
          const Tensor middle = flip(narrow(in[0], -2, 1, n - n / 2 - 1), {-2});
          const Tensor conjugate = cast(Tensor::from({1.0, -1.0}, {2}), type);
          const Tensor full = ifft(concat({in[0], middle * conjugate}, -2));
          return Tensors{select(full, -1, 0)};
        },
    .samples =
        [](Samples& s) {
          const auto call = [](int64_t n, int64_t dim) {
            return [=](const Tensors& x) { return Tensors{irfft(x[0], n, dim)}; };
          };
          const std::string x = "torch.fft.irfft(torch.view_as_complex({0})";
          s.add({s.uniform({3, 5, 2})}, call(-1, -1), x + ")");
          s.add({s.uniform({4, 2, 2})}, call(7, 0), x + ", n=7, dim=0)");
          s.add({s.uniform({1, 2})}, call(1, -1), x + ", n=1)");
          s.bad({s.uniform({5, 2})}, call(7, -1), "7 real numbers need 4 complex ones");
          s.bad({s.uniform({1, 2})}, call(-1, -1), "nothing to transform");
          s.bad({s.uniform({5, 3})}, call(-1, -1), "holds no complex numbers");
        },
};

Tensor irfft(In x, int64_t n, int64_t dim) {
  const int64_t rank = x->rank();
  if (rank < 2) return make(op_irfft, IrfftAttrs{n}, {x});  // says what is wrong
  dim = normalize_dim(op_irfft, dim, rank - 1);
  if (n == -1) n = 2 * (x->size(dim) - 1);
  if (dim == rank - 2) return make(op_irfft, IrfftAttrs{n}, {x});
  return transpose(make(op_irfft, IrfftAttrs{n}, {transpose(x, dim, -2)}), dim, -1);
}

}  // namespace nacre
