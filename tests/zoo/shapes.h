#pragma once

#include "nacre/shape.h"

namespace nacre::test {

inline Shape with_batch(int64_t n, const Shape& one) {
  Shape all = {n};
  for (int64_t d : one) all.push_back(d);
  return all;
}

}  // namespace nacre::test
