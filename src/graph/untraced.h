// Values in the middle of a trace, of what does not depend on the trace's inputs.
#pragma once

#include <cstdint>

namespace nacre {

/// While one lives on a thread, nothing is traced there: what is recorded can be evaluated, and is
/// a constant to the trace around it. Inputs of that trace must not be used.
class Untraced {
 public:
  Untraced();
  ~Untraced();

 private:
  uint64_t before_;
};

}  // namespace nacre
