// The models whose small form takes seconds to train.
#include <gtest/gtest.h>

#include "zoo/tiny.h"

namespace nacre::test {

INSTANTIATE_TEST_SUITE_P(Slow, TinyZoo, testing::ValuesIn(tiny_models(false)),
                         [](const auto& info) { return std::string(info.param->name); });

}  // namespace nacre::test
