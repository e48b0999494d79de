// What the control group of this process (a container, a service) may use.
#pragma once

#include <cstdint>
#include <string>

namespace nacre {

/// Seconds of processor time in a second of wall clock, the least of the group and those that it is
/// in; 0: no limit. `groups` says which groups the process is in, and `root` is where they are
/// seen, of version 1 or 2.
double cgroup_cores(const std::string& groups = "/proc/self/cgroup",
                    const std::string& root = "/sys/fs/cgroup");

struct CgroupMemory {
  uint64_t most = 0;  ///< bytes; 0: no limit
  uint64_t left = 0;  ///< of them
};
/// The group with the least that is left.
CgroupMemory cgroup_memory(const std::string& groups = "/proc/self/cgroup",
                           const std::string& root = "/sys/fs/cgroup");

}  // namespace nacre
