// Tests of loops that are compiled for several instruction sets.
#pragma once

#include <functional>

#include <hwy/targets.h>

namespace nacre::test {

/// Calls body once per instruction set that this machine has and the library was built for.
inline void on_each_target(const std::function<void(const char*)>& body) {
  for (int64_t target : {int64_t{HWY_AVX3}, int64_t{HWY_AVX2}, int64_t{HWY_SCALAR}}) {
    hwy::SetSupportedTargetsForTest(0);
    if (target != HWY_SCALAR && !(hwy::SupportedTargets() & target)) continue;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body(hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace nacre::test
