// Blocks that several networks are made of, with the parameter names of torchvision.
//
//   ConvBn stem(s / "stem", {.in = 3, .out = 32, .kernel = 3, .stride = 2, .act = silu});
//   SqueezeExcite se(s / "se", {.channels = 96, .hidden = 4, .act = silu});
//
// Ownership and threads are those of modules, see nacre/nn.h.
#pragma once

#include "nacre/nn.h"

namespace nacre {

/// A function of one tensor: relu, silu, hard_swish, ... Null: none.
using Activation = Tensor (*)(In);

/// The multiple of `divisor` nearest to a count of channels, but not below nine tenths of it
/// (Sandler et al. 2018).
int64_t round_channels(double channels, int64_t divisor = 8);

/// Settings of a 2-d convolution before a batch normalisation: no bias, size kept at stride 1, He
/// initialisation by fan-out.
ConvConfig conv_same(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1,
                     int64_t groups = 1);

/// Convolution without bias, batch normalisation and activation. Children: 0 and 1, or as named.
class ConvBn : public Module {
 public:
  struct Config {
    int64_t in = 0, out = 0;
    Ints kernel = 1;
    Ints stride = 1;
    int64_t groups = 1;
    Activation act = relu;
    double eps = 1e-5, momentum = 0.1;
    Ints padding = {};  ///< empty: half the kernel
    const char *conv = "0", *norm = "1";
  };
  ConvBn(const Scope& s, const Config& c);
  Tensor forward(const Tensor& x, Context& ctx) override;

 private:
  Conv2d conv_;
  BatchNorm norm_;
  Activation act_;
};

/// Squeeze and excitation (Hu et al. 2018): channels times gate(fc2(act(fc1(mean over
/// positions)))). x: NxCxHxW. Children fc1, fc2: 1x1 convolutions with bias.
class SqueezeExcite : public Module {
 public:
  struct Config {
    int64_t channels = 0, hidden = 0;
    Activation act = relu, gate = sigmoid;
  };
  SqueezeExcite(const Scope& s, const Config& c);
  Tensor forward(const Tensor& x, Context& ctx) override;

 private:
  Conv2d fc1_, fc2_;
  Activation act_, gate_;
};

/// Layer normalisation over the channels of each position (Liu et al. 2022). x: NxCxHxW.
class LayerNorm2d : public LayerNorm {
 public:
  using LayerNorm::LayerNorm;
  Tensor forward(const Tensor& x, Context& ctx) override;
};

/// Stochastic depth (Huang et al. 2016): in training, whole examples are 0 with probability p, else
/// divided by 1 - p. No parameters.
class DropPath : public Module {
 public:
  DropPath(const Scope& s, double p) : Module(s), p_(p) {}
  Tensor forward(const Tensor& x, Context& ctx) override;

 private:
  double p_;
};

/// Convolution whose taps are moved by learned offsets (Dai et al. 2017), bilinear between pixels,
/// zeros beyond the picture. x: NxCxHxW; weight: OxCxKhxKw; bias: O or undefined; offset:
/// Nx(2 Kh Kw)xH'xW', pairs (down, right) in pixels for each tap; mask: undefined, or Nx(Kh
/// Kw)xH'xW' factors of the taps (Zhu et al. 2019). One entry of stride, padding and dilation holds
/// for both dimensions. Returns NxOxH'xW'.
Tensor deform_conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                     const Tensor& offset, const Tensor& mask, int64_t stride = 1,
                     int64_t padding = 0, int64_t dilation = 1);

/// A deformable convolution that makes its offsets, and with `modulated` its mask, by a convolution
/// of its input. It starts as a plain convolution, of half the weight if modulated. Parameters
/// weight, bias; child offset.
class DeformConv2d : public Module {
 public:
  struct Config {
    int64_t in = 0, out = 0, kernel = 3, stride = 1, padding = 1, dilation = 1;
    bool modulated = true;  ///< version 2
    bool bias = false;
  };
  DeformConv2d(const Scope& s, const Config& c);
  Tensor forward(const Tensor& x, Context& ctx) override;
  Variable weight, bias;

 private:
  Config config_;
  Conv2d offset_;
  Variable offset_bias_;
};

}  // namespace nacre
