// The vector loops of max_pool against plain loops, over widths around those of vectors.
#include "backends/cpu/simd/max_pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace nacre::cpu {
namespace {

void plain(const PoolWindow& w, const std::vector<float>& x, std::vector<float>& y,
           std::vector<int64_t>& index) {
  size_t k = 0;
  for (int64_t h = 0; h < w.out[1]; ++h)
    for (int64_t o = 0; o < w.out[2]; ++o, ++k) {
      y[k] = -INFINITY;
      index[k] = -1;
      for (int64_t i = 0; i < w.kernel[1]; ++i)
        for (int64_t j = 0; j < w.kernel[2]; ++j) {
          const int64_t r = h * w.stride[1] - w.pad[1] + i * w.dilation[1],
                        c = o * w.stride[2] - w.pad[2] + j * w.dilation[2];
          if (r < 0 || r >= w.in[1] || c < 0 || c >= w.in[2]) continue;
          const int64_t at = r * w.in[2] + c;
          const float v = x[static_cast<size_t>(at)];
          if (index[k] >= 0 && (std::isnan(y[k]) || !(std::isnan(v) || v > y[k]))) continue;
          y[k] = v;
          index[k] = at;
        }
    }
}

TEST(MaxPoolPlane, EqualsPlainLoops) {
  std::mt19937 random(1);
  int windows = 0;
  for (int64_t width = 1; width <= 45; ++width)
    for (int64_t kernel = 1; kernel <= 4; ++kernel)
      for (int64_t stride = 1; stride <= 2; ++stride)
        for (int64_t dilation = 1; dilation <= 2; ++dilation)
          for (int64_t pad = 0; pad <= kernel / 2; ++pad) {
            PoolWindow w;
            w.in = {1, 5, width};
            w.kernel = {1, 2, kernel};
            w.stride = {1, 2, stride};
            w.dilation = {1, 1, dilation};
            w.pad = {0, 1, pad};
            w.out = {1, 3, (width + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1};
            if (width + 2 * pad < dilation * (kernel - 1) + 1) continue;
            ++windows;
            std::vector<float> x(static_cast<size_t>(w.in_plane()));
            for (float& v : x) {
              const auto r = random() % 40;
              v = r == 0 ? NAN : r == 1 ? -INFINITY : static_cast<float>(r % 11) - 5;
            }
            const auto n = static_cast<size_t>(w.out_plane());
            std::vector<float> y(n), want(n);
            std::vector<int64_t> index(n, 7), want_index(n);
            ASSERT_TRUE(has_max_pool_plane(w));
            max_pool_plane(w, x.data(), y.data(), index.data());
            plain(w, x, want, want_index);
            ASSERT_EQ(index, want_index) << "width " << width << " kernel " << kernel << " stride "
                                         << stride << " dilation " << dilation << " pad " << pad;
            for (size_t i = 0; i < n; ++i)
              ASSERT_TRUE(y[i] == want[i] || (std::isnan(y[i]) && std::isnan(want[i]))) << i;
          }
  EXPECT_GT(windows, 500);
}

}  // namespace
}  // namespace nacre::cpu
