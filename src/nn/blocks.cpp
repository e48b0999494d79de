#include "nacre/blocks.h"

#include <algorithm>

namespace nacre {

int64_t round_channels(double channels, int64_t divisor) {
  if (!(channels > 0 && channels < 1e9) || divisor < 1)
    fail(Error::Kind::usage,
         {channels, " channels in multiples of ", divisor, ": both should be positive"});
  const double half = static_cast<double>(divisor) / 2;
  const int64_t nearest = static_cast<int64_t>(channels + half) / divisor * divisor;
  const int64_t rounded = std::max(divisor, nearest);
  return static_cast<double>(rounded) < 0.9 * channels ? rounded + divisor : rounded;
}

ConvConfig conv_same(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups) {
  const Init he = init::he_normal(1.4142135623730951, true);
  return {in, out, kernel, stride, kernel / 2, 1, groups, false, he};
}

namespace {

ConvConfig conv_of(const ConvBn::Config& c) {
  ConvConfig conv = conv_same(c.in, c.out, 1, 1, c.groups);
  conv.kernel = c.kernel;
  conv.stride = c.stride;
  conv.padding = c.padding;
  if (c.padding.empty())
    for (int64_t k : c.kernel) conv.padding.push_back(k / 2);
  return conv;
}

}  // namespace

ConvBn::ConvBn(const Scope& s, const Config& c)
    : Module(s),
      conv_(s / c.conv, conv_of(c)),
      norm_(s / c.norm, {c.out, c.eps, c.momentum}),
      act_(c.act) {}

Tensor ConvBn::forward(const Tensor& x, Context& ctx) {
  const Tensor y = norm_(conv_(x, ctx), ctx);
  return act_ ? act_(y) : y;
}

SqueezeExcite::SqueezeExcite(const Scope& s, const Config& c)
    : Module(s),
      fc1_(s / "fc1", {c.channels, c.hidden}),
      fc2_(s / "fc2", {c.hidden, c.channels}),
      act_(c.act),
      gate_(c.gate) {}

Tensor SqueezeExcite::forward(const Tensor& x, Context& ctx) {
  const Tensor squeezed = mean(x, {2, 3}, true);
  return x * gate_(fc2_(act_(fc1_(squeezed, ctx)), ctx));
}

Tensor LayerNorm2d::forward(const Tensor& x, Context& ctx) {
  return permute(LayerNorm::forward(permute(x, {0, 2, 3, 1}), ctx), {0, 3, 1, 2});
}

Tensor DropPath::forward(const Tensor& x, Context& ctx) {
  return ctx.training() && p_ > 0 ? drop_path(x, p_, ctx.key()) : x;
}

}  // namespace nacre
