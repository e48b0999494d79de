#include "nacre/meters.h"

#include <gtest/gtest.h>

#include "nacre/autograd.h"
#include "nacre/ops.h"
#include "nacre/optim.h"

namespace nacre {
namespace {

TEST(Sparsity, OfATrainedNetworkIsTheShareOfZerosAfterEachModule) {
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
  ASSERT_EQ(list.size(), 4u);  // three layers and the net itself
  EXPECT_EQ(list[0].zeros, 0);
  Context ctx = Context::eval();
  ctx.taps["1"] = {};
  net(x, ctx);
  int64_t zeros = 0;
  for (float v : ctx.taps["1"].to_vector<float>()) zeros += v == 0;
  EXPECT_EQ(list[1].path, "1");
  EXPECT_NEAR(list[1].zeros, static_cast<double>(zeros) / (60 * 32), 1e-6);
  EXPECT_GT(list[1].zeros, 0.2);
  EXPECT_LT(list[1].zeros, 0.9);
  EXPECT_EQ(list[2].zeros, 0);
}

TEST(Sparsity, AnEmptyBatchHasNone) {
  Linear layer(Scope::init(Key(1)), {2, 2});
  EXPECT_TRUE(activation_sparsity(layer, zeros({0, 2})).empty());
}

}  // namespace
}  // namespace nacre
