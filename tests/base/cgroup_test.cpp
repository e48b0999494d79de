#include "base/cgroup.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"

namespace nacre {
namespace {

/// A folder that looks like /sys/fs/cgroup, and a file that looks like /proc/self/cgroup.
class Groups {
 public:
  explicit Groups(const std::string& groups) {
    static int count = 0;
    root_ = ::testing::TempDir() + "cgroup_" + std::to_string(::getpid()) + "_" +
            std::to_string(count++);
    std::filesystem::create_directories(root_);
    write("groups", groups);
  }
  ~Groups() { std::filesystem::remove_all(root_); }
  Groups& write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + "/" + path).parent_path());
    write_file_atomic(root_ + "/" + path, text);
    return *this;
  }
  double cores() const { return cgroup_cores(root_ + "/groups", root_); }
  CgroupMemory memory() const { return cgroup_memory(root_ + "/groups", root_); }

 private:
  std::string root_;
};

TEST(Cgroup, NoGroupsOrNoLimitIsNone) {
  EXPECT_EQ(cgroup_cores("/nowhere", "/nowhere"), 0);
  EXPECT_EQ(cgroup_memory("/nowhere", "/nowhere").most, 0u);
  Groups g("0::/\n");
  g.write("cpu.max", "max 100000\n").write("memory.max", "max\n");
  EXPECT_EQ(g.cores(), 0);
  EXPECT_EQ(g.memory().most, 0u);
  Groups old("4:memory:/\n3:cpu,cpuacct:/\n");
  old.write("cpu/cpu.cfs_quota_us", "-1\n").write("cpu/cpu.cfs_period_us", "100000\n");
  old.write("memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(old.cores(), 0);
  EXPECT_EQ(old.memory().most, 0u);
}

TEST(Cgroup, AContainerSeesItsGroupAsTheRoot) {
  Groups g("0::/\n");
  g.write("cpu.max", "150000 100000\n")
      .write("memory.max", "1000\n")
      .write("memory.current", "400");
  EXPECT_DOUBLE_EQ(g.cores(), 1.5);
  EXPECT_EQ(g.memory().most, 1000u);
  EXPECT_EQ(g.memory().left, 600u);
  // Of version 1 the name is that outside, which is not there inside.
  Groups old("4:memory:/docker/12ab\n3:cpu,cpuacct:/docker/12ab\n");
  old.write("cpu/cpu.cfs_quota_us", "50000\n").write("cpu/cpu.cfs_period_us", "100000\n");
  old.write("memory/memory.limit_in_bytes", "500").write("memory/memory.usage_in_bytes", "800");
  EXPECT_DOUBLE_EQ(old.cores(), 0.5);
  EXPECT_EQ(old.memory().most, 500u);
  EXPECT_EQ(old.memory().left, 0u);
}

TEST(Cgroup, TheTightestOfAGroupAndThoseAroundItCounts) {
  Groups g("0::/system.slice/one.service\n");
  g.write("system.slice/cpu.max", "200000 100000\n");
  g.write("system.slice/one.service/cpu.max", "max 100000\n");
  g.write("system.slice/memory.max", "1000\n").write("system.slice/memory.current", "900\n");
  g.write("system.slice/one.service/memory.max", "500\n");
  EXPECT_DOUBLE_EQ(g.cores(), 2);
  EXPECT_EQ(g.memory().most, 1000u);
  EXPECT_EQ(g.memory().left, 100u);
  g.write("system.slice/one.service/cpu.max", "100000 100000\n");
  EXPECT_DOUBLE_EQ(g.cores(), 1);
}

}  // namespace
}  // namespace nacre
