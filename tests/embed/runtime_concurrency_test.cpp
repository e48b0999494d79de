// One network, called by several threads.
#include <gtest/gtest.h>

#include <thread>

#include "embed/networks.h"

namespace nacre {
namespace {

TEST(RuntimeThreads, ShareOneNetwork) {
  const Runtime net = test::runtime_of(export_program(
      test::predictor_of(make_model("lenet5", "", Scope::init(Key(1))), {1, 32, 32})));
  std::vector<std::vector<float>> inputs, want;
  for (int k = 0; k < 8; ++k) {
    inputs.emplace_back(1024, 0.1f * static_cast<float>(k));
    want.push_back(test::run(net, inputs.back(), 1));
  }
  std::vector<int> wrong(8);
  std::vector<std::thread> threads;
  for (size_t k = 0; k < 8; ++k)
    threads.emplace_back([&, k] {
      for (int round = 0; round < 20; ++round) wrong[k] += test::run(net, inputs[k], 1) != want[k];
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, std::vector<int>(8));
  EXPECT_NE(want[1], want[2]);
}

}  // namespace
}  // namespace nacre
