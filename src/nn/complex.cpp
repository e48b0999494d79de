#include "nacre/complex.h"

#include <cmath>

namespace nacre {
namespace {

/// [C] along the channels of N x C x H x W.
Tensor along(const Tensor& v) { return reshape(v, {1, -1, 1, 1}); }

int64_t half_of(const Tensor& x) {
  if (x.rank() != 4 || x.size(1) % 2)
    fail(Error::Kind::shape,
         {"a complex map should be N x 2C x H x W, real parts before imaginary, got ", x.shape()});
  return x.size(1) / 2;
}

}  // namespace

Tensor real_part(const Tensor& x) { return slice(x, 1, 0, half_of(x)); }
Tensor imag_part(const Tensor& x) { return slice(x, 1, half_of(x)); }
Tensor complex_map(const Tensor& real, const Tensor& imag) { return concat({real, imag}, 1); }

Tensor modulus(const Tensor& x) {
  // A little above 0, where the root has no slope.
  return sqrt(square(real_part(x)) + square(imag_part(x)) + 1e-12);
}

Tensor zrelu(const Tensor& x) {
  const Tensor both = cast(logical_and(real_part(x) > 0.0, imag_part(x) > 0.0), x.dtype());
  return complex_map(real_part(x) * both, imag_part(x) * both);
}

Tensor complex_max_pool2d(const Tensor& x, int64_t kernel) {
  const int64_t n = x.size(0), c = half_of(x);
  const Tensors found = max_pool2d(modulus(x), kernel);
  const Shape size = found[0].shape();
  const Tensor at = reshape(found[1], {n, c, -1});
  const auto taken = [&](const Tensor& part) {
    return reshape(gather(reshape(part, {n, c, -1}), 2, at), size);
  };
  return complex_map(taken(real_part(x)), taken(imag_part(x)));
}

ComplexConv2d::ComplexConv2d(const Scope& s, const Config& c) : Module(s), config_(c) {
  if (c.in < 1 || c.out < 1 || c.kernel < 1 || c.stride < 1)
    fail(Error::Kind::usage,
         {"[complex conv] ", s.path(), ": channels, kernel and stride should be ", "positive, got ",
          c.in, ", ", c.out, ", ", c.kernel, ", ", c.stride});
  // Independent normal parts have a Rayleigh modulus and a uniform phase.
  const Init init = init::normal(0, 1 / std::sqrt(static_cast<double>(c.in * c.kernel * c.kernel)));
  weight_real = s.parameter("weight_real", {c.out, c.in, c.kernel, c.kernel}, init);
  weight_imag = s.parameter("weight_imag", {c.out, c.in, c.kernel, c.kernel}, init);
}

Tensor ComplexConv2d::forward(const Tensor& x, Context&) {
  const Tensor &r = weight_real.value(), &i = weight_imag.value();
  const Tensor block = concat({concat({r, neg(i)}, 1), concat({i, r}, 1)}, 0);
  return conv2d(x, block, {}, {config_.stride, config_.kernel / 2});
}

ComplexBatchNorm::ComplexBatchNorm(const Scope& s, const Config& c) : Module(s), config_(c) {
  const Shape one = {c.channels}, both = {2 * c.channels};
  const Init half = init::constant(std::sqrt(0.5));
  weight_rr = (s / "rr").parameter("weight", one, half);
  weight_ii = (s / "ii").parameter("weight", one, half);
  weight_ri = (s / "ri").parameter("weight", one, init::zeros());
  bias = s.parameter("bias", both, init::zeros());
  running_mean = s.buffer("running_mean", both, init::zeros());
  running_rr = (s / "rr").buffer("running_var", one, half);
  running_ii = (s / "ii").buffer("running_var", one, half);
  running_ri = (s / "ri").buffer("running_cov", one, init::zeros());
}

Tensor ComplexBatchNorm::forward(const Tensor& x, Context& ctx) {
  const auto channels = [](const Tensor& t) { return mean(t, {0, 2, 3}); };
  const bool training = ctx.training();
  const Tensor centre = training ? channels(x) : running_mean.value();
  const Tensor moved = x - along(centre);
  const Tensor a = real_part(moved), b = imag_part(moved);
  const Tensor rr = training ? channels(square(a)) : running_rr.value();
  const Tensor ii = training ? channels(square(b)) : running_ii.value();
  const Tensor ri = training ? channels(a * b) : running_ri.value();
  // The inverse square root of a symmetric 2x2 matrix in closed form.
  const Tensor vr = rr + config_.eps, vi = ii + config_.eps;
  const Tensor root = sqrt(vr * vi - square(ri)), trace = sqrt(vr + vi + 2.0 * root);
  const Tensor scale = reciprocal(root * trace);
  const Tensor wr = (vi + root) * scale, wi = (vr + root) * scale, w = neg(ri) * scale;
  const Tensor &gr = weight_rr.value(), &gi = weight_ii.value(), &g = weight_ri.value();
  // Both matrices in one, so that each part is scaled twice and added.
  const auto mixed = [&](const Tensor& from_a, const Tensor& from_b) {
    return along(from_a) * a + along(from_b) * b;
  };
  const Tensor y =
      complex_map(mixed(gr * wr + g * w, gr * w + g * wi), mixed(g * wr + gi * w, g * w + gi * wi));
  if (training) {
    NoGrad guard;
    const double m = config_.momentum;
    const auto follow = [&](const Variable& v, const Tensor& now) {
      ctx.update(v, (1 - m) * v.value() + m * now);
    };
    follow(running_mean, centre);
    follow(running_rr, rr);
    follow(running_ii, ii);
    follow(running_ri, ri);
  }
  return y + along(bias.value());
}

Tensor ModReLU::forward(const Tensor& x, Context&) {
  const Tensor length = modulus(x);
  const Tensor factor = relu(length + along(bias.value())) / length;
  return complex_map(real_part(x) * factor, imag_part(x) * factor);
}

}  // namespace nacre
