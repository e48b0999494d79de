// Times of steps, by label and kernel.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace nacre {

struct ProfileLine {
  std::string layer, label, kernel;
  uint64_t calls = 0;
  double microseconds = 0;  ///< of all calls
  int64_t macs = 0;         ///< of one call
  size_t bytes = 0;         ///< of all operands of one call
};

bool profiling();
/// Switches profiling and forgets earlier times.
void set_profiling(bool on);
/// One call, whose line has all but the counts filled in.
void record(const ProfileLine& call, double microseconds);
/// Longest first.
std::vector<ProfileLine> profile();

void count_reference(const char* op);

}  // namespace nacre
