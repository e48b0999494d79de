// Few pictures of new classes: the weights of a model of other classes are worth ten points.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/file.h"
#include "nacre/autodl.h"
#include "nacre/image.h"
#include "nacre/random.h"
#include "tools/shell.h"

namespace nacre {
namespace {

using test::TempFolder;

constexpr int kSide = 32;

/// A defect somewhere on a surface of uneven light and noise; `inside` says which points of
/// [-1, 1]^2 are part of it.
Image surface(const std::function<bool(double, double)>& inside, Rng& rng) {
  Image im;
  im.width = im.height = kSide;
  im.channels = 1;
  const double radius = rng.uniform(6, 9), x0 = rng.uniform(radius, kSide - radius),
               y0 = rng.uniform(radius, kSide - radius), turn = rng.uniform(-0.2, 0.2),
               depth = (rng.bernoulli(0.5) ? 1 : -1) * rng.uniform(0.15, 0.3),
               slope = rng.uniform(-0.2, 0.2), level = rng.uniform(0.4, 0.6);
  for (int y = 0; y < kSide; ++y)
    for (int x = 0; x < kSide; ++x) {
      const double u = (x - x0) / radius, v = (y - y0) / radius;
      const double a = std::cos(turn) * u - std::sin(turn) * v,
                   b = std::sin(turn) * u + std::cos(turn) * v;
      double p = level + slope * (x - kSide / 2.0) / kSide + 0.06 * rng.normal();
      if (std::fabs(a) <= 1 && std::fabs(b) <= 1 && inside(a, b)) p += depth;
      im.pixels.push_back(static_cast<float>(std::clamp(p, 0.0, 1.0)));
    }
  return im;
}

using Shapes = std::vector<std::function<bool(double, double)>>;

void write(const std::string& folder, const Shapes& shapes, int each, uint64_t seed) {
  Rng rng{Key(seed)};
  for (size_t k = 0; k < shapes.size(); ++k) {
    const std::string place = folder + "/kind" + std::to_string(k);
    make_folders(place);
    for (int i = 0; i < each; ++i) {
      const auto png = encode_png(surface(shapes[k], rng));
      write_file_atomic(place + "/" + std::to_string(i) + ".png",
                        {reinterpret_cast<const char*>(png.data()), png.size()});
    }
  }
}

const Shapes kOld = {
    [](double x, double y) { return x * x + y * y < 0.8; },                       // disk
    [](double, double y) { return std::fabs(y) < 0.2; },                          // scratch
    [](double x, double) { return std::fabs(x) < 0.2; },                          // upright
    [](double x, double y) { return x < -0.6 || y > 0.6; },                       // corner
    [](double x, double y) { return y < -0.6 || std::fabs(x) < 0.2; },            // T
    [](double x, double y) { return std::fabs(x - y) < 0.3; },                    // slant
    [](double x, double y) { return std::fabs(x) > 0.6 && std::fabs(y) < 0.9; },  // two bars
    [](double x, double y) { return std::fabs(x) + std::fabs(y) < 0.9; },         // rhomb
};
const Shapes kNew = {
    [](double x, double y) { return std::fabs(std::hypot(x, y) - 0.75) < 0.2; },       // ring
    [](double x, double y) { return std::fabs(x) < 0.2 || std::fabs(y) < 0.2; },       // cross
    [](double x, double y) { return std::max(std::fabs(x), std::fabs(y)) > 0.7; },     // frame
    [](double x, double y) { return std::fabs(std::fabs(x) - std::fabs(y)) < 0.25; },  // X
    [](double x, double y) { return y > 2 * std::fabs(x) - 0.9; },                     // triangle
};

TEST(Transfer, OfAModelOfOtherDefectsIsWorthTenPointsWithTwentyPicturesOfAClass) {
  TempFolder folder;
  write(folder / "old", kOld, 150, 1);
  TrainConfig c = TrainConfig::for_model("cnn");
  c.data = folder / "old";
  c.out = folder / "start";
  c.options = "widths=16-32-64";
  c.set("transform", "auto");
  c.epochs = 20;
  c.lr = 4e-3;
  const Evaluation start = Trainer(c).run();
  std::printf("the other classes: %.4f\n", start.report.accuracy);
  write(folder / "new" / "train", kNew, 20, 2);
  write(folder / "new" / "test", kNew, 60, 3);
  FitOptions o;
  o.data = folder / "new";
  o.trials = 4;
  o.budget = 1e6;
  o.out = folder / "scratch" / "model.safetensors";
  const FitResult scratch = fit(o);
  o.out = folder / "transfer" / "model.safetensors";
  o.from = folder / "start" / "model.safetensors";
  const FitResult transfer = fit(o);
  std::printf("from scratch %.4f, with a start %.4f\n", scratch.test.report.accuracy,
              transfer.test.report.accuracy);
  for (const FitTrial& t : transfer.leaderboard)
    std::printf("  %s %.4f\n", t.label.c_str(), t.score);
  EXPECT_EQ(transfer.leaderboard[0].model, "from");
  EXPECT_GE(transfer.test.report.accuracy, 0.9);
  EXPECT_GE(transfer.test.report.accuracy, scratch.test.report.accuracy + 0.1);
}

}  // namespace
}  // namespace nacre
