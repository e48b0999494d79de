// Nested cross-validation chooses the family of models that a data set was made for.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "nacre/autodl.h"
#include "nacre/error.h"
#include "nacre/random.h"
#include "nacre/train.h"
#include "tools/shell.h"

namespace nacre {
namespace {

/// Rows of normal or even numbers, with the class that `kind` says, or with a value.
DatasetPtr rows(int n, int columns, uint64_t seed, bool even, bool values,
                const std::function<double(const std::vector<double>&, Rng&)>& kind) {
  Rng rng{Key(seed)};
  std::vector<Sample> list(static_cast<size_t>(n));
  for (Sample& s : list) {
    std::vector<double> x;
    for (int c = 0; c < columns; ++c) x.push_back(even ? rng.uniform(-1, 1) : rng.normal());
    s.features.assign(x.begin(), x.end());
    const double y = kind(x, rng);
    if (values)
      s.target = {static_cast<float>(y)};
    else
      s.label = y > 0;
  }
  return from_samples(std::move(list),
                      values ? std::vector<std::string>{} : std::vector<std::string>{"no", "yes"});
}

struct Made {
  const char* family;
  DatasetPtr data;
};

std::vector<Made> sets() {
  std::vector<Made> list;
  // A weighted sum of 30 columns, seen through noise.
  list.push_back({"linear", rows(200, 30, 1, false, true, [](const auto& x, Rng& rng) {
                    double sum = 0;
                    for (size_t c = 0; c < x.size(); ++c) sum += (c % 2 ? 1 : -1) * x[c];
                    return sum + 2 * rng.normal();
                  })});
  // The class of the nearest of 120 places in a plane.
  {
    Rng rng{Key(2)};
    std::vector<std::array<double, 3>> places;
    for (int i = 0; i < 120; ++i)
      places.push_back({rng.uniform(-1, 1), rng.uniform(-1, 1), rng.bernoulli(0.5) ? 1.0 : -1.0});
    list.push_back({"k_nearest", rows(700, 2, 3, true, false, [=](const auto& x, Rng&) {
                      double least = 1e9, kind = 0;
                      for (const auto& p : places) {
                        const double d = std::hypot(x[0] - p[0], x[1] - p[1]);
                        if (d < least) least = d, kind = p[2];
                      }
                      return kind;
                    })});
  }
  // A ball in ten dimensions.
  list.push_back({"svm", rows(400, 10, 4, false, false, [](const auto& x, Rng&) {
                    double square = 0;
                    for (double v : x) square += v * v;
                    return 9.4 - square;
                  })});
  // Boxes in few of many columns, and one label in five is wrong.
  list.push_back({"random_forest", rows(500, 12, 5, true, false, [](const auto& x, Rng& rng) {
                    const bool in = (x[0] > 0) == (x[1] > 0.1) || (x[2] > 0.3 && x[3] < 0.2);
                    return rng.bernoulli(0.2) == in ? -1.0 : 1.0;
                  })});
  // A sum of steps and bands of single columns, without noise.
  list.push_back({"boosted_trees", rows(700, 10, 6, true, true, [](const auto& x, Rng&) {
                    double sum = 0;
                    for (size_t c = 0; c < x.size(); ++c)
                      sum += std::fabs(x[c] - 0.1 * static_cast<double>(c % 3)) < 0.4 ? 1 : -1;
                    return sum;
                  })});
  // Whether two sums over 20 columns have the same sign.
  list.push_back({"mlp", rows(1500, 20, 7, false, false, [](const auto& x, Rng&) {
                    double a = 0, b = 0;
                    for (size_t c = 0; c < x.size(); ++c) (c % 2 ? a : b) += x[c];
                    return a * b;
                  })});
  return list;
}

TEST(Nested, ChoosesTheFamilyThatTheDataWereMadeFor) {
  int right = 0;
  for (const Made& made : sets()) {
    NestedOptions o;
    o.outer = 3;
    o.inner = 2;
    o.settings = 2;
    const NestedResult r = nested_choice(made.data, o);
    ASSERT_EQ(r.parts, 3);
    right += r.chosen == made.family;
    std::printf("made for %s, chosen: %s, %ld times; %.4f on inner parts, %.4f on outer ones\n",
                made.family, r.chosen.c_str(), static_cast<long>(r.families.at(0).chosen), r.inner,
                r.outer);
  }
  EXPECT_GE(right, 5);  // 6
}

/// The first trials are models that need no settings of their own: with these, in less than a
/// minute, a table is answered no worse than by logistic (or ridge) regression.
TEST(FirstTrials, AreNoWorseThanALinearModelInLittleTime) {
  test::TempFolder folder;
  int better = 0;
  for (const Made& made : sets()) {
    const std::string name = made.family;
    const std::string file = folder / (name + ".csv");
    {
      std::ofstream out(file);
      const auto columns = made.data->get(0).features.size();
      for (size_t c = 0; c < columns; ++c) out << "c" << c << ",";
      out << "target\n";
      for (int64_t i = 0; i < made.data->size(); ++i) {
        const Sample s = made.data->get(i);
        for (const float v : s.features) out << v << ",";
        if (s.target.empty())
          out << made.data->classes()[static_cast<size_t>(s.label)] << "\n";
        else
          out << s.target[0] << "\n";
      }
    }
    FitOptions o;
    o.data = file;
    o.target = "target";
    o.task = made.data->classes().empty() ? "values" : "classes";
    o.out = folder / name / "model.safetensors";
    o.trials = 8;
    const FitResult r = fit(o);
    EXPECT_LT(r.seconds, 60) << name;
    TrainConfig c = TrainConfig::for_model("linear");
    c.data = file;
    c.target = o.target;
    c.task = o.task;
    c.val_share = 0;  // the same test part
    const Evaluation line = Trainer(c).run();
    ASSERT_EQ(line.scores.size(), r.test.scores.size());
    std::printf("%s: %.4f, linear %.4f, %.0f s\n", made.family, r.test.score(), line.score(),
                r.seconds);
    // On the set made for it, the linear model may win by what chance does to 40 rows.
    EXPECT_GE(r.test.score(), line.score() - 0.02 * std::fabs(line.score())) << name;
    better += r.test.score() >= line.score();
  }
  EXPECT_GE(better, 5);
}

}  // namespace
}  // namespace nacre
