// Convolutions of any model become deformable ones while one of these exists.
#pragma once

#include <memory>
#include <string>

#include "nacre/nn.h"

namespace nacre {

/// In this thread, a Conv2d that is made while the object lives, whose path matches the regular
/// expression (anywhere) and which has one group, one square kernel larger than 1, and one stride,
/// padding and dilation for both dimensions, gets learned offsets and masks of its taps (see
/// DeformConv2d in nacre/blocks.h), with variables "offset.weight" and "offset.bias" below it.
/// Throws Error(usage) if the expression cannot be read.
class MakeDeformable {
 public:
  explicit MakeDeformable(const std::string& pattern);
  ~MakeDeformable();
  MakeDeformable(const MakeDeformable&) = delete;
  MakeDeformable& operator=(const MakeDeformable&) = delete;
  int64_t count() const;  ///< of convolutions so far

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

/// For the constructor of Conv2d: whether it should make offsets.
bool makes_offsets(const std::string& path, const ConvConfig& c);

}  // namespace nacre
