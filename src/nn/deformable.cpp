#include "nn/deformable.h"

#include <algorithm>
#include <regex>

namespace nacre {

struct MakeDeformable::Impl {
  std::regex pattern;
  int64_t count = 0;
  Impl* before;  // that goes on when this one ends
};

namespace {

thread_local MakeDeformable::Impl* active = nullptr;

bool all_equal(const Ints& v) { return std::equal(v.begin() + 1, v.end(), v.begin()); }

}  // namespace

MakeDeformable::MakeDeformable(const std::string& pattern) {
  try {
    impl_ = std::make_unique<Impl>(Impl{std::regex(pattern), 0, active});
  } catch (const std::regex_error&) {
    fail(Error::Kind::usage, {"'", pattern, "' is not a regular expression"});
  }
  active = impl_.get();
}

MakeDeformable::~MakeDeformable() { active = impl_->before; }

int64_t MakeDeformable::count() const { return impl_->count; }

bool makes_offsets(const std::string& path, const ConvConfig& c) {
  const bool fits = active && c.groups == 1 && c.kernel[0] > 1 && all_equal(c.kernel) &&
                    all_equal(c.stride) && all_equal(c.padding) && all_equal(c.dilation) &&
                    std::regex_search(path, active->pattern);
  if (fits) ++active->count;
  return fits;
}

}  // namespace nacre
