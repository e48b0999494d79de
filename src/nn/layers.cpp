#include "nacre/nn.h"

#include <algorithm>
#include <cmath>

#include "graph/node.h"
#include "nacre/blocks.h"
#include "nn/deformable.h"

namespace nacre {
namespace {

/// A setting for each spatial dimension: one entry is repeated.
Ints spread(const Ints& v, int spatial) {
  if (v.rank() == spatial) return v;
  if (v.rank() != 1)
    fail(Error::Kind::usage,
         {"a setting ", as_list(v), " does not fit ", spatial, " spatial dimensions"});
  return Ints(static_cast<size_t>(spatial), v[0]);
}

}  // namespace

Linear::Linear(const Scope& s, const Config& c) : Module(s) {
  weight = s.parameter("weight", {c.out, c.in}, c.init);
  if (c.bias) {
    const double bound = 1 / std::sqrt(std::max<double>(1, static_cast<double>(c.in)));
    bias = s.parameter("bias", {c.out}, init::uniform(-bound, bound));
  }
}

Tensor Linear::forward(const Tensor& x, Context&) {
  const int64_t in = weight.value().size(1);
  if (x.rank() < 1 || x.size(-1) != in)
    fail(Error::Kind::shape, {"[linear] input ", x.shape(), " has ", x.rank() ? x.size(-1) : 0,
                              " features, weight expects ", in, where()});
  const Tensor flat = x.rank() == 2 ? x : reshape(x, {-1, in});
  Tensor y = matmul(flat, transpose(weight.value()));
  if (bias.defined()) y = y + bias.value();
  if (x.rank() == 2) return y;
  Shape shape = x.shape();
  shape[-1] = y.size(1);
  return reshape(y, shape);
}

Conv::Conv(const Scope& s, const ConvConfig& c, int spatial, bool transposed)
    : Module(s), config_(c), spatial_(spatial), transposed_(transposed) {
  const Ints kernel = spread(c.kernel, spatial);
  if (c.in < 1 || c.out < 1 || c.groups < 1 || c.in % c.groups || c.out % c.groups)
    fail(Error::Kind::usage,
         {"[conv] ", s.path(), ": ", c.in, " channels in and ", c.out, " out, ", c.groups,
          " groups: counts should be positive and the groups divide both"});
  Shape shape = transposed ? Shape{c.in, c.out / c.groups} : Shape{c.out, c.in / c.groups};
  for (int64_t k : kernel) shape.push_back(k);
  weight = s.parameter("weight", shape, c.init);
  if (c.bias) {
    const double fan_in = static_cast<double>(shape[1] * kernel.numel());
    const double bound = 1 / std::sqrt(std::max(1.0, fan_in));
    bias = s.parameter("bias", {c.out}, init::uniform(-bound, bound));
  }
  if (spatial != 2 || transposed || !makes_offsets(s.path(), c)) return;
  const int64_t taps = kernel.numel();
  (s / "offset").parameter("weight", {3 * taps, c.in, kernel[0], kernel[1]}, init::zeros());
  (s / "offset").parameter("bias", {3 * taps}, init::zeros());
}

Tensor Conv::forward(const Tensor& x, Context&) {
  const Tensor b = bias.defined() ? bias.value() : Tensor();
  if (const Variable offset = state()->find(path() + ".offset.weight"); offset.defined()) {
    const Tensor moves = conv2d(x, offset.value(), state()->find(path() + ".offset.bias").value(),
                                {config_.stride, config_.padding, config_.dilation});
    const int64_t taps = offset.value().size(0) / 3;
    // Masks of 1 at first: weights that were trained without offsets keep their meaning.
    return deform_conv2d(x, weight.value(), b, slice(moves, 1, 0, 2 * taps),
                         2.0 * sigmoid(slice(moves, 1, 2 * taps)), config_.stride[0],
                         config_.padding[0], config_.dilation[0]);
  }
  if (transposed_) {
    ConvTransposeOptions o{config_.stride, config_.padding, config_.output_padding,
                           config_.dilation, config_.groups};
    return spatial_ == 1   ? conv_transpose1d(x, weight.value(), b, o)
           : spatial_ == 2 ? conv_transpose2d(x, weight.value(), b, o)
                           : conv_transpose3d(x, weight.value(), b, o);
  }
  ConvOptions o{config_.stride, config_.padding, config_.dilation, config_.groups};
  return spatial_ == 1   ? conv1d(x, weight.value(), b, o)
         : spatial_ == 2 ? conv2d(x, weight.value(), b, o)
                         : conv3d(x, weight.value(), b, o);
}

BatchNorm::BatchNorm(const Scope& s, const Config& c) : Module(s), config_(c) {
  if (c.affine) {
    weight = s.parameter("weight", {c.channels}, init::ones());
    bias = s.parameter("bias", {c.channels}, init::zeros());
  }
  running_mean = s.buffer("running_mean", {c.channels}, init::zeros());
  running_var = s.buffer("running_var", {c.channels}, init::ones());
}

bool BatchNorm::frozen() const {
  const bool affine = weight.defined() && weight.frozen() && bias.frozen();
  return affine || running_mean.frozen();
}

Tensor BatchNorm::forward(const Tensor& x, Context& ctx) {
  const Tensor& mean = running_mean.value();
  const Tensor w = weight.defined() ? weight.value() : ones_like(mean);
  const Tensor b = bias.defined() ? bias.value() : zeros_like(mean);
  if (!ctx.training() || frozen())
    return batch_norm_infer(x, w, b, mean, running_var.value(), config_.eps);
  const Tensors y = batch_norm_train(x, w, b, config_.eps);
  const double n = static_cast<double>(x.numel()) / static_cast<double>(config_.channels);
  const double m = config_.momentum, unbiased = n > 1 ? n / (n - 1) : 1;
  NoGrad guard;
  ctx.update(running_mean, (1 - m) * mean + m * y[1]);
  ctx.update(running_var, (1 - m) * running_var.value() + m * unbiased * y[2]);
  return y[0];
}

LayerNorm::LayerNorm(const Scope& s, const Config& c) : Module(s), config_(c) {
  if (!c.affine) return;
  weight = s.parameter("weight", c.shape, init::ones());
  bias = s.parameter("bias", c.shape, init::zeros());
}

Tensor LayerNorm::forward(const Tensor& x, Context&) {
  return layer_norm(x, weight.value(), bias.value(), config_.eps, config_.shape.rank());
}

Embedding::Embedding(const Scope& s, const Config& c) : Module(s) {
  weight = s.parameter("weight", {c.count, c.size}, c.init);
}

Tensor Embedding::forward(const Tensor& index, Context&) {
  return embedding(weight.value(), index);
}

Tensor Dropout::forward(const Tensor& x, Context& ctx) {
  return ctx.training() && p_ > 0 ? dropout(x, p_, ctx.key()) : x;
}

}  // namespace nacre
