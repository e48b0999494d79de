#include "train/kernel_pictures.h"

#include <algorithm>
#include <cmath>

namespace nacre {

Variable first_kernels(const Module& net) {
  for (const Variable& v : net.parameters())
    if (v.value().rank() == 4) return v;
  return Variable();
}

std::vector<Image> kernel_pictures(const Tensor& weight, int64_t limit) {
  const int64_t count = std::min(limit, weight.size(0));
  const bool colour = weight.size(1) == 3;
  Tensor w = slice(weight, 0, 0, count);
  if (!colour) w = mean(w, {1}, true);
  // Channels last, as pictures have them.
  const std::vector<float> values = permute(w, {0, 2, 3, 1}).to_vector<float>();
  float largest = 0;
  for (float v : values) largest = std::max(largest, std::fabs(v));
  std::vector<Image> pictures;
  auto at = values.begin();
  for (int64_t k = 0; k < count; ++k) {
    Image picture(static_cast<int>(weight.size(3)), static_cast<int>(weight.size(2)),
                  colour ? 3 : 1);
    for (float& p : picture.pixels) p = largest > 0 ? 0.5f + 0.5f * *at++ / largest : 0.5f;
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

}  // namespace nacre
