// Normalisation and dropout.
#include "onnx/window.h"

namespace nacre::onnx {
namespace {

/// Axes but the second.
Ints batch_axes(int64_t rank) {
  Ints dims;
  for (int64_t d = 0; d < rank; ++d)
    if (d != 1) dims.push_back(d);
  return dims;
}

Values batch_norm(Call& c) {
  const Tensor& x = c[0];
  const double eps = c.f("epsilon", 1e-5), momentum = c.f("momentum", 0.9);
  // Opsets before 14 train if they are asked for more than the result.
  const bool train = c.opset >= 14  ? c.i("training_mode") != 0
                     : c.opset >= 7 ? c.wants(1)
                                    : !c.i("is_test") && c.wants(1);
  if (!train) {
    const auto as_x = [&](size_t i) { return cast(c[i], x.dtype()); };
    return {batch_norm_infer(x, as_x(1), as_x(2), as_x(3), as_x(4), eps)};
  }
  const Ints dims = batch_axes(x.rank());
  const Tensor mu = mean(x, dims), variance = var(x, dims, 0);
  const auto row = [&](const Tensor& v) { return along_channels(v, x.rank()); };
  const Tensor scale = c[1] / sqrt(variance + eps);
  const Tensor y = (x - row(mu)) * row(scale) + row(c[2]);
  const Tensor next_mean = c[3] * momentum + mu * (1 - momentum);
  const Tensor next_var = c[4] * momentum + variance * (1 - momentum);
  return {y, next_mean, next_var, mu, variance};
}

/// (x - mean) / sqrt(var + eps) over the dimensions from `axis` on; also mean and 1 / deviation.
/// The statistics are f32 at least.
Tensors standardised(const Tensor& x, int64_t axis, double eps, bool centre) {
  Ints dims;
  for (int64_t d = axis; d < x.rank(); ++d) dims.push_back(d);
  const Tensor wide = size_of(x.dtype()) < 4 ? cast(x, DType::f32) : x;
  const Tensor mu = centre ? mean(wide, dims, true) : Tensor();
  const Tensor apart = centre ? wide - mu : wide;
  const Tensor inverse = reciprocal(sqrt(mean(square(apart), dims, true) + eps));
  return {cast(apart * inverse, x.dtype()), mu, inverse};
}

Values layer_normalization(Call& c) {
  const Tensor& x = c[0];
  const int64_t axis = c.axis(c.i("axis", -1), x.rank());
  const double eps = c.f("epsilon", 1e-5);
  const bool usual = c.shape(1) == x.shape().slice(axis, x.rank()) && !c.wants(1) && !c.wants(2) &&
                     (!c.has(2) || c.shape(2) == c.shape(1)) && c[1].dtype() == x.dtype();
  if (usual) return {layer_norm(x, c[1], c.optional(2), eps, x.rank() - axis)};
  const Tensors s = standardised(x, axis, eps, true);
  const Tensor y = s[0] * c[1];
  return {cast(c.has(2) ? y + c[2] : y, x.dtype()), s[1], s[2]};
}

Values group_normalization(Call& c) {
  const Tensor& x = c[0];
  const int64_t groups = c.i("num_groups"), channels = c.rank(0) > 1 ? x.size(1) : 0;
  c.check(groups > 0 && channels % groups == 0,
          {channels, " channels do not form ", groups, " groups"});
  const auto by_channel = [&](size_t i) {  // opset 18 has one number for each group
    const Tensor& v = c[i];
    return c.opset < 21 && v.numel() == groups ? repeat_interleave(v, channels / groups, 0) : v;
  };
  return {group_norm(x, groups, by_channel(1), by_channel(2), c.f("epsilon", 1e-5))};
}

Values lrn(Call& c) {
  const Tensor& x = c[0];
  const int64_t size = c.i("size"), channels = x.size(1);
  const double alpha = c.f("alpha", 1e-4), beta = c.f("beta", 0.75), bias = c.f("bias", 1);
  c.check(size > 0, {"size ", size, " is not positive"});
  if (size % 2) return {local_response_norm(x, size, alpha, beta, bias)};
  // Windows of even size reach one channel further up than down.
  Ints low = {0, (size - 1) / 2}, high = {0, size / 2};
  while (low.rank() < x.rank()) low.push_back(0), high.push_back(0);
  const Tensor squares = pad(x * x, low, high);
  Tensor sum = slice(squares, 1, 0, channels);
  for (int64_t k = 1; k < size; ++k) sum = sum + slice(squares, 1, k, k + channels);
  return {x / pow(bias + sum * (alpha / static_cast<double>(size)), beta)};
}

Values dropout_values(Call& c) {
  const Tensor& x = c[0];
  const double ratio = c.has(1) ? c.real(1) : c.f("ratio", 0.5);
  const bool train = c.opset >= 12 ? c.has(2) && c.integer(2) : c.opset < 7 && !c.i("is_test", 1);
  const DType mask_type = c.opset < 10 ? x.dtype() : DType::boolean;
  if (!train || ratio == 0) return {c.in[0], ones(x.shape(), mask_type)};
  c.check(ratio > 0 && ratio < 1, {"ratio ", ratio, " is not between 0 and 1"});
  const Key key = c.given("seed") ? Key(static_cast<uint64_t>(c.i("seed"))) : c.ctx.key();
  const Tensor keep = ge(uniform(x.shape(), key), ratio);
  return {where(keep, x / (1 - ratio), 0.0), cast(keep, mask_type)};
}

}  // namespace

ONNX(BatchNormalization) = {"BatchNormalization", batch_norm, "", "3,4"};
ONNX(InstanceNormalization) = {"InstanceNormalization", [](Call& c) -> Values {
                                 return {instance_norm(c[0], c[1], c[2], c.f("epsilon", 1e-5))};
                               }};
ONNX(LayerNormalization) = {"LayerNormalization", layer_normalization};
ONNX(GroupNormalization) = {"GroupNormalization", group_normalization};
ONNX(RMSNormalization) = {
    "RMSNormalization", [](Call& c) -> Values {
      const int64_t axis = c.axis(c.i("axis", -1), c.rank(0));
      return {standardised(c[0], axis, c.f("epsilon", 1e-5), false)[0] * c[1]};
    }};
ONNX(LRN) = {"LRN", lrn};
ONNX(MeanVarianceNormalization) = {
    "MeanVarianceNormalization", [](Call& c) -> Values {
      Ints axes = c.is("axes", {0, 2, 3});
      for (int64_t& a : axes) a = c.axis(a, c.rank(0));
      const Tensor apart = c[0] - mean(c[0], axes, true);
      return {apart / (sqrt(mean(square(apart), axes, true)) + 1e-9)};
    }};
ONNX(LpNormalization) = {
    "LpNormalization", [](Call& c) -> Values {
      const int64_t axis = c.axis(c.i("axis", -1), c.rank(0));
      const Tensor size = norm(c[0], static_cast<double>(c.i("p", 2)), {axis}, true);
      return {where(eq(size, 0.0), 0.0, c[0] / where(eq(size, 0.0), 1.0, size))};
    }};
ONNX(Dropout) = {"Dropout", dropout_values, "", "1"};

}  // namespace nacre::onnx
