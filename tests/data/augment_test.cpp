// Values: noise, erasing, colour, audio, text and mixing; distributions with fixed seeds.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "goldens.h"
#include "nacre/error.h"
#include "nacre/transforms.h"

namespace nacre {
namespace {

Sample flat(int width, int height, int channels, float value) {
  Sample s;
  s.image = Image(width, height, channels, value);
  return s;
}

Sample augment(const std::string& spec, Sample s, uint64_t seed = 1, bool training = true) {
  Transform::parse(spec).apply(s, training, Key(seed));
  return s;
}

struct Moments {
  double mean = 0, std = 0;
};
Moments moments(const std::vector<float>& v) {
  Moments m;
  for (const float x : v) m.mean += x / static_cast<double>(v.size());
  for (const float x : v) m.std += (x - m.mean) * (x - m.mean) / static_cast<double>(v.size());
  m.std = std::sqrt(m.std);
  return m;
}

TEST(Noise, MomentsAreThoseAskedFor) {
  Moments m =
      moments(augment("gaussian_noise(0.05,mean=0.1)", flat(200, 200, 1, 0.5f)).image.pixels);
  EXPECT_NEAR(m.mean, 0.6, 0.02 * 0.1);
  EXPECT_NEAR(m.std, 0.05, 0.02 * 0.05);
  m = moments(augment("speckle(0.2)", flat(200, 200, 1, 0.5f)).image.pixels);
  EXPECT_NEAR(m.mean, 0.5, 0.02 * 0.5);
  EXPECT_NEAR(m.std, 0.1, 0.02 * 0.1);
  const auto dots = augment("salt_pepper(0.2,salt=0.3)", flat(400, 400, 3, 0.5f)).image;
  double white = 0, black = 0;
  for (size_t i = 0; i < dots.pixels.size(); i += 3) {
    white += dots.pixels[i] == 1;
    black += dots.pixels[i] == 0;
    ASSERT_EQ(dots.pixels[i], dots.pixels[i + 2]);
  }
  EXPECT_NEAR((white + black) / 160000, 0.2, 0.02 * 0.2);
  EXPECT_NEAR(white / (white + black), 0.3, 0.02 * 0.3);
  const auto clipped = augment("gaussian_noise(2)", flat(50, 50, 1, 0.5f)).image.pixels;
  EXPECT_EQ(*std::max_element(clipped.begin(), clipped.end()), 1);
  const auto wide = augment("gaussian_noise(2,clip=0)", flat(50, 50, 1, 0.5f)).image.pixels;
  EXPECT_GT(*std::max_element(wide.begin(), wide.end()), 2);
}

TEST(Cutout, AreaIsTheSquareClippedAtBorders) {
  bool clipped = false, whole = false;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const Image image = augment("cutout(6)", flat(20, 16, 2, 1), seed).image;
    int x0 = 20, x1 = -1, y0 = 16, y1 = -1, zeros = 0;
    for (int y = 0; y < 16; ++y)
      for (int x = 0; x < 20; ++x) {
        if (image.at(x, y) != 0) continue;
        ASSERT_EQ(image.at(x, y, 1), 0);
        ++zeros;
        x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
      }
    const int w = x1 - x0 + 1, h = y1 - y0 + 1;
    ASSERT_EQ(zeros, w * h);
    ASSERT_TRUE(w == 6 || x0 == 0 || x1 == 19) << w;
    ASSERT_TRUE(h == 6 || y0 == 0 || y1 == 15) << h;
    clipped |= zeros < 36;
    whole |= zeros == 36;
  }
  EXPECT_TRUE(clipped && whole);
}

TEST(RandomErasing, AreaAndAspectStayWithinBounds) {
  const Transform t =
      Transform::parse("random_erasing(p=0.5,min_area=0.02,max_area=0.33,ratio=3.3)");
  int erased = 0;
  for (int i = 0; i < 10000; ++i) {
    Sample s = flat(28, 28, 1, 1);
    t.apply(s, true, sample_key(2, 0, i));
    int x0 = 28, x1 = -1, y0 = 28, y1 = -1, zeros = 0;
    for (int y = 0; y < 28; ++y)
      for (int x = 0; x < 28; ++x)
        if (s.image.at(x, y) == 0) {
          ++zeros;
          x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
        }
    if (zeros == 0) continue;
    ++erased;
    const double w = x1 - x0 + 1, h = y1 - y0 + 1;
    ASSERT_EQ(zeros, w * h);
    ASSERT_GE(zeros / 784.0, 0.02);
    ASSERT_LE(zeros / 784.0, 0.33);
    ASSERT_LE(std::max(w / h, h / w), 3.3 + 1e-9);
  }
  EXPECT_NEAR(erased, 5000, 150);  // three standard deviations of a fair coin
  const auto noise = augment("random_erasing(p=1,with=noise)", flat(28, 28, 1, 2), 3).image.pixels;
  EXPECT_LT(*std::min_element(noise.begin(), noise.end()), 1);
}

TEST(Blur, MatchesReference) {
  Sample s;
  s.image = read_image(testing::golden_path("turn.png"));
  EXPECT_LT(testing::difference(augment("gaussian_blur(1.5,1.5)", s).image, "blur_1.5").largest,
            0.01);
}

TEST(Colour, StepsDoWhatTheySay) {
  Sample s = flat(1, 1, 3, 0);
  s.image.pixels = {0.8f, 0.2f, 0.4f};
  EXPECT_FLOAT_EQ(augment("invert", s).image.pixels[1], 0.8f);
  const float grey = 0.299f * 0.8f + 0.587f * 0.2f + 0.114f * 0.4f;
  EXPECT_FLOAT_EQ(augment("grayscale", s).image.pixels[2], grey);
  EXPECT_EQ(augment("to_channels(1)", s).image.channels, 1);
  const auto n = augment("normalize([0.1,0.2,0.3],[0.5,0.5,2])", s).image.pixels;
  EXPECT_FLOAT_EQ(n[0], 1.4f);
  EXPECT_FLOAT_EQ(n[2], 0.05f);
  EXPECT_THROW(augment("normalize([1,2],[1,2])", s), Error);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto hue = augment("color_jitter(hue=0.5)", s, seed).image.pixels;
    // Hue keeps the largest and the smallest component.
    EXPECT_NEAR(*std::max_element(hue.begin(), hue.end()), 0.8f, 1e-5);
    EXPECT_NEAR(*std::min_element(hue.begin(), hue.end()), 0.2f, 1e-5);
    const auto bright = augment("color_jitter(brightness=0.2)", s, seed).image.pixels;
    EXPECT_NEAR(bright[0] / bright[1], 4, 1e-4);
    EXPECT_LE(std::abs(bright[2] / 0.4f - 1), 0.2001f);
    const auto pale = augment("color_jitter(saturation=0.9)", s, seed).image;
    EXPECT_NEAR(to_channels(pale, 1).pixels[0], grey, 0.05f);  // equal but for clamping
  }
}

TEST(Colour, HueTurnsRedToGreen) {
  // Red at 0, green at a third of the circle: hue 1/3 of red. Found by the seed's own shift.
  Sample red = flat(1, 1, 3, 0);
  red.image.pixels = {1, 0, 0};
  std::vector<float> largest(3, 0);
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const auto p = augment("color_jitter(hue=0.5)", red, seed).image.pixels;
    for (size_t c = 0; c < 3; ++c) largest[c] = std::max(largest[c], p[c]);
    ASSERT_NEAR(p[0] == 1 || p[1] == 1 || p[2] == 1, true, 0);
  }
  for (const float v : largest) EXPECT_EQ(v, 1);
}

TEST(Audio, StepsKeepOrMeetWhatTheySay) {
  Sample s;
  for (int i = 0; i < 16000; ++i)
    s.audio.push_back(static_cast<float>(std::sin(2 * std::numbers::pi * 440 * i / 16000)));
  const Sample noisy = augment("audio_noise(20)", s);
  double noise = 0, signal = 0;
  for (size_t i = 0; i < s.audio.size(); ++i) {
    signal += s.audio[i] * s.audio[i];
    noise += (noisy.audio[i] - s.audio[i]) * (noisy.audio[i] - s.audio[i]);
  }
  EXPECT_NEAR(10 * std::log10(signal / noise), 20, 0.2);
  const Sample loud = augment("audio_gain(6)", s);
  EXPECT_LE(std::abs(20 * std::log10(loud.audio[10] / s.audio[10])), 6.001);
  const Sample moved = augment("audio_shift(0.1)", s, 4);
  ptrdiff_t by = 0;
  while (moved.audio[static_cast<size_t>(by)] == 0) ++by;
  if (by > 1) {
    EXPECT_EQ(moved.audio[static_cast<size_t>(by + 99)], s.audio[100]);
  }
  EXPECT_EQ(augment("audio_length(20000)", s).audio.size(), 20000u);
  EXPECT_EQ(augment("audio_length(20000)", s).audio.back(), 0);
}

TEST(Text, StepsKeepWords) {
  Sample s;
  s.text = "one two three four five six seven eight";
  const std::string dropped = augment("word_dropout(0.4)", s).text;
  EXPECT_LT(dropped.size(), s.text.size());
  EXPECT_FALSE(augment("word_dropout(1)", s).text.empty());
  std::string swapped = augment("word_swap(3)", s).text;
  EXPECT_NE(swapped, s.text);
  std::string a = s.text;
  std::sort(a.begin(), a.end());
  std::sort(swapped.begin(), swapped.end());
  EXPECT_EQ(a, swapped);
}

/// n samples of one value each, sample i of class i.
Batch batch_of(int64_t n, int64_t epoch = 0) {
  Batch b;
  b.shape = {n, 1, 2, 2};
  b.classes = n;
  b.epoch = epoch;
  for (int64_t i = 0; i < n; ++i) {
    b.labels.push_back(i);
    b.indices.push_back(i);
    for (int k = 0; k < 4; ++k) b.x.push_back(static_cast<float>(i));
  }
  return b;
}

TEST(Mixup, WeightsSumToOneAndFollowBeta) {
  const auto cdf = [](double alpha, double x) {  // closed forms of Beta(alpha, alpha)
    if (alpha == 2) return 3 * x * x - 2 * x * x * x;
    return 2 / std::numbers::pi * std::asin(std::sqrt(x));
  };
  for (const double alpha : {0.5, 2.0}) {
    const auto t = Transform::parse("mixup(alpha=" + std::to_string(alpha) + ")");
    std::vector<double> keep;
    for (int64_t k = 0; k < 500; ++k) {
      Batch b = batch_of(8);
      t.apply(b, true, batch_key(1, 0, k));
      for (size_t i = 0; i < 8; ++i) {
        double sum = 0, mean = 0;
        for (size_t c = 0; c < 8; ++c) {
          sum += b.targets[8 * i + c];
          mean += b.targets[8 * i + c] * static_cast<double>(c);
        }
        ASSERT_NEAR(sum, 1, 1e-6);
        ASSERT_NEAR(b.x[4 * i + 2], mean, 1e-5);  // pixels are mixed as labels are
        if (b.targets[8 * i + i] < 1) keep.push_back(b.targets[8 * i + i]);
      }
    }
    std::sort(keep.begin(), keep.end());
    const auto n = static_cast<double>(keep.size());
    EXPECT_GT(n, 3000);
    double worst = 0;
    for (size_t i = 0; i < keep.size(); ++i)
      worst = std::max({worst, std::abs(cdf(alpha, keep[i]) - static_cast<double>(i) / n),
                        std::abs(cdf(alpha, keep[i]) - static_cast<double>(i + 1) / n)});
    EXPECT_LT(worst, 1.63 / std::sqrt(n)) << alpha;  // Kolmogorov-Smirnov at p = 0.01
  }
}

TEST(Mixup, OnlyInTrainingAndWithLabels) {
  Batch b = batch_of(4);
  Transform::parse("mixup").apply(b, false, Key(1));
  EXPECT_EQ(b, batch_of(4));
  b.labels.clear();
  EXPECT_THROW(Transform::parse("mixup").apply(b, true, Key(1)), Error);
  b.boxes.resize(4);
  EXPECT_THROW(Transform::parse("mixup").apply(b, true, Key(1)), Error);
}

TEST(CutMix, LabelsAreWeightedByArea) {
  Batch b;
  const int64_t n = 6, side = 12;
  b.shape = {n, 1, side, side};
  b.classes = n;
  for (int64_t i = 0; i < n; ++i) {
    b.labels.push_back(i);
    b.indices.push_back(i);
    b.x.insert(b.x.end(), static_cast<size_t>(side * side), static_cast<float>(i));
  }
  bool mixed = false;
  Transform::parse("cutmix").apply(b, true, Key(2));
  for (size_t i = 0; i < 6; ++i)
    for (size_t c = 0; c < 6; ++c) {
      const auto first = b.x.begin() + static_cast<ptrdiff_t>(i) * 144;
      const auto area = std::count(first, first + 144, static_cast<float>(c)) / 144.0;
      EXPECT_NEAR(b.targets[6 * i + c], area, 1e-5);
      mixed |= area > 0 && area < 1;
    }
  EXPECT_TRUE(mixed);
}

TEST(SamplePairing, MeanOfTwoWithTheFirstLabelOnSchedule) {
  const auto t = Transform::parse("sample_pairing(start=2,on=3,off=2,stop=12)");
  for (int64_t epoch = 0; epoch < 15; ++epoch) {
    Batch b = batch_of(32, epoch);
    t.apply(b, true, batch_key(1, epoch, 0));
    const bool on = epoch >= 2 && epoch < 12 && (epoch - 2) % 5 < 3;
    EXPECT_EQ(b.x != batch_of(32).x, on) << epoch;
    EXPECT_EQ(b.labels, batch_of(32).labels);
    EXPECT_TRUE(b.targets.empty());
    if (!on) continue;
    std::vector<int> used(32, 0);  // partners are a permutation
    for (size_t i = 0; i < 32; ++i) {
      const double partner = 2 * b.x[4 * i] - static_cast<double>(i);
      ASSERT_EQ(partner, std::floor(partner));
      ++used.at(static_cast<size_t>(partner));
    }
    EXPECT_EQ(*std::max_element(used.begin(), used.end()), 1);
  }
}

}  // namespace
}  // namespace nacre
