#include "adapters/libvirt/host_load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace chorok::adapters::libvirt {
namespace {

class HostLoad : public testing::Test {
 protected:
  HostLoad() : root_(testing::TempDir() + "host_load_" + std::to_string(::getpid())) {}
  ~HostLoad() override { std::filesystem::remove_all(root_); }
  void file(const std::string& path, const std::string& text) {
    const std::filesystem::path whole = root_ + path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }
  std::string root_;
};

TEST_F(HostLoad, OfAMachine) {
  file("/proc/stat", "cpu  100 20 30 9000 500 5 6 0 40 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n");
  file("/proc/meminfo", "MemTotal:  8388608 kB\nMemFree: 1 kB\nMemAvailable: 4194304 kB\n");
  auto sample = read_host_load(HostSlice::kMachine, root_);
  ASSERT_TRUE(sample.cpu_known);
  const auto ticks = ::sysconf(_SC_CLK_TCK);
  EXPECT_EQ(sample.cpu_busy, Duration(161 * (1'000'000'000 / ticks)));  // not idle, not iowait
  EXPECT_EQ(sample.memory_total, Mib{8192});
  EXPECT_EQ(sample.memory_available, Mib{4096});
  EXPECT_GT(sample.uptime, Duration{});
}

TEST_F(HostLoad, OfASliceWithCgroupsOfVersionOne) {
  file("/proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n");
  file("/sys/fs/cgroup/cpuacct/cpuacct.usage", "1234567890\n");
  file("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n");
  file("/sys/fs/cgroup/memory/memory.stat", "cache 9\ntotal_inactive_file 536870912\n");
  auto sample = read_host_load(HostSlice::kCgroup, root_);
  EXPECT_EQ(sample.cpu_busy, Duration(1234567890));
  limit_memory(sample, Mib{3072});
  EXPECT_EQ(sample.memory_total, Mib{3072});
  EXPECT_EQ(sample.memory_available, Mib{3072 - 512});
}

TEST_F(HostLoad, OfASliceWithCgroupsOfVersionTwo) {
  file("/proc/meminfo", "MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n");
  file("/sys/fs/cgroup/cpu.stat", "usage_usec 1500000\nuser_usec 1\n");
  file("/sys/fs/cgroup/memory.current", "1073741824\n");
  file("/sys/fs/cgroup/memory.stat", "anon 1\ninactive_file 1073741824\n");
  auto sample = read_host_load(HostSlice::kCgroup, root_);
  EXPECT_EQ(sample.cpu_busy, std::chrono::milliseconds(1500));
  EXPECT_EQ(sample.memory_available, Mib{8192});
}

TEST_F(HostLoad, WhatCannotBeReadIsUnknown) {
  file("/proc/stat", "intr 5\n");
  auto sample = read_host_load(HostSlice::kMachine, root_);
  EXPECT_FALSE(sample.cpu_known);
  EXPECT_EQ(sample.memory_total, Mib{});
  EXPECT_FALSE(read_host_load(HostSlice::kCgroup, root_).cpu_known);
}

}  // namespace
}  // namespace chorok::adapters::libvirt
