// Large models give the outputs of their public references, weights loaded by name.
#include <gtest/gtest.h>

#include "zoo/golden.h"

namespace nacre {
namespace {

class Golden : public testing::TestWithParam<test::Golden> {};

TEST_P(Golden, IsReproduced) { test::expect_golden(GetParam()); }

INSTANTIATE_TEST_SUITE_P(All, Golden, testing::ValuesIn(test::goldens(false)),
                         [](const auto& info) { return info.param.model; });

}  // namespace
}  // namespace nacre
