// What is said of each model, measured and printed in one line (times and ONNX of its small form;
// docs/zoo.md has the times of the whole one); and the models whose small
// form takes seconds to train.
#include <gtest/gtest.h>

#include "nacre/bench.h"
#include "onnx/round_trip.h"
#include "zoo/golden.h"
#include "zoo/tiny.h"

namespace nacre::test {

INSTANTIATE_TEST_SUITE_P(Slow, TinyZoo, ::testing::ValuesIn(tiny_models(false)),
                         [](const auto& info) { return std::string(info.param->name); });

namespace {

class EveryModel : public ::testing::TestWithParam<const ModelEntry*> {};

TEST_P(EveryModel, IsWhatIsSaidOfIt) {
  const ModelEntry& e = *GetParam();
  const auto count = [](const char* what, int64_t n, int64_t published) {
    return cat({n, " ", what, published ? cat({" (published ", published, ")"}) : ""});
  };
  const Size size = published_form(e);
  if (e.parameters) {
    EXPECT_EQ(size.parameters, e.parameters);
  }
  EXPECT_EQ(size.macs, e.macs);
  std::string line = cat({e.name, ": ", count("parameters", size.parameters, e.parameters)});
  if (e.macs) line += ", " + count("MACs", size.macs, e.macs);
  for (const Golden& g : goldens()) {
    if (g.model != e.name) continue;
    const double difference = golden_difference(g);
    const bool deepest = g.model == "resnet1001";  // a thousand layers, whose roundings add up
    EXPECT_LE(difference, deepest ? 2e-5 : 1e-5);
    line += cat({", ", difference, " from the reference"});
  }
  if (!e.fit) {
    const double loss = learned_loss(e);
    EXPECT_LT(loss, kAllRight);
    line += cat({", small form learns a batch to ", loss});
  }
  const Shape& sample = e.tiny_input.empty() ? e.input : e.tiny_input;
  if (!sample.empty()) {
    const auto net = make_model(e.name, e.tiny, Scope::init(Key(1)));
    const double difference = onnx::round_trip(*net, sample).difference;
    EXPECT_LT(difference, 1e-5);
    line += cat({", ", difference, " through ONNX"});
    for (const int64_t batch : {1, 16}) {
      const BenchResult r = bench(*net, with_batch(batch, sample), {.seconds = 0.02});
      line += cat({", ", r.milliseconds(0.5) / static_cast<double>(batch),
                   " ms for an input at batch ", batch});
    }
  }
  std::printf("%s\n", line.c_str());
}

INSTANTIATE_TEST_SUITE_P(Zoo, EveryModel, ::testing::ValuesIn(all_models()),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace
}  // namespace nacre::test
