#include <algorithm>

#include "explain/scores.h"

namespace nacre::explain {
namespace {

struct Window {
  int64_t top, left, bottom, right;
};

std::vector<Window> windows_of(int64_t h, int64_t w, int64_t side, int64_t stride) {
  std::vector<Window> list;
  // The last window along a side may be cut off by the edge, so that every pixel is covered.
  const auto starts = [&](int64_t size) {
    return std::max<int64_t>(0, (size - side + stride - 1) / stride) + 1;
  };
  for (int64_t i = 0; i < starts(h); ++i)
    for (int64_t j = 0; j < starts(w); ++j)
      list.push_back(
          {i * stride, j * stride, std::min(h, i * stride + side), std::min(w, j * stride + side)});
  return list;
}

}  // namespace

Tensor occlusion(const Scores& f, const Tensor& x, const Classes& classes,
                 const OcclusionOptions& options) {
  check_pictures("occlusion", x);
  const int64_t n = x.size(0), h = x.size(2), w = x.size(3);
  const int64_t side = options.window ? options.window : std::max<int64_t>(2, std::min(h, w) / 7);
  const int64_t stride = options.stride ? options.stride : std::max<int64_t>(1, side / 2);
  if (side < 1 || stride < 1 || stride > side || options.batch < 1)
    fail(Error::Kind::usage,
         {"[occlusion] window is ", side, ", stride ", stride, " and batch ", options.batch,
          "; all should be positive and the stride at most the window"});
  NoGrad guard;
  const Tensor fill = like(options.fill, x);
  const Classes each = for_each(classes, n);
  const std::vector<Window> windows = windows_of(h, w, side, stride);
  const auto before = class_scores(f, x, each).to_vector<double>();
  const auto plane = static_cast<size_t>(h * w);
  std::vector<float> falls(static_cast<size_t>(n) * plane), covered(plane);
  const Calls plan(windows.size(), static_cast<size_t>(std::max<int64_t>(1, options.batch / n)));
  const auto count = static_cast<int64_t>(plan.size);
  for (size_t call = 0; call < plan.calls; ++call) {
    const auto window = [&](int64_t k) { return call * plan.size + static_cast<size_t>(k); };
    std::vector<float> masks(static_cast<size_t>(count) * plane);
    Classes repeated;
    for (int64_t k = 0; k < count; ++k) {
      repeated.insert(repeated.end(), each.begin(), each.end());
      if (window(k) >= windows.size()) continue;
      const Window& r = windows[window(k)];
      for (int64_t i = r.top; i < r.bottom; ++i)
        for (int64_t j = r.left; j < r.right; ++j)
          masks[static_cast<size_t>((k * h + i) * w + j)] = 1;
    }
    const Tensor mask = cast(Tensor::from(masks, {count, 1, 1, h, w}), x.dtype());
    const Tensor hidden = x + mask * (fill - x);
    const auto after = class_scores(f, reshape(hidden, {count * n, x.size(1), h, w}), repeated)
                           .to_vector<double>();
    for (int64_t k = 0; k < count && window(k) < windows.size(); ++k) {
      const Window& r = windows[window(k)];
      for (int64_t i = r.top; i < r.bottom; ++i)
        for (int64_t j = r.left; j < r.right; ++j) {
          const auto at = static_cast<size_t>(i * w + j);
          covered[at] += 1;
          for (int64_t s = 0; s < n; ++s)
            falls[static_cast<size_t>(s) * plane + at] += static_cast<float>(
                before[static_cast<size_t>(s)] - after[static_cast<size_t>(k * n + s)]);
        }
    }
  }
  for (size_t i = 0; i < falls.size(); ++i) falls[i] /= covered[i % plane];
  return expand(Tensor::from(falls, {n, 1, h, w}), x.shape());
}

}  // namespace nacre::explain
