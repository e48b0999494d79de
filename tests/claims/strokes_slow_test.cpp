// Digits that were drawn with a pen, by a network that learned those of MNIST.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "nacre/predict.h"
#include "nacre/train.h"
#include "tools/shell.h"

namespace nacre {
namespace {

struct Point {
  double x, y;
};
struct Drawing {
  std::string digit;
  std::vector<std::vector<Point>> strokes;
};

std::vector<Drawing> drawings() {
  std::ifstream file(std::string(NACRE_SOURCE_DIR) + "/tests/claims/strokes.txt");
  std::vector<Drawing> list;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::stringstream words(line);
    Drawing d;
    words >> d.digit;
    d.strokes.emplace_back();
    for (std::string word; words >> word;) {
      if (word == ";") {
        d.strokes.emplace_back();
        continue;
      }
      const size_t comma = word.find(',');
      d.strokes.back().push_back({std::stod(word), std::stod(word.substr(comma + 1))});
    }
    list.push_back(d);
  }
  return list;
}

double distance(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, square = dx * dx + dy * dy;
  const double t = square > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / square : 0;
  const double at = std::clamp(t, 0.0, 1.0);
  return std::hypot(p.x - a.x - at * dx, p.y - a.y - at * dy);
}

/// As MNIST has them: 20 pixels high in a picture of 28, the mass in the middle.
Image picture(const Drawing& d) {
  constexpr double kScale = 20.0 / 80, kPen = 1.1;
  Image drawn(28, 28, 1);
  double mass = 0, mx = 0, my = 0;
  Point shift{14 - 50 * kScale, 14 - 50 * kScale};
  for (const bool centred : {false, true}) {
    if (centred) shift = {shift.x + 14 - mx / mass, shift.y + 14 - my / mass};
    for (int y = 0; y < 28; ++y)
      for (int x = 0; x < 28; ++x) {
        double near = 1e9;
        for (const auto& stroke : d.strokes)
          for (size_t i = 0; i + 1 < stroke.size(); ++i) {
            const auto at = [&](Point p) {
              return Point{p.x * kScale + shift.x, p.y * kScale + shift.y};
            };
            near = std::min(near, distance({x + 0.5, y + 0.5}, at(stroke[i]), at(stroke[i + 1])));
          }
        const double ink = std::clamp(kPen + 0.5 - near, 0.0, 1.0);
        drawn.at(x, y) = static_cast<float>(ink);
        mass += ink;
        mx += ink * (x + 0.5);
        my += ink * (y + 0.5);
      }
  }
  return drawn;
}

TEST(Strokes, AreReadByANetworkOfMnist) {
  const char* folder = std::getenv("NACRE_DATA");
  const std::string mnist = std::string(folder ? folder : "") + "/mnist";
  if (!folder || !std::filesystem::exists(mnist)) GTEST_SKIP() << "needs $NACRE_DATA/mnist";
  const test::TempFolder place;
  TrainConfig c = TrainConfig::for_model("lenet5");
  c.data = mnist;
  c.transform =
      "resize(32)|affine(degrees=10,translate=0.05,scale=0.1)|normalize(mean=0.1,std=0.28)";
  c.epochs = 2;
  c.lr = 3e-3;
  c.seed = 1;
  c.out = place / "run";
  Trainer(c).run();
  const Predictor reader(c.out + "/model.safetensors");
  int right = 0, count = 0;
  std::vector<double> seconds;
  for (const Drawing& d : drawings()) {
    Sample s;
    s.image = picture(d);
    const auto start = std::chrono::steady_clock::now();
    const Prediction p = reader.predict(s);
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    ++count;
    ASSERT_EQ(p.classes.size(), 10u);
    right += p.label() == d.digit;
    if (p.label() != d.digit)
      std::printf("a %s is read as %s\n", d.digit.c_str(), p.label().c_str());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  std::printf("%d of %d, each in %.2f ms\n", right, count, 1000 * median);
  EXPECT_EQ(count, 30);
  EXPECT_GE(right, 27);
  EXPECT_LT(median, 0.05);
}

}  // namespace
}  // namespace nacre
