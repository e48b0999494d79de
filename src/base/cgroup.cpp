#include "base/cgroup.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "base/file.h"
#include "nacre/error.h"

namespace nacre {
namespace {

constexpr uint64_t kUnlimited = uint64_t{1} << 60;  // version 1 writes a number near 2^63

std::string text_of(const std::string& path) {
  try {
    return read_file(path, 1 << 16);
  } catch (const Error&) {
    return "";
  }
}

/// A number at the start of a file; 0 for none, and for "max" or -1.
uint64_t number_in(const std::string& path) {
  const long long v = std::strtoll(text_of(path).c_str(), nullptr, 10);
  return v > 0 ? static_cast<uint64_t>(v) : 0;
}

/// Folders of the group that `controller` has the process in, and of those around it. A container
/// sees its own group as the root, under whatever name the group has outside.
std::vector<std::string> folders(const std::string& groups, const std::string& root,
                                 const std::string& controller) {
  std::vector<std::string> list;
  std::stringstream lines(text_of(groups));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::vector<std::string> places;
    if (controllers == ",,") places = {root, root + "/unified"};
    if (controllers.find("," + controller + ",") != controllers.npos)
      places = {root + "/" + controller};
    for (const std::string& place : places) {
      std::string path = line.substr(second + 1);
      while (!path.empty()) {
        list.push_back(place + path + (path.back() == '/' ? "" : "/"));
        path.resize(path == "/" ? 0 : std::max<size_t>(1, path.rfind('/')));
      }
    }
  }
  return list;
}

}  // namespace

double cgroup_cores(const std::string& groups, const std::string& root) {
  double least = 0;
  for (const std::string& folder : folders(groups, root, "cpu")) {
    double quota = 0, period = 0;
    std::stringstream both(text_of(folder + "cpu.max"));  // "50000 100000" or "max 100000"
    if (!(both >> quota >> period)) {
      quota = static_cast<double>(number_in(folder + "cpu.cfs_quota_us"));
      period = static_cast<double>(number_in(folder + "cpu.cfs_period_us"));
    }
    if (!(quota > 0) || !(period > 0)) continue;
    least = least > 0 ? std::min(least, quota / period) : quota / period;
  }
  return least;
}

CgroupMemory cgroup_memory(const std::string& groups, const std::string& root) {
  CgroupMemory least;
  for (const std::string& folder : folders(groups, root, "memory"))
    for (const auto& [limit, usage] : {std::pair{"memory.max", "memory.current"},
                                       {"memory.limit_in_bytes", "memory.usage_in_bytes"}}) {
      const uint64_t most = number_in(folder + limit), used = number_in(folder + usage);
      if (most == 0 || most > kUnlimited) continue;
      const uint64_t left = most > used ? most - used : 0;
      if (least.most == 0 || left < least.left) least = {most, left};
    }
  return least;
}

}  // namespace nacre
