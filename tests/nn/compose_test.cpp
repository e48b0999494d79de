// Networks from text: a tagger that learns, the same layers by hand, and mistakes.
#include "nacre/compose.h"

#include <gtest/gtest.h>

#include "nacre/autograd.h"
#include "nacre/error.h"
#include "nacre/ops.h"
#include "nacre/optim.h"
#include "nacre/random.h"

namespace nacre {
namespace {

constexpr int64_t kWords = 6, kLength = 8, kTags = 3;

/// Sentences whose tags depend on a word and on the one before it.
std::pair<Tensor, Tensor> sentences(int64_t n, Key key) {
  Rng rng(key);
  std::vector<int64_t> words, tags;
  for (int64_t i = 0; i < n; ++i) {
    int64_t before = 0;
    for (int64_t t = 0; t < kLength; ++t) {
      const auto word = static_cast<int64_t>(rng.below(kWords));
      words.push_back(word);
      tags.push_back((word + before) % kTags);
      before = word;
    }
  }
  return {Tensor::from(words, {n, kLength}), Tensor::from(tags, {n * kLength})};
}

/// Share of right tags in sentences that were not seen, after training.
double learned(std::string_view text) {
  const auto net = compose(text, Scope::init(Key(1)), {kLength}, DType::i64);
  Adam adam(net->trainable(), {.lr = 1e-2});
  for (uint64_t step = 0; step < 150; ++step) {
    const auto [words, tags] = sentences(32, Key(10 + step));
    Context ctx = Context::train(Key(step));
    const Tensor y = (*net)(words, ctx);
    const Tensor loss = cross_entropy(reshape(y, {-1, kTags}), tags);
    adam.step(grad(loss, values(net->trainable())));
    eval(loss);
  }
  const auto [words, tags] = sentences(200, Key(1));
  NoGrad guard;
  Context ctx = Context::eval();
  const Tensor best = argmax(reshape((*net)(words, ctx), {-1, kTags}), 1);
  return mean(cast(eq(best, tags), DType::f32)).item();
}

TEST(Compose, AnLstmTaggerOfTextLearns) {
  EXPECT_GT(learned("embedding(6, 8) | lstm(24) | dropout(0.1) | linear(3)"), 0.98);
  EXPECT_GT(learned("embedding(6, 8) | gru(16, bidirectional=1) | linear(3)"), 0.98);
  // Without memory a word alone says little of its tag.
  EXPECT_LT(learned("embedding(6, 8) | linear(24) | relu | linear(3)"), 0.5);
}

TEST(Compose, IsTheSameAsLayersByHand) {
  const auto net = compose("embedding(6, 4) | lstm(5, layers=2) | last | linear(out=2, bias=0)",
                           Scope::init(Key(3)), {kLength}, DType::i64);
  std::map<std::string, Tensor> v;
  for (const Variable& p : net->variables()) v[p.name()] = p.value();
  ASSERT_EQ(v.size(), 10u);
  const Tensor words = sentences(7, Key(5)).first;
  const Tensors weights = {v.at("1.weight_ih_l0"), v.at("1.weight_hh_l0"), v.at("1.bias_ih_l0"),
                           v.at("1.bias_hh_l0"),   v.at("1.weight_ih_l1"), v.at("1.weight_hh_l1"),
                           v.at("1.bias_ih_l1"),   v.at("1.bias_hh_l1")};
  const Tensor x = index_select(v.at("0.weight"), 0, words);
  const Tensor h = lstm(permute(x, {1, 0, 2}), weights, {.layers = 2})[0];
  const Tensor want = matmul(select(h, 0, kLength - 1), transpose(v.at("3.weight")));
  Context ctx = Context::eval();
  EXPECT_LT(amax(abs((*net)(words, ctx) - want)).item(), 1e-6);
}

TEST(Compose, PicturesStacksAndResiduals) {
  const auto net = compose(
      "conv(8, kernel=5, stride=2) | 2 * (residual(conv(8) | batch_norm | silu) | max_pool(2)) |\n"
      "  mean | layer_norm | linear(10)",
      Scope::init(Key(3)), {3, 32, 32});
  Context ctx = Context::eval();
  EXPECT_EQ((*net)(normal({2, 3, 32, 32}, Key(1)), ctx).shape(), (Shape{2, 10}));
  // Of the convolutions 3 8 25 + 8 and twice 8 8 9 + 8, norms 2 (8 + 8) + 16, the end 80 + 10.
  EXPECT_EQ(net->parameter_count(), 608 + 2 * 584 + 48 + 90);
  EXPECT_EQ(net->parameters()[2].name(), "1.0.0.0.weight");
  const auto flat = compose("flatten | linear(4) | tanh", Scope::init(Key(3)), {2, 3});
  EXPECT_EQ(flat->parameter_count(), 28);
  EXPECT_GE(compose_layers().size(), 19u);
}

TEST(Compose, MistakesAreNamed) {
  const auto expect = [](const char* text, const char* part) {
    try {
      compose(text, Scope::init(Key(1)), {4, 8});
      ADD_FAILURE() << text;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  };
  expect("", "expected a layer (residual, embedding, lstm");
  expect("linear(3) | liner(3)", "at 'liner(3)'");
  expect("linear", "linear needs out: linear(out, bias=1)");
  expect("linear(0)", "out of linear is a whole number from 1");
  expect("linear(3, 1, 1)", "a number too many for linear(out, bias=1)");
  expect("linear(3, out=4)", "out of linear is given twice");
  expect("linear(3, width=4)", "expected a number or name=number of linear");
  expect("linear(3) relu", "expected '|' between layers at 'relu'");
  expect("0 * (relu)", "expected a whole number of 1 to 1000");
  expect("2 * (relu", "expected '|' or ')'");
  expect("residual(linear(3))", "turn 1x4x8 into 1x4x3");
  expect("flatten | lstm(3)", "takes sequences, NxTxC, not 1x32");
  expect("flatten | last", "last takes sequences, NxTxC, not 1x32");
  const std::string deep = [] {
    std::string text = "relu";
    for (int k = 0; k < 100; ++k) text = "residual(" + text + ")";
    return text;
  }();
  expect(deep.c_str(), "brackets are at most 32 deep");
  expect("1000 * (1000 * (relu))", "at most 10000 layers");
}

}  // namespace
}  // namespace nacre
