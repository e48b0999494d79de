// Several threads train networks of one structure: they share plans and what gradients are made of.
#include <gtest/gtest.h>

#include <thread>

#include "nacre/autograd.h"
#include "nacre/optim.h"
#include "nacre/zoo.h"

namespace nacre {
namespace {

std::vector<double> losses(uint64_t seed) {
  const auto net = make_model("mlp", "in=16 hidden=8", Scope::init(Key(seed)));
  AdamW optimizer(net->trainable(), {});
  const Tensor x = normal({8, 16}, Key(seed + 100)),
               y = Tensor::from(std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7}, {8});
  eval(x);
  std::vector<double> all;
  for (int step = 0; step < 12; ++step) {
    Context ctx = Context::train(Key(2));
    const Tensor loss = cross_entropy((*net)(x, ctx), y);
    optimizer.step(grad(loss, values(net->trainable())));
    State* states[] = {net->state().get(), optimizer.state().get()};
    State::commit(states, {loss});
    all.push_back(loss.item());
  }
  return all;
}

TEST(TrainingThreads, ShareGradientsAndPlans) {
  std::vector<std::vector<double>> got(4);
  std::vector<std::thread> threads;
  for (size_t k = 0; k < got.size(); ++k) threads.emplace_back([&, k] { got[k] = losses(k); });
  for (auto& t : threads) t.join();
  for (size_t k = 0; k < got.size(); ++k) {
    EXPECT_EQ(got[k], losses(k)) << k;
    EXPECT_LT(got[k].back(), got[k].front());
  }
}

}  // namespace
}  // namespace nacre
