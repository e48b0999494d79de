// How deep networks can be and train all the same.
#include <gtest/gtest.h>

#include <map>

#include "labs/lab.h"

namespace nacre {
namespace {

std::map<std::string, double> very_deep(const std::string& options) {
  const LabResult r =
      run_lab(find_lab("very-deep"), std::string(NACRE_SOURCE_DIR) + "/data/digits", options);
  return {r.numbers.begin(), r.numbers.end()};
}

TEST(VeryDeep, AThousandResidualLayersLearnTheDigits) {
  const auto n = very_deep("forms=residual depths=1000 epochs=4 samples=200");
  // Measured: 2.21 and 0.147.
  EXPECT_LT(n.at("residual-1000 last loss"), 0.1 * n.at("residual-1000 first loss"));
}

TEST(VeryDeep, TenThousandLayersOfTanhKeepGradientsAndTrain) {
  const auto n = very_deep("forms=tanh depths=10000 side=4 samples=16 batch=16 epochs=20 lr=0.02");
  // Measured after 30 epochs: 6.4, a loss of 2.29 and 1.88, an error of 31.2 %.
  EXPECT_LT(n.at("tanh-10000 gradients"), 10);
  EXPECT_LT(n.at("tanh-10000 last loss"), n.at("tanh-10000 first loss") - 0.2);
  EXPECT_LT(n.at("tanh-10000 training error"), 0.6);
}

}  // namespace
}  // namespace nacre
