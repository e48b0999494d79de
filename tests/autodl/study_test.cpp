// Search: points within their space, TPE better than chance on known functions, halving as defined,
// studies that survive a kill and repeat from a seed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <thread>

#include "nacre/error.h"
#include "nacre/study.h"
#include "tools/shell.h"

namespace nacre {
namespace {

using test::TempFolder;

SearchSpace mixed() {
  SearchSpace s;
  s.real("lr", 1e-5, 1, true).choice("model", {"mlp", "svm", "trees"});
  s.integer("width", 4, 256, true).when("model", {"mlp"});
  s.integer("depth", 1, 4).when("model", {"mlp", "trees"});
  s.choice("kernel", {"linear", "rbf"}).when("model", {"svm"});
  s.real("gamma", 0.1, 10).when("kernel", {"rbf"});
  return s;
}

/// Least, 0, at lr = 1e-2 with an mlp of width 64 and depth 2.
double mixed_loss(const Point& p) {
  const double lr = std::pow(std::log10(p.number("lr")) + 2, 2);
  const std::string& m = p.word("model");
  if (m == "mlp")
    return lr + std::pow(std::log2(p.number("width")) - 6, 2) / 4 +
           std::abs(p.number("depth") - 2) / 2;
  if (m == "trees") return lr + 1 + std::abs(p.number("depth") - 3);
  return lr + (p.word("kernel") == "rbf" ? 0.5 + std::abs(p.number("gamma") - 2) / 4 : 3);
}

/// Branin and Hoo 1972: three minima of 0.397887.
SearchSpace plane() {
  SearchSpace s;
  s.real("x", -5, 10).real("y", 0, 15);
  return s;
}
double branin(const Point& p) {
  const double x = p.number("x"), y = p.number("y");
  return std::pow(y - 5.1 / (4 * M_PI * M_PI) * x * x + 5 / M_PI * x - 6, 2) +
         10 * (1 - 1 / (8 * M_PI)) * std::cos(x) + 10 - 0.397887;
}

/// Hartmann 1973, six dimensions: least -3.32237.
SearchSpace cube() {
  SearchSpace s;
  for (const char* n : {"a", "b", "c", "d", "e", "f"}) s.real(n, 0, 1);
  return s;
}
double hartmann(const Point& p) {
  const double weight[4] = {1, 1.2, 3, 3.2};
  const double a[4][6] = {{10, 3, 17, 3.5, 1.7, 8},
                          {0.05, 10, 17, 0.1, 8, 14},
                          {3, 3.5, 1.7, 10, 17, 8},
                          {17, 8, 0.05, 10, 0.1, 14}};
  const double c[4][6] = {{0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886},
                          {0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991},
                          {0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650},
                          {0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381}};
  const char* names[] = {"a", "b", "c", "d", "e", "f"};
  double sum = 3.32237;
  for (int i = 0; i < 4; ++i) {
    double inner = 0;
    for (int j = 0; j < 6; ++j) inner += a[i][j] * std::pow(p.number(names[j]) - c[i][j], 2);
    sum -= weight[i] * std::exp(-inner);
  }
  return sum;
}

std::vector<Point> points_of(Study& study, const std::function<double(const Point&)>& f, int n) {
  std::vector<Point> list;
  for (int i = 0; i < n; ++i) {
    Trial t = study.ask();
    list.push_back(t.point);
    study.tell(t, f(t.point));
  }
  return list;
}

/// Mean over seeds of the least value after 50 trials; the functions have a minimum of 0.
double regret(const SearchSpace& space, const std::function<double(const Point&)>& f, bool tpe,
              int seeds) {
  double sum = 0;
  for (int seed = 0; seed < seeds; ++seed) {
    StudyOptions o;
    o.seed = static_cast<uint64_t>(seed);
    o.sampler = tpe ? tpe_sampler() : random_sampler();
    Study study("", space, o);
    points_of(study, f, 50);
    sum += study.best()->value;
  }
  return sum / seeds;
}

TEST(SearchSpace, DrawsPointsThatItAccepts) {
  const SearchSpace s = mixed();
  EXPECT_EQ(SearchSpace::from_json(s.to_json()), s);
  for (const auto& sampler :
       {std::shared_ptr(random_sampler()), std::shared_ptr(tpe_sampler({5, 0.25, 8}))}) {
    StudyOptions o;
    o.sampler = sampler;
    Study study("", s, o);
    int with_gamma = 0;
    for (const Point& p : points_of(study, mixed_loss, 60)) {
      EXPECT_NO_THROW(s.check(p)) << p.str();
      EXPECT_EQ(p.has("width"), p.word("model") == "mlp") << p.str();
      EXPECT_EQ(p.has("gamma"), p.word("model") == "svm" && p.word("kernel") == "rbf") << p.str();
      with_gamma += p.has("gamma");
      EXPECT_EQ(Point::from_json(p.to_json()), p);
    }
    EXPECT_GT(with_gamma, 0);
  }
}

TEST(SearchSpace, DrawsLogarithmsAndIntegersEvenly) {
  SearchSpace s;
  s.real("lr", 1e-4, 1, true).integer("k", 1, 3);
  int below = 0, counts[4] = {};
  constexpr int kMany = 2000;
  for (uint64_t i = 0; i < kMany; ++i) {
    const Point p = random_sampler()->draw(s, {}, Key(i));
    below += p.number("lr") < 1e-2;
    ++counts[p.integer("k")];
  }
  EXPECT_NEAR(below, kMany / 2, 100);
  for (int k = 1; k <= 3; ++k) EXPECT_NEAR(counts[k], kMany / 3, 90);
}

TEST(SearchSpace, SaysWhatIsWrong) {
  SearchSpace s = mixed();
  EXPECT_THROW(s.real("lr", 0, 1), Error);
  EXPECT_THROW(s.real("a", 2, 1), Error);
  EXPECT_THROW(s.real("b", 0, 1, true), Error);
  EXPECT_THROW(s.choice("c", {}), Error);
  EXPECT_THROW(s.real("d", 0, 1).when("model", {"forest"}), Error);
  Point p;
  p.values = {{"lr", 0.1}, {"model", "svm"}, {"kernel", "linear"}};
  EXPECT_NO_THROW(mixed().check(p));
  p.values["lr"] = 2.0;
  EXPECT_THROW(mixed().check(p), Error);
  p.values["lr"] = 0.1;
  p.values["depth"] = int64_t{1};
  EXPECT_THROW(mixed().check(p), Error);
}

TEST(Tpe, HasLessRegretThanChance) {
  const double random_branin = regret(plane(), branin, false, 20),
               tpe_branin = regret(plane(), branin, true, 20),
               random_hartmann = regret(cube(), hartmann, false, 20),
               tpe_hartmann = regret(cube(), hartmann, true, 20),
               random_mixed = regret(mixed(), mixed_loss, false, 20),
               tpe_mixed = regret(mixed(), mixed_loss, true, 20);
  std::printf(
      "regret after 50 trials, mean of 20 seeds: Branin %.3f random, %.3f TPE; Hartmann "
      "%.3f, %.3f; mixed %.3f, %.3f\n",
      random_branin, tpe_branin, random_hartmann, tpe_hartmann, random_mixed, tpe_mixed);
  EXPECT_LT(tpe_branin, 0.7 * random_branin);
  EXPECT_LT(tpe_hartmann, 0.7 * random_hartmann);
  EXPECT_LT(tpe_mixed, 0.7 * random_mixed);
}

Trial reported(int64_t number, std::vector<std::pair<int64_t, double>> reports) {
  Trial t;
  t.number = number;
  t.reports = std::move(reports);
  return t;
}

TEST(Asha, KeepsTheBestThirdOfARung) {
  const auto asha = asha_pruner(2, 3);
  std::vector<Trial> all;
  for (int i = 0; i < 6; ++i) all.push_back(reported(i, {{1, i * 1.0}, {2, i * 1.0}}));
  const auto ends = [&](int i) { return asha->prune(all[static_cast<size_t>(i)], all); };
  EXPECT_FALSE(ends(0));
  EXPECT_FALSE(ends(1));  // 2 of 6 go on
  for (int i = 2; i < 6; ++i) EXPECT_TRUE(ends(i)) << i;
  for (Trial& t : all) t.reports = {{1, t.value}, {2, 0}, {3, static_cast<double>(t.number)}};
  EXPECT_FALSE(ends(5));  // step 3 is no rung; the next is 6
  const std::vector<Trial> one = {reported(0, {{2, 5.0}})};
  EXPECT_FALSE(asha->prune(one[0], one));
  const std::vector<Trial> bad = {reported(0, {{2, std::nan("")}})};
  EXPECT_TRUE(asha->prune(bad[0], bad));
}

TEST(Hyperband, ComparesWithinABracket) {
  const auto hyperband = hyperband_pruner(1, 9, 3);  // first steps 1, 3, 9; 9, 5 and 3 trials
  std::vector<Trial> all;
  for (int i = 0; i < 17; ++i) all.push_back(reported(i, {{1, static_cast<double>(i)}}));
  const auto ends = [&](int i) { return hyperband->prune(all[static_cast<size_t>(i)], all); };
  EXPECT_FALSE(ends(2));
  EXPECT_TRUE(ends(3));
  EXPECT_TRUE(ends(8));
  for (int i = 9; i < 17; ++i) EXPECT_FALSE(ends(i)) << i;  // their first rung is later
}

TEST(Study, RepeatsFromItsSeedAndAfterAKill) {
  TempFolder folder;
  StudyOptions o;
  o.seed = 7;
  Study whole("", mixed(), o);
  const auto want = points_of(whole, mixed_loss, 30);
  o.seed = 8;
  Study other("", mixed(), o);
  EXPECT_NE(points_of(other, mixed_loss, 30), want);
  o.seed = 7;
  const std::string place = folder / "study.db";
  std::vector<Point> got;
  for (int round = 0; round < 3; ++round) {
    const pid_t child = fork();
    if (child == 0) {  // ten trials, and killed in the eleventh
      Study study(place, mixed(), o);
      points_of(study, mixed_loss, 10);
      (void)study.ask();
      raise(SIGKILL);
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  Study study(place, mixed(), o);
  const auto trials = study.trials();
  ASSERT_EQ(trials.size(), 31u);  // the one that was killed is taken over each time
  for (size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(trials[i].point, want[i]) << i;
    EXPECT_EQ(trials[i].state, Trial::State::done);
  }
  EXPECT_EQ(study.ask().number, 30);
}

TEST(Study, IsRefusedWhereItIsAnother) {
  TempFolder folder;
  const std::string place = folder / "study.db";
  StudyOptions o;
  o.about = "iris";
  { Study study(place, plane(), o); }
  EXPECT_THROW(Study(place, mixed(), o), Error);
  o.about = "wine";
  EXPECT_THROW(Study(place, plane(), o), Error);
  EXPECT_THROW(Study::join(folder / "none.db"), Error);
  EXPECT_EQ(Study::join(place).about(), "iris");
  EXPECT_EQ(Study::join(place).space(), plane());
  folder.write("text.db", "this is no data base, but a text that is long enough to be read\n");
  EXPECT_THROW(Study(folder / "text.db", plane(), o), Error);
}

TEST(Study, GivesEachTrialToOneWorker) {
  TempFolder folder;
  const std::string place = folder / "study.db";
  constexpr int kWorkers = 4, kEach = 15;
  { Study study(place, plane()); }
  std::vector<pid_t> children;
  for (int w = 0; w < kWorkers; ++w)
    if (const pid_t child = fork(); child == 0) {
      try {
        Study study = Study::join(place);
        points_of(study, branin, kEach);
        _exit(0);
      } catch (...) {
        _exit(1);
      }
    } else {
      children.push_back(child);
    }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const auto trials = Study::join(place).trials();
  ASSERT_EQ(trials.size(), static_cast<size_t>(kWorkers * kEach));
  for (const Trial& t : trials) EXPECT_EQ(t.state, Trial::State::done);
}

TEST(Study, QueuesAndGivesBack) {
  Study study("", plane());
  Point p;
  p.values = {{"x", 1.0}, {"y", 2.0}};
  study.enqueue({{"first", p}, {"second", p}});
  study.enqueue({{"again", p}});
  Trial t = study.ask();
  EXPECT_EQ(t.label, "first");
  EXPECT_FALSE(study.report(t, 1, 3.5));
  EXPECT_THROW(study.report(t, 1, 3.5), Error);
  study.release(t);
  t = study.ask();
  EXPECT_EQ(t.label, "first");
  EXPECT_TRUE(t.reports.empty());
  study.fail(t, "no memory");
  EXPECT_EQ(study.ask_waiting()->label, "second");
  EXPECT_FALSE(study.ask_waiting());
  EXPECT_EQ(study.trials()[0].note, "no memory");
  EXPECT_FALSE(study.best());
  study.set_text("a", "b");
  EXPECT_EQ(study.text("a"), "b");
  EXPECT_FALSE(study.text("format"));
}

}  // namespace
}  // namespace nacre
