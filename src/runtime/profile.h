// Times of steps, by label and kernel.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace nacre {

struct ProfileLine {
  std::string label, kernel;
  uint64_t calls = 0;
  double microseconds = 0;
};

bool profiling();
/// Switches profiling and forgets earlier times.
void set_profiling(bool on);
void record(const std::string& label, const std::string& kernel, double microseconds);
/// Longest first.
std::vector<ProfileLine> profile();

void count_reference(const char* op);

}  // namespace nacre
