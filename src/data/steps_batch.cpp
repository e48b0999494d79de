// Steps that mix the samples of a batch; each sample's partner comes from a random permutation.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/steps.h"
#include "nacre/error.h"

namespace nacre::data {
namespace {

void check(const Batch& b, std::string_view step) {
  if (b.x.empty()) fail(Error::Kind::shape, {"[", step, "] the batch has no pictures or rows"});
  if (!b.boxes.empty() || !b.keypoints.empty() || !b.masks.empty())
    fail(Error::Kind::unsupported,
         {"[", step, "] mixes class labels and values, not boxes, masks or key points"});
}

std::vector<size_t> partners(const Batch& b, Rng& rng) {
  std::vector<size_t> order(static_cast<size_t>(b.size()));
  std::iota(order.begin(), order.end(), size_t{0});
  rng.shuffle(order.begin(), order.end());
  return order;
}

/// Class indices as weights [n, classes], which can be mixed.
void soften(Batch& b, std::string_view step) {
  if (!b.targets.empty()) return;
  if (b.labels.empty() || b.classes < 1)
    fail(Error::Kind::shape, {"[", step, "] needs labels and the number of classes"});
  std::vector<float> targets(static_cast<size_t>(b.size() * b.classes), 0.0f);
  for (size_t i = 0; i < b.labels.size(); ++i) {
    if (b.labels[i] < 0 || b.labels[i] >= b.classes)
      fail(Error::Kind::data,
           {"[", step, "] label ", b.labels[i], " is not in 0..", b.classes - 1});
    targets[i * static_cast<size_t>(b.classes) + static_cast<size_t>(b.labels[i])] = 1;
  }
  b.targets = std::move(targets);
  b.target_width = b.classes;
}

void mix_targets(Batch& b, const std::vector<size_t>& partner, const std::vector<float>& keep) {
  const auto width = static_cast<size_t>(b.target_width);
  const std::vector<float> old = b.targets;
  for (size_t i = 0; i < partner.size(); ++i)
    for (size_t k = 0; k < width; ++k)
      b.targets[i * width + k] =
          keep[i] * old[i * width + k] + (1 - keep[i]) * old[partner[i] * width + k];
}

void mixup_step(Batch& b, const Args& a, Rng& rng) {
  check(b, "mixup");
  if (!rng.bernoulli(a.number("p"))) return;
  soften(b, "mixup");
  const auto partner = partners(b, rng);
  const size_t n = partner.size(), each = b.x.size() / n;
  const std::vector<float> old = b.x;
  std::vector<float> keep(n);
  for (size_t i = 0; i < n; ++i) {
    keep[i] = static_cast<float>(rng.beta(a.number("alpha"), a.number("alpha")));
    if (!(keep[i] >= 0 && keep[i] <= 1)) keep[i] = 1;  // 0/0 of two tiny gamma values
    for (size_t k = 0; k < each; ++k)
      b.x[i * each + k] = keep[i] * old[i * each + k] + (1 - keep[i]) * old[partner[i] * each + k];
  }
  mix_targets(b, partner, keep);
}

void cutmix_step(Batch& b, const Args& a, Rng& rng) {
  check(b, "cutmix");
  if (b.shape.rank() != 4)
    fail(Error::Kind::shape, {"[cutmix] needs pictures, the batch is ", b.shape});
  if (!rng.bernoulli(a.number("p"))) return;
  soften(b, "cutmix");
  const auto partner = partners(b, rng);
  const int64_t channels = b.shape[1], h = b.shape[2], w = b.shape[3];
  const std::vector<float> old = b.x;
  std::vector<float> keep(partner.size());
  for (size_t i = 0; i < partner.size(); ++i) {
    const double part = std::sqrt(1 - rng.beta(a.number("alpha"), a.number("alpha")));
    const auto cw = static_cast<int64_t>(part * double(w)),
               ch = static_cast<int64_t>(part * double(h));
    const int64_t cx = static_cast<int64_t>(rng.below(static_cast<uint64_t>(w)));
    const int64_t cy = static_cast<int64_t>(rng.below(static_cast<uint64_t>(h)));
    const int64_t x0 = std::max<int64_t>(0, cx - cw / 2), x1 = std::min(w, cx - cw / 2 + cw);
    const int64_t y0 = std::max<int64_t>(0, cy - ch / 2), y1 = std::min(h, cy - ch / 2 + ch);
    const int64_t from = static_cast<int64_t>(partner[i]) - static_cast<int64_t>(i);
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t y = y0; y < y1; ++y)
        for (int64_t x = x0; x < x1; ++x) {
          const int64_t at = ((static_cast<int64_t>(i) * channels + c) * h + y) * w + x;
          b.x[static_cast<size_t>(at)] = old[static_cast<size_t>(at + from * channels * h * w)];
        }
    keep[i] = 1 - static_cast<float>((x1 - x0) * (y1 - y0)) / static_cast<float>(w * h);
  }
  mix_targets(b, partner, keep);
}

void sample_pairing_step(Batch& b, const Args& a, Rng& rng) {
  check(b, "sample_pairing");
  const int64_t start = a.integer("start"), on = a.integer("on"), off = a.integer("off");
  const int64_t stop = a.integer("stop");
  if (b.epoch < start || (stop > 0 && b.epoch >= stop)) return;
  if ((b.epoch - start) % (on + off) >= on) return;
  const auto partner = partners(b, rng);
  const size_t each = b.x.size() / partner.size();
  const std::vector<float> old = b.x;
  for (size_t i = 0; i < partner.size(); ++i)
    for (size_t k = 0; k < each; ++k)
      b.x[i * each + k] = 0.5f * (old[i * each + k] + old[partner[i] * each + k]);
}

Param epochs(std::string_view name, double preset, double low) {
  return {name, Param::integer, preset, low, 1e6};
}

}  // namespace

const std::vector<StepDef>& batch_steps() {
  static const std::vector<StepDef> steps = {
      {"mixup",
       "k x + (1 - k) x' and the same for labels, k of Beta(alpha, alpha) for each sample (Zhang "
       "et "
       "al. 2017)",
       {number("alpha", 0.2, 1e-3, 1e3), number("p", 1, 0, 1)},
       true,
       nullptr,
       mixup_step},
      {"cutmix",
       "a window of another picture, labels weighted by area (Yun et al. 2019); window area of "
       "1 - Beta(alpha, alpha)",
       {number("alpha", 1, 1e-3, 1e3), number("p", 1, 0, 1)},
       true,
       nullptr,
       cutmix_step},
      {"sample_pairing",
       "the mean of two pictures with the label of the first (Inoue 2018), for `on` epochs, then "
       "not for `off`, from epoch start to stop (0: to the end)",
       {epochs("start", 0, 0), epochs("on", 8, 1), epochs("off", 2, 0), epochs("stop", 0, 0)},
       true,
       nullptr,
       sample_pairing_step},
  };
  return steps;
}

}  // namespace nacre::data
