#include "nacre/bench.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/parallel.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

BenchOptions brief(bool train) {
  BenchOptions o;
  o.train = train;
  o.seconds = 0;
  o.least_runs = 4;
  return o;
}

TEST(Bench, CountsTheArithmeticOfAModel) {
  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  const BenchResult r = bench(*net, {3, 1, 32, 32}, brief(false));
  EXPECT_EQ(r.macs, 3 * 416520);  // published
  EXPECT_EQ(r.runs.size(), 4u);
  EXPECT_TRUE(std::is_sorted(r.runs.begin(), r.runs.end()));
  EXPECT_EQ(r.milliseconds(0), r.runs.front());
  EXPECT_EQ(r.milliseconds(1), r.runs.back());
  EXPECT_DOUBLE_EQ(r.samples_per_second(), 3000 / r.milliseconds(0.5));
  EXPECT_DOUBLE_EQ(r.gflops(), 2e-6 * 3 * 416520 / r.milliseconds(0.5));
  EXPECT_GT(r.peak_bytes, 3 * 6 * 28 * 28 * sizeof(float));  // the first activation
  EXPECT_EQ(r.threads, num_threads());
}

TEST(Bench, ATrainingStepTakesThreeTimesTheArithmeticButForTheFirstGradient) {
  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  const BenchResult r = bench(*net, {2, 1, 32, 32}, brief(true));
  const int64_t conv1 = 6 * 25 * 28 * 28;  // no gradient by the pictures
  EXPECT_EQ(r.macs, 2 * (3 * 416520 - conv1));
}

TEST(Bench, KernelsAreNamedWithTheirLayers) {
  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  const BenchResult r = bench(*net, {1, 1, 32, 32}, brief(false));
  const auto conv2 = std::find_if(r.lines.begin(), r.lines.end(), [](const BenchLine& l) {
    return l.layer == "conv2" && l.work.rfind("conv 1x6x14x14", 0) == 0;
  });
  ASSERT_NE(conv2, r.lines.end());
  EXPECT_EQ(conv2->calls, 1);
  EXPECT_FALSE(conv2->kernel.empty());
  EXPECT_NEAR(conv2->gflops * conv2->milliseconds, 2e-6 * 16 * 10 * 10 * 6 * 25, 1e-9);
}

TEST(Bench, GivesTheNumbersOfTheFirstRuns) {
  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  const BenchResult r = bench(*net, {2, 1, 32, 32}, brief(false));
  ASSERT_EQ(r.given.size(), 1u);
  EXPECT_EQ(r.given[0].first, "input");
  Context ctx = Context::eval();
  const auto outputs = (*net)(r.given[0].second, ctx).to_vector<double>();
  ASSERT_EQ(r.values.size(), outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) EXPECT_NEAR(r.values[i], outputs[i], 1e-5);

  const BenchResult t = bench(*net, {2, 1, 32, 32}, brief(true));
  ASSERT_EQ(t.given.size(), 2u);
  EXPECT_EQ(t.given[1].first, "labels");
  ASSERT_EQ(t.values.size(), 3u);  // losses, which fall
  EXPECT_GT(t.values[0], t.values[2]);
}

TEST(Bench, MeasuresAnyComputation) {
  int runs = 0;
  const Tensor a = ones({4, 8}), b = ones({8, 5});
  const BenchResult r = bench(
      [&] {
        ++runs;
        return Tensors{sum(matmul(a, b)) + static_cast<double>(runs)};
      },
      brief(false));
  EXPECT_EQ(r.values, (std::vector<double>{161, 162, 163}));
  EXPECT_EQ(r.macs, 4 * 8 * 5);
  EXPECT_EQ(r.runs.size(), 4u);
  EXPECT_EQ(runs, 3 + 4 + 1);  // and one for the profile
  EXPECT_GT(r.process_peak_bytes, 1u << 20);
  EXPECT_GT(r.first_at, 0);
  EXPECT_EQ(r.samples_per_second(), 0);
}

TEST(Bench, ThePageHoldsEveryResult) {
  const auto net = make_model("lenet5", "", Scope::init(Key(0)));
  const BenchResult r = bench(*net, {1, 1, 32, 32}, brief(false));
  const std::string page = bench_page({{"a <model>", r}, {"another", r}});
  EXPECT_NE(page.find("a &lt;model&gt;"), std::string::npos);
  EXPECT_NE(page.find("another"), std::string::npos);
  EXPECT_EQ(page.find("nan"), std::string::npos);
  EXPECT_EQ(page.find("inf\""), std::string::npos);
}

TEST(Bench, ThePeakOfThisMachineIsMeasured) {
  const auto net = make_model("mlp", "in=8 hidden=4", Scope::init(Key(0)));
  const BenchResult r = bench(*net, {1, 8}, brief(false));
  EXPECT_GT(r.peak_gflops, 0.1);
  EXPECT_GT(r.peak_gbytes, 0.1);
}

}  // namespace
}  // namespace nacre
