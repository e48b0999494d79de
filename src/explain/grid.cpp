#include <algorithm>
#include <cmath>

#include "explain/scores.h"
#include "nacre/zoo.h"

namespace nacre::explain {
namespace {

constexpr int64_t kMostPixels = int64_t{1} << 26;
constexpr int64_t kWidest = 8192;

int64_t rows_of(const Grid& g) { return (g.planes + g.columns - 1) / g.columns; }
int64_t picture_width(const Grid& g) { return g.columns * (g.width + 1) - 1; }
int64_t picture_height(const Grid& g) { return rows_of(g) * (g.height + 1) - 1; }

/// Calls f(number of the value, x, y).
template <typename F>
void for_values(const Grid& g, F f) {
  for (int64_t k = 0; k < g.planes; ++k)
    for (int64_t i = 0; i < g.height; ++i)
      for (int64_t j = 0; j < g.width; ++j)
        f(static_cast<size_t>((k * g.height + i) * g.width + j),
          static_cast<int>(k % g.columns * (g.width + 1) + j),
          static_cast<int>(k / g.columns * (g.height + 1) + i));
}

}  // namespace

Grid grid_of(const Tensor& t) {
  if (t.numel() == 0 || !is_float(t.dtype()))
    fail(Error::Kind::usage,
         {"[grid] ", t.dtype(), " ", t.shape(), " is nothing to show: floating values are needed"});
  Grid g;
  g.width = t.rank() ? t.size(-1) : 1;
  g.height = t.rank() > 1 ? t.size(-2) : 1;
  g.planes = t.numel() / (g.width * g.height);
  const int64_t inner = t.rank() > 2 ? t.size(-3) : 1;
  const bool by_rows = t.rank() == 4 && t.size(0) > 1 && inner * (g.width + 1) <= kWidest;
  g.columns = by_rows ? inner
                      : static_cast<int64_t>(
                            std::ceil(std::sqrt(static_cast<double>(g.planes * (g.height + 1)) /
                                                static_cast<double>(g.width + 1))));
  g.columns = std::clamp<int64_t>(g.columns, 1, g.planes);
  if (picture_width(g) > kMostPixels / picture_height(g))
    fail(Error::Kind::unsupported,
         {"[grid] ", t.shape(), " would be a picture of ", picture_width(g), " x ",
          picture_height(g), " pixels; 2^26 are the most"});
  g.low = static_cast<float>(amin(t).item());
  g.high = static_cast<float>(amax(t).item());
  return g;
}

Image grid_picture(const Tensor& t, const Grid& g) {
  Image picture(static_cast<int>(picture_width(g)), static_cast<int>(picture_height(g)), 1);
  const auto v = t.to_vector<float>();
  const float range = g.high - g.low;
  for_values(g, [&](size_t k, int x, int y) {
    picture.at(x, y) = range > 0 ? (v[k] - g.low) / range : 0;
  });
  return picture;
}

Tensor grid_values(const Image& picture, const Grid& g) {
  if (g.columns < 1 || picture.width != picture_width(g) || picture.height != picture_height(g) ||
      picture.channels != 1)
    fail(Error::Kind::data, {"[grid] a picture of ", picture.width, " x ", picture.height, " with ",
                             picture.channels, " channels does not hold ", g.planes, " planes of ",
                             g.width, " x ", g.height, " in ", g.columns, " columns"});
  std::vector<float> v(static_cast<size_t>(g.planes * g.height * g.width));
  for_values(g,
             [&](size_t k, int x, int y) { v[k] = g.low + picture.at(x, y) * (g.high - g.low); });
  return Tensor::from(v, {g.planes, g.height, g.width});
}

std::vector<std::pair<std::string, Tensor>> feature_maps(Module& net, const Tensor& x) {
  NoGrad guard;
  Context ctx = Context::eval();
  const std::vector<std::string> names = map_layers(net, x);
  for (const std::string& name : names) ctx.taps[name] = {};
  net(x, ctx);
  std::vector<std::pair<std::string, Tensor>> list;
  Tensors all;
  for (const std::string& name : names) {
    list.emplace_back(name, ctx.taps[name]);
    all.push_back(ctx.taps[name]);
  }
  eval(all);
  return list;
}

}  // namespace nacre::explain
