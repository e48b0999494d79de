#include "nn/deformable.h"

#include <algorithm>

#include "base/pattern.h"

namespace nacre {

struct MakeDeformable::Impl {
  Pattern pattern;
  int64_t count = 0;
  Impl* before;  // that goes on when this one ends
};

namespace {

thread_local MakeDeformable::Impl* active = nullptr;

bool all_equal(const Ints& v) { return std::equal(v.begin() + 1, v.end(), v.begin()); }

}  // namespace

MakeDeformable::MakeDeformable(const std::string& pattern) {
  impl_ = std::make_unique<Impl>(Impl{Pattern(pattern), 0, active});
  active = impl_.get();
}

MakeDeformable::~MakeDeformable() { active = impl_->before; }

int64_t MakeDeformable::count() const { return impl_->count; }

bool makes_offsets(const std::string& path, const ConvConfig& c) {
  const bool fits = active && c.groups == 1 && c.kernel[0] > 1 && all_equal(c.kernel) &&
                    all_equal(c.stride) && all_equal(c.padding) && all_equal(c.dilation) &&
                    active->pattern.found_in(path);
  if (fits) ++active->count;
  return fits;
}

}  // namespace nacre
