// Models of the zoo as ONNX files, read back: the same numbers for batches of any size.
#include <gtest/gtest.h>

#include <filesystem>

#include "nacre/compose.h"
#include "onnx/round_trip.h"

namespace nacre::onnx {
namespace {

class OnnxSave : public ::testing::TestWithParam<const ModelEntry*> {};

TEST_P(OnnxSave, ReadsBackTheSame) {
  const ModelEntry& m = *GetParam();
  const Shape sample = m.tiny_input.empty() ? m.input : m.tiny_input;
  if (sample.empty()) GTEST_SKIP() << m.name << " has no input of its own";
  const auto net = make_model(m.name, m.tiny, Scope::init(Key(1)));
  const RoundTrip back = round_trip(*net, sample);
  // Tables of trees and support vectors are no parameters, but constants of the graph; the
  // statistics of complex normalisation are constants that cannot be told from parameters.
  if (!m.fit && std::string(m.name) != "complex_resnet") {
    EXPECT_EQ(back.parameters, net->parameter_count());
  }
  EXPECT_LT(back.difference, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Zoo, OnnxSave, ::testing::ValuesIn(all_models()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST(OnnxSaveOpsets, AllGiveTheSame) {
  const test::TempFolder folder;
  const std::string path = (folder / "m.onnx").string();
  for (const char* name : {"lenet5", "shufflenet_v2_x0_5"}) {
    const ModelEntry& m = find_model(name);
    const auto net = make_model(name, m.tiny, Scope::init(Key(1)));
    for (int64_t opset = 13; opset <= 28; ++opset) {
      save(path, *net, m.tiny_input.empty() ? m.input : m.tiny_input, {.opset = opset});
      const auto back = load(path);
      EXPECT_EQ(back->opset(), opset);
      EXPECT_LT(difference(*back, *net, m.tiny_input.empty() ? m.input : m.tiny_input, 2), 1e-5);
    }
  }
}

// ONNX Runtime's processor build has no Where between truths.
TEST(OnnxSaveForms, RecurrentNetworksReadBackTheSame) {
  for (const char* text : {"lstm(6) | linear(3)", "lstm(6, 2, bidirectional=1) | linear(3)",
                           "gru(5) | rnn(4, bidirectional=1) | mean | linear(3)"}) {
    const auto net = compose(text, Scope::init(Key(1)), {7, 4});
    EXPECT_LT(round_trip(*net, {7, 4}).difference, 1e-5) << text;
  }
}

TEST(OnnxSaveForms, AChoiceBetweenTruthsIsLogic) {
  struct Choice : Module {
    using Module::Module;
    Tensor forward(const Tensor& x, Context&) override {
      return cast(where(x > 0, x > 1, x > -1), DType::f32) + where(x > 0, x, 2 * x);
    }
  } net(Scope::init());
  const test::TempFolder folder;
  save((folder / "m.onnx").string(), net, {7});
  const std::string bytes = folder.read("m.onnx");
  EXPECT_NE(bytes.find("Or"), std::string::npos);
  size_t choices = 0;  // each node has its kind and a name that begins with it
  for (size_t at = 0; (at = bytes.find("\x22\x05Where", at)) != std::string::npos; ++at) ++choices;
  EXPECT_EQ(choices, 1u);
  EXPECT_EQ(difference(*load((folder / "m.onnx").string()), net, {7}, 3), 0);
}

TEST(OnnxSaveErrors, OpsWithoutAFormAreListed) {
  struct Odd : Module {
    using Module::Module;
    Tensor forward(const Tensor& x, Context&) override { return lgamma(x) + digamma(digamma(x)); }
  } odd(Scope::init());
  const test::TempFolder folder;
  try {
    save((folder / "m.onnx").string(), odd, {3});
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(),
                 "ONNX export has no form for these ops: digamma (2 times), lgamma (1 time)");
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "m.onnx"));
  EXPECT_THROW(save((folder / "m.onnx").string(), odd, {3}, {.opset = 5}), Error);
}

}  // namespace
}  // namespace nacre::onnx
