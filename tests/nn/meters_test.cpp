#include "nacre/meters.h"

#include <gtest/gtest.h>

#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/optim.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

TEST(Sparsity, OfATrainedNetworkIsTheShareOfZerosAfterEachRelu) {
  Sequential net(Scope::init(Key(1)));
  net.add<Linear>(Linear::Config{8, 32});
  net.add([](const Tensor& x) { return relu(x); });
  net.add<Linear>(Linear::Config{32, 3});
  const Tensor x = normal({60, 8}, Key(2));
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < 60; ++i) labels.push_back(i % 3);
  const Tensor t = Tensor::from(labels, {60});
  const auto adam = make_optimizer("adam", net.trainable(), 1e-2);
  Tensor loss;
  for (uint64_t i = 0; i < 100; ++i) {
    Context ctx = Context::train(Key(i));
    loss = cross_entropy(net(x, ctx), t);
    adam->step(grad(loss, values(net.trainable())));
    State* states[] = {net.state().get(), adam->state().get()};
    State::commit(states, {loss});
  }
  EXPECT_LT(loss.item(), 0.6);

  const auto list = activation_sparsity(net, x);
  ASSERT_EQ(list.size(), 1u);
  Context ctx = Context::eval();
  ctx.taps["1"] = {};
  net(x, ctx);
  int64_t zeros = 0;
  for (float v : ctx.taps["1"].to_vector<float>()) zeros += v == 0;
  EXPECT_EQ(list[0].path, "1");
  EXPECT_NEAR(list[0].zeros, static_cast<double>(zeros) / (60 * 32), 1e-6);
  EXPECT_GT(list[0].zeros, 0.2);
  EXPECT_LT(list[0].zeros, 0.9);
}

TEST(Sparsity, OfAFunctionInsideAModuleBearsTheNameOfTheLayerBefore) {
  const auto net = make_model("lenet5", "", Scope::init(Key(1)));
  std::vector<std::string> paths;
  for (const Sparsity& s : activation_sparsity(*net, normal({2, 1, 32, 32}, Key(2)))) {
    paths.push_back(s.path);
    EXPECT_GT(s.zeros, 0.1);
    EXPECT_LT(s.zeros, 0.9);
  }
  EXPECT_EQ(paths, (std::vector<std::string>{"conv1", "conv2", "fc1", "fc2"}));
}

TEST(Sparsity, AnEmptyBatchHasNone) {
  Lambda layer(Scope::init(Key(1)), [](const Tensor& x, Context&) { return relu(x); });
  EXPECT_TRUE(activation_sparsity(layer, zeros({0, 2})).empty());
  EXPECT_EQ(activation_sparsity(layer, zeros({1, 2})).at(0).zeros, 1);
}

}  // namespace
}  // namespace nacre
