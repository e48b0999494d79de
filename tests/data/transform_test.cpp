// Geometry and the pipeline: exact pixels, labels that follow, text form.
#include "nacre/transforms.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <thread>

#include "goldens.h"
#include "nacre/error.h"

namespace nacre {
namespace {

using testing::difference;
using testing::golden_path;

/// Every pixel has its own value; the mask too.
Sample numbered(int width, int height, int channels = 1) {
  Sample s;
  s.image = Image(width, height, channels);
  for (size_t i = 0; i < s.image.pixels.size(); ++i) s.image.pixels[i] = static_cast<float>(i);
  s.mask = {width, height, {}};
  for (int i = 0; i < width * height; ++i) s.mask.classes.push_back(i);
  return s;
}

Sample apply(const std::string& spec, Sample s, bool training = true, uint64_t seed = 1) {
  Transform::parse(spec).apply(s, training, Key(seed));
  return s;
}

std::string error_of(const std::function<void()>& f, Error::Kind kind = Error::Kind::usage) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no Error";
  return "";
}

/// The rectangle of pixels of one mask class.
Box extent(const Mask& m, int32_t label) {
  int x0 = m.width, y0 = m.height, x1 = -1, y1 = -1;
  for (int y = 0; y < m.height; ++y)
    for (int x = 0; x < m.width; ++x)
      if (m.classes[static_cast<size_t>(y * m.width + x)] == label) {
        x0 = std::min(x0, x), x1 = std::max(x1, x);
        y0 = std::min(y0, y), y1 = std::max(y1, y);
      }
  return {float(x0), float(y0), float(x1 - x0 + 1), float(y1 - y0 + 1), label};
}

/// A bright rectangle on black, with the same rectangle as box and mask and a key point within.
Sample marked(int width, int height, int x, int y, int w, int h) {
  Sample s;
  s.image = Image(width, height, 1);
  s.mask = {width, height, std::vector<int32_t>(static_cast<size_t>(width * height), 0)};
  for (int v = y; v < y + h; ++v)
    for (int u = x; u < x + w; ++u) {
      s.image.at(u, v) = 1;
      s.mask.classes[static_cast<size_t>(v * width + u)] = 1;
    }
  s.boxes = {{float(x), float(y), float(w), float(h), 1}};
  s.keypoints = {{float(x) + 1.5f, float(y) + 1.5f, true}};
  return s;
}

void expect_consistent(const Sample& s, double slack, const std::string& what) {
  ASSERT_EQ(s.boxes.size(), 1u) << what;
  const Box e = extent(s.mask, 1), b = s.boxes[0];
  EXPECT_NEAR(b.x, e.x, slack) << what;
  EXPECT_NEAR(b.y, e.y, slack) << what;
  EXPECT_NEAR(b.x + b.width, e.x + e.width, slack) << what;
  EXPECT_NEAR(b.y + b.height, e.y + e.height, slack) << what;
  // A pixel near the corner stays marked.
  const auto& k = s.keypoints[0];
  EXPECT_EQ(s.mask.classes[static_cast<size_t>(static_cast<int>(k.y) * s.mask.width +
                                               static_cast<int>(k.x))],
            1)
      << what;
  EXPECT_GT(s.image.at(static_cast<int>(k.x), static_cast<int>(k.y)), 0.2f) << what;
}

TEST(Flip, ExactAndTwiceIsIdentity) {
  for (const bool vertical : {false, true}) {
    const Sample before = numbered(4, 3, 2);
    Sample s = before;
    flip(s, vertical);
    for (int y = 0; y < 3; ++y)
      for (int x = 0; x < 4; ++x)
        for (int c = 0; c < 2; ++c)
          ASSERT_EQ(s.image.at(x, y, c),
                    before.image.at(vertical ? x : 3 - x, vertical ? 2 - y : y, c));
    flip(s, vertical);
    EXPECT_EQ(s, before);
  }
}

TEST(Flip, LabelsFollow) {
  Sample s = marked(10, 8, 1, 2, 3, 4);
  flip(s);
  EXPECT_EQ(s.boxes[0], (Box{6, 2, 3, 4, 1}));
  expect_consistent(s, 0, "hflip");
  flip(s, true);
  EXPECT_EQ(s.boxes[0], (Box{6, 2, 3, 4, 1}));
  EXPECT_FLOAT_EQ(s.keypoints[0].y, 4.5f);
  expect_consistent(s, 0, "vflip");
}

TEST(Flip, SwapsPairsOfKeypoints) {
  Sample s = numbered(4, 4);
  s.keypoints = {{1, 1, true}, {3, 2, true}};
  s = apply("hflip(p=1,swap=[0,1])", s);
  EXPECT_EQ(s.keypoints, (std::vector<Keypoint>{{1, 2, true}, {3, 1, true}}));
  error_of([&] { apply("hflip(p=1,swap=[0,9])", s); }, Error::Kind::shape);
}

TEST(Rotate, QuarterTurnsAreExact) {
  const Sample before = numbered(5, 3);
  Sample s = before;
  rotate90(s, 1);
  ASSERT_EQ(s.image.width, 3);
  for (int y = 0; y < 3; ++y)
    for (int x = 0; x < 5; ++x) ASSERT_EQ(s.image.at(y, 4 - x), before.image.at(x, y));
  rotate90(s, 3);
  EXPECT_EQ(s, before);
  Sample square = numbered(6, 6), turned = square;
  for (const double degrees : {90.0, 180.0, -90.0, 450.0}) {
    Sample a = square, b = square;
    rotate(a, degrees);
    rotate90(b, static_cast<int>(degrees / 90));
    EXPECT_EQ(a, b) << degrees;
  }
}

TEST(Rotate, OtherAnglesMatchReferenceWithinOneGreyLevel) {
  for (const int degrees : {10, -37, 123}) {
    Sample s;
    s.image = read_image(golden_path("turn.png"));
    rotate(s, degrees);
    const auto d = difference(s.image, "turn_" + std::to_string(degrees));
    EXPECT_LT(d.mean, 1.0) << degrees;
    EXPECT_LT(d.largest, 2.0) << degrees;
  }
}

TEST(Rotate, LabelsFollow) {
  for (int turns = 0; turns < 4; ++turns) {
    Sample s = marked(10, 8, 1, 2, 3, 4);
    rotate90(s, turns);
    expect_consistent(s, 0, std::to_string(turns));
  }
  for (const double degrees : {7.0, -30.0, 45.0, 160.0}) {
    Sample s = marked(40, 40, 12, 14, 10, 8);
    rotate(s, degrees);
    expect_consistent(s, 1.0, std::to_string(degrees));
  }
}

TEST(Rotate, TaskLabelIsTheTurn) {
  std::map<int64_t, int> seen;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Sample before = numbered(4, 4);
    const Sample s = apply("rotation_task", before, seed % 2 == 0, seed);
    Sample expected = before;
    rotate90(expected, static_cast<int>(s.label));
    EXPECT_EQ(s.image, expected.image);
    ++seen[s.label];
  }
  EXPECT_EQ(seen.size(), 4u);
}

TEST(Translate, WholeShiftsAreExactWithEachBorder) {
  const auto source = [](int i, int n, Border border) {  // as numpy.pad: edge, reflect, wrap
    std::vector<int> line;
    for (int k = 0; k < n; ++k) line.push_back(k);
    if (i >= 0 && i < n) return i;
    if (border == Border::edge) return i < 0 ? 0 : n - 1;
    if (border == Border::wrap) return i < 0 ? i + n : i - n;
    if (border == Border::reflect) return i < 0 ? -i : 2 * (n - 1) - i;
    return -1;
  };
  const Sample before = numbered(5, 4);
  for (const Border border : {Border::constant, Border::edge, Border::reflect, Border::wrap})
    for (const int dx : {-3, 0, 2})
      for (const int dy : {-1, 3}) {
        Sample s = before;
        translate(s, dx, dy, border, 9.5f);
        for (int y = 0; y < 4; ++y)
          for (int x = 0; x < 5; ++x) {
            const int u = source(x - dx, 5, border), v = source(y - dy, 4, border);
            ASSERT_EQ(s.image.at(x, y), u < 0 || v < 0 ? 9.5f : before.image.at(u, v));
            ASSERT_EQ(s.mask.classes[static_cast<size_t>(y * 5 + x)],
                      u < 0 || v < 0 ? Mask::kIgnore : v * 5 + u);
          }
      }
}

TEST(Translate, LabelsFollowAndLeave) {
  Sample s = marked(10, 8, 1, 2, 3, 4);
  translate(s, 4, 1);
  EXPECT_EQ(s.boxes[0], (Box{5, 3, 3, 4, 1}));
  expect_consistent(s, 0, "shift");
  translate(s, 4, 0);  // one of three columns stays
  EXPECT_EQ(s.boxes[0], (Box{9, 3, 1, 4, 1}));
  translate(s, 1, 0);
  EXPECT_TRUE(s.boxes.empty());
  EXPECT_TRUE(!s.keypoints[0].visible && s.keypoints.size() == 1);
}

TEST(Translate, PartsOfPixelsAreBilinear) {
  Sample s = numbered(6, 1);
  s.mask = {};
  translate(s, 0.25, 0, Border::edge);
  EXPECT_NEAR(s.image.at(3, 0), 2.75f, 1e-5);
}

TEST(Boxes, ClippedAndDroppedByTheStatedRule) {
  Sample s = numbered(20, 20);
  s.boxes = {{0, 0, 10, 10, 1}, {0, 0, 10.9f, 10, 2}, {5, 5, 8, 8, 3}};
  crop(s, 10, 0, 10, 20);  // of box 2, 0.9 / 10.9 = 8.3 % stays; of box 3, 3 of 8 columns
  ASSERT_EQ(s.boxes.size(), 1u);
  EXPECT_EQ(s.boxes[0], (Box{0, 5, 3, 8, 3}));
}

TEST(RandomCrop, PlacesAreUniform) {
  // 9 x 9 places; the value of the first pixel tells which.
  Sample source = numbered(12, 12);
  source.mask = {};
  const Transform t = Transform::parse("random_crop(4)");
  std::vector<int> count(81, 0);
  for (int i = 0; i < 10000; ++i) {
    Sample s = source;
    t.apply(s, true, sample_key(5, 0, i));
    const int v = static_cast<int>(s.image.at(0, 0));
    ++count[static_cast<size_t>(v / 12 * 9 + v % 12)];
  }
  double chi = 0;
  for (const int n : count) chi += (n - 10000.0 / 81) * (n - 10000.0 / 81) / (10000.0 / 81);
  EXPECT_LT(chi, 112.3);  // chi-square of 80 degrees of freedom at p = 0.01
}

TEST(RandomCrop, PaddingBoxesAndEvaluation) {
  Sample s = marked(32, 32, 10, 10, 6, 6);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Sample out = apply("random_crop(32,padding=4)", s, true, seed);
    expect_consistent(out, 0, "crop");
  }
  const Sample centre = apply("random_crop(28,padding=4)", s, false);
  EXPECT_EQ(centre.boxes[0], (Box{8, 8, 6, 6, 1}));
  const Sample larger = apply("center_crop(40)", s, false);
  EXPECT_EQ(larger.boxes[0], (Box{14, 14, 6, 6, 1}));
  EXPECT_EQ(larger.image.at(0, 0), 0);
  EXPECT_EQ(larger.mask.classes[0], Mask::kIgnore);
}

TEST(Scale, LabelsFollowResizing) {
  Sample s = marked(10, 8, 2, 2, 4, 3);
  resize(s, 30, 16);
  EXPECT_EQ(s.boxes[0], (Box{6, 4, 12, 6, 1}));
  expect_consistent(s, 0, "resize");
  EXPECT_EQ(apply("resize_short(4)", s).image.width, 8);
  const Sample boxed = apply("letterbox(30,fill=0.5)", s);
  EXPECT_EQ(boxed.image.height, 30);
  EXPECT_EQ(boxed.image.at(0, 0), 0.5f);
  EXPECT_EQ(boxed.boxes[0], (Box{6, 11, 12, 6, 1}));
}

TEST(Geometry, EveryRandomStepMovesLabelsWithPixels) {
  const std::vector<std::string> specs = {"affine(degrees=20,translate=0.1,scale=0.2,shear=10)",
                                          "translate(x=0.1,y=0.1)",
                                          "scale(0.8,1.2)",
                                          "shear(15)",
                                          "rotate(25)",
                                          "hflip(p=0.5)",
                                          "vflip(p=0.5)",
                                          "rotate90",
                                          "pad(5)",
                                          "random_resized_crop(64,min_area=0.7)",
                                          "resize(50,30)",
                                          "letterbox(72)"};
  for (const auto& spec : specs)
    for (uint64_t seed = 0; seed < 10; ++seed)
      expect_consistent(apply(spec, marked(64, 64, 26, 24, 12, 16), true, seed), 1.01, spec);
}

TEST(Transform, TextFormRoundTrips) {
  for (const std::string spec :
       {"resize(32)|random_crop(28,padding=2)|hflip(p=0.5)|normalize(0.13,0.31)",
        "resize(224,height=112,method=bicubic)|normalize([0.485,0.456,0.406],[0.229,0.224,0.225])",
        "rotate(12.5,border=reflect)|cutout(8,count=2)|mixup(alpha=0.4)|grayscale", ""}) {
    EXPECT_EQ(Transform::parse(spec).str(), spec);
  }
  const auto loose =
      Transform::parse(" resize( width = 32 ) |\n flip(p=0.5)| normalize(mean=0.13, std = 0.31)");
  EXPECT_EQ(loose.str(), "resize(32)|hflip(p=0.5)|normalize(0.13,0.31)");
  EXPECT_EQ(Transform::parse("invert").then(Transform::parse("pad(1)")).str(), "invert|pad(1)");
}

TEST(Transform, MistakesAreNamed) {
  const auto message = [](const std::string& spec) {
    return error_of([&] { Transform::parse(spec); });
  };
  EXPECT_NE(message("resise(3)").find("no step 'resise'"), std::string::npos);
  EXPECT_NE(message("resize").find("needs 'width'"), std::string::npos);
  EXPECT_NE(message("resize(0)").find("whole number from 1"), std::string::npos);
  EXPECT_NE(message("resize(2.5)").find("whole number"), std::string::npos);
  EXPECT_NE(message("hflip(p=2)").find("p of hflip must be from 0 to 1"), std::string::npos);
  EXPECT_NE(message("resize(3,method=cubic)").find("must be one of"), std::string::npos);
  EXPECT_NE(message("resize(3,3,nearest,4)").find("does not have"), std::string::npos);
  EXPECT_NE(message("resize(3,width=4)").find("given twice"), std::string::npos);
  EXPECT_NE(message("invert invert").find("expected '|'"), std::string::npos);
  for (const std::string bad : {"|", "resize(", "resize(3", "resize(3,", "normalize([1,2", "a(b=)",
                                "invert|", "normalize(nan,1)", "hflip(p=1e999)", "(3)"})
    message(bad);
}

TEST(Transform, DamagedTextThrowsOnly) {
  const std::string spec = "resize(32)|normalize([0.1,0.2],[1,2])|rotate(12.5,border=reflect)";
  Rng rng(Key(8));
  for (int i = 0; i < 5000; ++i) {
    std::string text = spec.substr(0, rng.below(spec.size() + 1));
    if (!text.empty()) text[rng.below(text.size())] = static_cast<char>(rng.below(256));
    try {
      const auto t = Transform::parse(text);
      ASSERT_EQ(Transform::parse(t.str()).str(), t.str());
    } catch (const Error&) {
    }
  }
}

TEST(Transform, SameKeySameBitsAndEvaluationSkipsRandomSteps) {
  const Sample s = marked(16, 16, 4, 4, 8, 8);
  const std::string spec = "rotate(30)|hflip|gaussian_noise(0.1)|cutout(4)|color_jitter(0.3,0.3)";
  EXPECT_EQ(apply(spec, s, true, 3), apply(spec, s, true, 3));
  EXPECT_NE(apply(spec, s, true, 3), apply(spec, s, true, 4));
  EXPECT_EQ(apply(spec, s, false), s);
}

TEST(Transform, AllPartsOfASampleTogetherOnAnyThread) {
  const auto t = Transform::parse(
      "affine(degrees=20,translate=0.1)|hflip|speckle(0.1)|salt_pepper(0.05)|gaussian_blur(0.5,1)|"
      "random_erasing(p=1,with=noise)|audio_gain(6)|audio_noise(20)|audio_shift(0.1)|"
      "word_dropout(0.3)|word_swap");
  std::vector<Sample> once(32), threaded(32);
  for (auto* samples : {&once, &threaded})
    for (size_t i = 0; i < 32; ++i) {
      Sample s = marked(24, 24, 8, 8, 8, 8);
      for (int k = 0; k < 100; ++k) s.audio.push_back(static_cast<float>(k % 7) - 3);
      s.text = "a sample of many parts stays one sample";
      (*samples)[i] = s;
    }
  for (size_t i = 0; i < 32; ++i) t.apply(once[i], true, sample_key(3, 1, static_cast<int64_t>(i)));
  std::vector<std::thread> threads;
  for (size_t k = 0; k < 4; ++k)
    threads.emplace_back([&, k] {
      for (size_t i = k; i < 32; i += 4)
        t.apply(threaded[i], true, sample_key(3, 1, static_cast<int64_t>(i)));
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(once, threaded);
  EXPECT_NE(once[0].audio, once[1].audio);
  EXPECT_NE(once[0].image, once[1].image);
}

TEST(Transform, HelpListsEveryStepAndItsUsageParses) {
  const auto all = transform_steps();
  EXPECT_GE(all.size(), 35u);
  for (const auto& help : all) EXPECT_FALSE(help.text.empty()) << help.usage;
}

}  // namespace
}  // namespace nacre
