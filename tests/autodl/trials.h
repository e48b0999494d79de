// What tests of fits read from a study that other processes write.
#pragma once

#include <filesystem>
#include <string>

#include "nacre/error.h"
#include "nacre/study.h"

namespace nacre::test {

/// Trials of a study that have this state; 0 as long as it has not begun.
inline int trials_in(const std::string& study, Trial::State state) {
  if (!std::filesystem::exists(study)) return 0;
  try {
    int n = 0;
    for (const Trial& t : Study::join(study).trials()) n += t.state == state;
    return n;
  } catch (const Error&) {
    return 0;  // not begun yet
  }
}

}  // namespace nacre::test
