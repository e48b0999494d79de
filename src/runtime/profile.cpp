#include "runtime/profile.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <tuple>

#include "compile/plan.h"

namespace nacre {
namespace {
std::atomic<bool> on{false};
std::mutex mutex;
using Name = std::tuple<std::string, std::string, std::string>;
std::map<Name, ProfileLine>& lines() {
  static std::map<Name, ProfileLine> m;
  return m;
}
std::map<std::string, uint64_t>& references() {
  static std::map<std::string, uint64_t> m;
  return m;
}
}  // namespace

bool profiling() { return on.load(std::memory_order_relaxed); }

void set_profiling(bool value) {
  std::lock_guard lock(mutex);
  lines().clear();
  on = value;
}

void record(const ProfileLine& call, double microseconds) {
  std::lock_guard lock(mutex);
  ProfileLine& l = lines().try_emplace({call.layer, call.label, call.kernel}, call).first->second;
  ++l.calls;
  l.microseconds += microseconds;
}

std::vector<ProfileLine> profile() {
  std::lock_guard lock(mutex);
  std::vector<ProfileLine> list;
  for (const auto& [key, l] : lines()) list.push_back(l);
  std::sort(list.begin(), list.end(),
            [](const auto& a, const auto& b) { return a.microseconds > b.microseconds; });
  return list;
}

void count_reference(const char* op) {
  std::lock_guard lock(mutex);
  ++references()[op];
}

std::vector<std::pair<std::string, uint64_t>> reference_runs() {
  std::lock_guard lock(mutex);
  return {references().begin(), references().end()};
}

}  // namespace nacre
