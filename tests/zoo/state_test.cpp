// Weights of other programs in models of the zoo.
#include <gtest/gtest.h>

#include "nacre/weights.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

const std::string kGoldens = std::string(NACRE_SOURCE_DIR) + "/tests/formats/goldens/";

TEST(LoadState, AModelOfTorchComputesTheSame) {
  const auto net = make_model("mlp", "in=3 hidden=4 classes=2", Scope::init(Key(1)));
  const Weights w = read_weights(kGoldens + "mlp.pth");
  const StateReport report = load_state(*net, w.tensors);
  EXPECT_EQ(report.taken, 4u);
  EXPECT_TRUE(report.fits());
  const Weights run = read_weights(kGoldens + "mlp_run.pth");
  ASSERT_EQ(run.tensors[0].first, "x");
  Context ctx = Context::eval();
  const auto y = (*net)(copied_tensor(run.tensors[0].second), ctx).to_vector<float>();
  const auto want = copied_tensor(run.tensors[1].second).to_vector<float>();
  ASSERT_EQ(y.size(), want.size());
  for (size_t i = 0; i < y.size(); ++i) EXPECT_NEAR(y[i], want[i], 1e-6);
}

TEST(LoadState, WhatDoesNotFitIsNamedAtOnceAndChangesNothing) {
  const auto net = make_model("mlp", "in=3 hidden=5 classes=2", Scope::init(Key(1)));
  const auto before = net->variables()[0].value().to_vector<float>();
  Weights w = read_weights(kGoldens + "mlp.pth");
  w.tensors.erase(w.tensors.begin() + 3);
  w.tensors.emplace_back("extra", w.tensors[0].second);
  w.tensors.emplace_back("layers.9.num_batches_tracked", w.tensors[0].second);
  w.tensors.emplace_back("attn.relative_position_index", w.tensors[0].second);
  try {
    load_state(*net, w.tensors);
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              "the weights do not fit the model: 1 missing: layers.2.bias; 1 unexpected: extra; 3 "
              "of another shape: layers.0.weight (4x3, the model wants 5x3), layers.0.bias (4, the "
              "model wants 5), layers.2.weight (2x4, the model wants 2x5)");
  }
  EXPECT_EQ(net->variables()[0].value().to_vector<float>(), before);
}

TEST(LoadState, PartOfTheWeightsInAnotherType) {
  const auto net = make_model("mlp", "in=3 hidden=4 classes=2", Scope::init(Key(1)));
  const Tensor half = cast(full({4, 3}, 0.5), DType::bf16);
  const NamedTensor one{"layers.0.weight", raw_tensor(half)};
  const auto other = net->variables()[1].value().to_vector<float>();
  const StateReport report = load_state(*net, std::span(&one, 1), false);
  EXPECT_EQ(report.taken, 1u);
  EXPECT_EQ(report.missing.size(), 3u);
  EXPECT_EQ(net->variables()[0].value().to_vector<float>(), std::vector<float>(12, 0.5f));
  EXPECT_EQ(net->variables()[0].value().dtype(), DType::f32);
  EXPECT_EQ(net->variables()[1].value().to_vector<float>(), other);
}

}  // namespace
}  // namespace nacre
