// Small models give the outputs of their public references, weights loaded by name;
// zoo_slow_test.cpp has all.
#include <gtest/gtest.h>

#include "zoo/golden.h"

namespace nacre {
namespace {

class Golden : public ::testing::TestWithParam<test::Golden> {};

TEST_P(Golden, IsReproduced) { EXPECT_LE(test::golden_difference(GetParam()), 1e-5); }

INSTANTIATE_TEST_SUITE_P(All, Golden, ::testing::ValuesIn(test::goldens(6000000)),
                         [](const auto& info) { return info.param.model; });

}  // namespace
}  // namespace nacre
