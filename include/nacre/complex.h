// Layers of complex numbers (Trabelsi et al., Deep complex networks, 2018). A complex map of C
// channels is N x 2C x H x W: the real parts, then the imaginary parts.
//
//   ComplexConv2d conv(s / "conv", {.in = 3, .out = 16, .kernel = 3});
//   ComplexBatchNorm norm(s / "norm", {16});
//   Tensor y = relu(norm(conv(x, ctx), ctx));      // CReLU: of both parts
//
// Ownership and threads are those of modules, see nacre/nn.h.
#pragma once

#include "nacre/nn.h"

namespace nacre {

/// Convolution of complex maps: (Wr + i Wi) * (xr + i xi). No bias. x: N x 2 in x H x W; parameters
/// weight_real and weight_imag, out x in x k x k, drawn with moduli of the Rayleigh distribution of
/// 1 / sqrt(fan in) and uniform phases. The size is kept at stride 1.
class ComplexConv2d : public Module {
 public:
  struct Config {
    int64_t in = 0, out = 0;  ///< complex channels
    int64_t kernel = 1, stride = 1;
  };
  ComplexConv2d(const Scope& s, const Config& c);
  Tensor forward(const Tensor& x, Context& ctx) override;
  Variable weight_real, weight_imag;

 private:
  Config config_;
};

/// Batch normalisation of complex maps: x minus its mean, times the inverse square root of the
/// covariance of both parts, times a symmetric 2x2 matrix, plus a bias. The matrix begins as
/// I / sqrt(2), so that the variance of a complex number is 1. Parameters rr.weight, ii.weight,
/// ri.weight, bias; buffers running_mean, rr.running_var, ii.running_var, ri.running_cov.
class ComplexBatchNorm : public Module {
 public:
  struct Config {
    int64_t channels = 0;  ///< complex
    double eps = 1e-4, momentum = 0.1;
  };
  ComplexBatchNorm(const Scope& s, const Config& c);
  Tensor forward(const Tensor& x, Context& ctx) override;
  Variable weight_rr, weight_ii, weight_ri, bias;
  Variable running_mean, running_rr, running_ii, running_ri;

 private:
  Config config_;
};

/// Shortens each number by a learned length and keeps its phase: relu(|z| + bias) z / |z| (Arjovsky
/// et al. 2016). Parameter bias [channels].
class ModReLU : public Module {
 public:
  ModReLU(const Scope& s, int64_t channels)
      : Module(s), bias(s.parameter("bias", {channels}, init::zeros())) {}
  Tensor forward(const Tensor& x, Context& ctx) override;
  Variable bias;
};

/// The real and the imaginary part, N x C x H x W. Throws Error(shape) if the channels are odd.
Tensor real_part(const Tensor& x);
Tensor imag_part(const Tensor& x);
/// |z|, N x C x H x W.
Tensor modulus(const Tensor& x);
/// The complex map of two parts of one shape.
Tensor complex_map(const Tensor& real, const Tensor& imag);
/// z where both parts are positive, else 0 (Guberman 2016).
Tensor zrelu(const Tensor& x);
/// Of each window the number of the largest modulus; the stride is the kernel.
Tensor complex_max_pool2d(const Tensor& x, int64_t kernel);

}  // namespace nacre
