// What the processor can do at most, measured: the limits that benchmarks are held against.
#pragma once

namespace nacre::cpu {

struct Peak {
  double gflops = 0;  ///< f32 multiply-adds from registers, two operations each, 1e9 a second
  double gbytes = 0;  ///< reading memory far larger than the caches, 1e9 bytes a second
};

/// Measured at the first call with the threads that compute loops use then; about 0.3 s.
const Peak& measured_peak();

}  // namespace nacre::cpu
