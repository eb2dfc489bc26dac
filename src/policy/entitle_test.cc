#include "policy/entitle.h"

#include <gtest/gtest.h>

#include <ctime>  // tidy: allow

#include "policy/test_random.h"

namespace chorok::policy {
namespace {

using model::HostAdmin;
using model::HostPower;
using model::VmRun;

Snapshot cluster(std::size_t vms) {
  Snapshot s;
  s.offers.resize(1);
  s.curves.resize(1);
  s.requirements.resize(1);
  s.hosts.resize(1);
  s.hosts[0].capacity = {10000, 8192};
  s.vms.resize(vms);
  for (auto& vm : s.vms) {
    vm.host = 0;
    vm.vcpus = 2;
    vm.size = {6000, 4096};
    vm.cpu_demand.now = 6000;
    vm.memory_demand.now = 1024;
  }
  return s;
}

TEST(Entitle, ByPresetAndDemand) {
  Snapshot s = cluster(2);
  Entitlement e = entitle(s);
  EXPECT_EQ(e.vms[0].cpu, 5000);
  EXPECT_EQ(e.wanted.cpu, 12000);
  EXPECT_EQ(e.given.cpu, 10000);
  s.vms[0].cpu.shares = vm_shares(ShareLevel::kHigh, Resource::kCpu, s.vms[0]);
  s.vms[1].cpu.shares = vm_shares(ShareLevel::kLow, Resource::kCpu, s.vms[1]);
  EXPECT_EQ(s.vms[0].cpu.shares, 4000);
  EXPECT_EQ(s.vms[1].cpu.shares, 1000);
  e = entitle(s);
  EXPECT_EQ(e.vms[0].cpu, 6000);  // 8000 by its shares, but it wants no more
  EXPECT_EQ(e.vms[1].cpu, 4000);
}

TEST(Entitle, IdleMemoryCountsForAQuarter) {
  Snapshot s = cluster(1);
  s.vms[0].overhead = 100;
  s.vms[0].consumed = 2148;
  EXPECT_EQ(demand_of(s.vms[0], Resource::kMemory, {}), 100 + 1024 + 256);
  EXPECT_EQ(demand_of(s.vms[0], Resource::kMemory, {.idle_memory = 0}), 100 + 1024);
  // What is left over is the VM's up to its size and overhead.
  EXPECT_EQ(entitle(s).vms[0].memory, 4196);
}

TEST(Entitle, OverheadIsKeptWhenMemoryIsShort) {
  Snapshot s = cluster(4);
  s.vms[3].overhead = 500;
  s.vms[3].memory.shares = 1e-3;
  const Entitlement e = entitle(s, {0, 3000});
  EXPECT_GE(e.vms[3].memory, 500);
}

TEST(Entitle, OnlyWhatRunsOnHostsThatServe) {
  Snapshot s = cluster(3);
  s.vms[1].run = VmRun::kOff;
  s.vms[1].host = kNone;
  s.vms[2].run = VmRun::kWaiting;
  s.vms[2].host = kNone;
  EXPECT_EQ(entitle(s).vms[1], Amounts{});
  EXPECT_EQ(entitle(s).vms[2], Amounts{});
  s.operations.push_back({.kind = model::SnapshotOperation::Kind::kStart, .vm = 2, .to = 0});
  EXPECT_EQ(entitle(s).vms[2].cpu, 5000);
  s.hosts[0].admin = HostAdmin::kDraining;
  EXPECT_EQ(capacity_for_vms(s).cpu, 10000);
  s.hosts[0].power = HostPower::kOff;
  EXPECT_EQ(capacity_for_vms(s), Amounts{});
  EXPECT_EQ(entitle(s).vms[0], Amounts{});
}

TEST(Entitle, PoolsHoldTheirVms) {
  Snapshot s = cluster(3);
  s.pools.resize(2);
  s.pools[1].parent = 0;
  s.pools[0].cpu.limit = 3000;
  s.vms[0].pool = 0;
  s.vms[1].pool = 1;
  const Entitlement e = entitle(s);
  EXPECT_EQ(e.pools[0].cpu, 3000);
  EXPECT_NEAR(e.vms[0].cpu + e.pools[1].cpu, 3000, 1e-9);
  EXPECT_EQ(e.pools[1].cpu, e.vms[1].cpu);
  EXPECT_EQ(e.vms[2].cpu, 6000);
}

TEST(Entitle, AnEmptyClusterIsFine) {
  EXPECT_TRUE(entitle(Snapshot{}).vms.empty());
  Snapshot s = cluster(0);
  s.pools.resize(1);
  s.pools[0].scalable_shares = true;
  EXPECT_EQ(entitle(s).pools[0], Amounts{});
}

Snapshot random_cluster(std::size_t vms, std::size_t pools) {
  TestRandom random(7);
  Snapshot s = cluster(vms);
  s.hosts[0].capacity = Amounts{1500, 1200} * static_cast<double>(vms);
  s.pools.resize(pools);
  for (std::size_t p = 1; p < pools; ++p)
    s.pools[p].parent = random.chance(0.2) ? kNone : random.below(p);
  for (auto& vm : s.vms) {
    if (pools > 0) vm.pool = random.below(pools);
    vm.vcpus = 1 + static_cast<int>(random.below(8));
    vm.cpu_demand.now = random.between(0, 4000);
    vm.memory_demand.now = random.between(0, 4096);
    vm.cpu.reservation = random.chance(0.2) ? random.between(0, 500) : 0;
    vm.cpu.shares = random.between(100, 8000);
  }
  return s;
}

// The issue asks for O(n log n): 100,000 VMs, flat and in a tree, far below a balance period.
TEST(Entitle, AHundredThousandVmsAreQuick) {
  for (std::size_t pools : {std::size_t{0}, std::size_t{1000}}) {
    const Snapshot s = random_cluster(100000, pools);
    double best = 1e9;
    for (int i = 0; i < 5; ++i) {
      const std::clock_t start = std::clock();  // of this process: the machine may be busy
      const Entitlement e = entitle(s);
      const double took = 1e3 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
      EXPECT_NEAR(e.given.cpu, 1500e5, 1);
      best = std::min(best, took);
    }
    RecordProperty(pools == 0 ? "flat_ms" : "tree_ms", std::to_string(best));
    std::printf("100,000 VMs in %zu pools: %.1f ms\n", pools, best);
    EXPECT_LT(best, 500) << "a generous bound: the build may be sanitized";
  }
}

}  // namespace
}  // namespace chorok::policy
