// One Predictor, several threads.
#include <gtest/gtest.h>

#include <thread>

#include "nacre/ops.h"
#include "nacre/predict.h"

namespace nacre {
namespace {

TEST(PredictorThreads, GiveTheSameValues) {
  Model m;
  m.info.model = "logistic_regression";
  m.info.options = "in=4 classes=3";
  m.info.input = {4};
  m.net = make_model(m.info.model, m.info.options, Scope::init(Key(1)));
  const Predictor p(std::move(m));
  const auto rows = [&](int64_t n) {
    std::vector<float> x(static_cast<size_t>(4 * n));
    for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7);
    return p.run({Tensor::from(x, {n, 4})})[0].to_vector<float>();
  };
  const auto want = rows(9);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int64_t n = 1; n < 9; ++n) {
        const auto got = rows((n + t) % 9 + 1);
        for (size_t i = 0; i < got.size(); ++i)
          if (std::abs(got[i] - want[i]) > 1e-5f) ++wrong;
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace nacre
