#include "policy/admit.h"

#include <gtest/gtest.h>

#include "policy/test_random.h"

namespace chorok::policy {
namespace {

using model::kUnlimited;
using model::VmRun;

// One host of 10,000 MHz and 10,000 MiB, pools gold > web, a VM that is off in web.
Snapshot cluster() {
  Snapshot s;
  s.offers.resize(1);
  s.curves.resize(1);
  s.requirements.resize(1);
  s.hosts.resize(1);
  s.hosts[0].name = "sol";
  s.hosts[0].capacity = {10000, 10000};
  s.pools.resize(2);
  s.pools[0].name = "gold";
  s.pools[0].cpu.reservation = 4000;
  s.pools[0].memory.reservation = 4000;
  s.pools[1].name = "web";
  s.pools[1].parent = 0;
  s.pools[1].cpu.reservation = 1000;
  s.pools[1].memory.reservation = 1000;
  s.vms.resize(1);
  s.vms[0].name = "web1";
  s.vms[0].run = VmRun::kOff;
  s.vms[0].pool = 1;
  s.vms[0].size = {8000, 8000};
  return s;
}
Index add_vm(Snapshot& s, Index pool, double reserved_cpu) {
  model::SnapshotVm vm = s.vms[0];
  vm.name = "other";
  vm.run = VmRun::kOn;
  vm.host = 0;
  vm.pool = pool;
  vm.size = {1000, 10};
  vm.cpu.reservation = reserved_cpu;
  s.vms.push_back(vm);
  return static_cast<Index>(s.vms.size() - 1);
}

TEST(Admit, WithinThePoolsReservation) {
  Snapshot s = cluster();
  s.vms[0].cpu.reservation = 1000;
  Admission a = admit_power_on(s, 0);
  EXPECT_TRUE(a.admitted) << a.text;
  EXPECT_EQ(a.host, 0u);
  EXPECT_EQ(a.text, "power on web1: admitted on sol");

  add_vm(s, 1, 300);
  a = admit_power_on(s, 0);
  ASSERT_FALSE(a.admitted);
  ASSERT_EQ(a.refusals.size(), 1u);
  EXPECT_EQ(a.refusals[0].why, Why::kPoolReservation);
  EXPECT_EQ(a.refusals[0].pool, 1u);
  EXPECT_EQ(a.refusals[0].asked, 1000);
  EXPECT_EQ(a.refusals[0].left, 700);
  EXPECT_EQ(a.text,
            "power on web1: refused, because pool web has 700 MHz of cpu left of the 1000 MHz it "
            "reserves, 1000 MHz are asked for, and its reservation is not expandable");
}

TEST(Admit, ExpandsUpTheTreeAndNamesTheAncestorWhereItEnds) {
  Snapshot s = cluster();
  s.pools[1].cpu.expandable = true;
  s.vms[0].cpu.reservation = 3500;
  EXPECT_TRUE(admit_power_on(s, 0).admitted);  // 1000 of web, 2500 of gold's 3000

  add_vm(s, 0, 1000);
  Admission a = admit_power_on(s, 0);
  ASSERT_EQ(a.refusals.size(), 1u);
  EXPECT_EQ(a.refusals[0].pool, 0u);
  EXPECT_EQ(a.refusals[0].asked, 2500);
  EXPECT_EQ(a.refusals[0].left, 2000);

  s.pools[0].cpu.expandable = true;
  EXPECT_TRUE(admit_power_on(s, 0).admitted);
  s.pools.push_back({.name = "silver"});
  s.pools[2].cpu.reservation = 5800;  // of the cluster's 10,000: gold has 4000, 200 are left
  a = admit_power_on(s, 0);
  ASSERT_FALSE(a.refusals.empty());
  EXPECT_EQ(a.refusals[0].pool, kNone);
  EXPECT_EQ(a.refusals[0].asked, 500);
  EXPECT_EQ(a.refusals[0].left, 200);
}

TEST(Admit, APoolsLimitBoundsItsReservations) {
  Snapshot s = cluster();
  s.pools[1].cpu.expandable = true;
  s.pools[1].cpu.limit = 2000;
  s.vms[0].cpu.reservation = 2500;
  Admission a = admit_power_on(s, 0);
  ASSERT_EQ(a.refusals.size(), 1u);
  EXPECT_TRUE(a.refusals[0].by_limit);
  EXPECT_EQ(a.refusals[0].left, 2000);
}

TEST(Admit, SomeHostMustHaveItToo) {
  Snapshot s = cluster();
  s.pools.clear();
  s.vms[0].pool = kNone;
  s.hosts.push_back(s.hosts[0]);
  for (auto& host : s.hosts) host.capacity = {5000, 10000};
  s.vms[0].cpu.reservation = 6000;  // fits the cluster, but no host
  Admission a = admit_power_on(s, 0);
  ASSERT_EQ(a.refusals.size(), 1u);
  EXPECT_EQ(a.refusals[0].why, Why::kHostReservation);
  EXPECT_EQ(a.refusals[0].left, 5000);
  EXPECT_EQ(a.hosts_refused.size(), 1u);
  EXPECT_EQ(a.text,
            "power on web1: refused, because no host has 6000 MHz of cpu unreserved; the "
            "most is 5000 MHz");

  s.hosts[1].capacity.cpu = 6000;
  s.hosts[1].power = model::HostPower::kStandby;
  a = admit_power_on(s, 0);
  EXPECT_TRUE(a.admitted) << a.text;
  EXPECT_TRUE(a.wake);
  s.hosts[1].keep_off = "no BMC";
  EXPECT_FALSE(admit_power_on(s, 0).admitted);
}

TEST(Admit, WithHaAnyHostMustStillBeAbleToFail) {
  Snapshot s = cluster();
  s.pools.clear();
  s.vms[0].pool = kNone;
  s.vms[0].size.memory = 6000;
  s.hosts.push_back(s.hosts[0]);
  s.hosts[1].name = "luna";
  Index other = add_vm(s, kNone, 0);
  s.vms[other].size.memory = 5000;
  EXPECT_TRUE(admit_power_on(s, 0).admitted);
  s.settings.ha.enabled = true;
  Admission a = admit_power_on(s, 0);
  ASSERT_EQ(a.refusals.size(), 1u);
  EXPECT_EQ(a.refusals[0].why, Why::kHaReserve);
  EXPECT_EQ(a.text,
            "power on web1: refused, because if sol failed, 1 of 1 VM would find no host, other "
            "first (1 host: the host is off, lost, failing or in maintenance; 1 host: the host has "
            "not enough memory left)");
  s.vms[0].size.memory = 5000;
  EXPECT_TRUE(admit_power_on(s, 0).admitted);
  s.vms[0].size.memory = 6000;
  s.settings.ha.failures = 0;
  EXPECT_TRUE(admit_power_on(s, 0).admitted);
}

TEST(Admit, OtherReasonsOfHostsAreCounted) {
  Snapshot s = cluster();
  s.requirements[0].cpu = "Skylake";
  Admission a = admit_power_on(s, 0);
  ASSERT_FALSE(a.admitted);
  ASSERT_EQ(a.hosts_refused.size(), 1u);
  EXPECT_EQ(a.hosts_refused[0].why, Why::kNoCpuModel);
}

TEST(Admit, ChangingAReservationOfAVm) {
  Snapshot s = cluster();
  EXPECT_TRUE(admit_vm_reservation(s, 0, {8000, 8000}).admitted);  // off: nothing is promised
  EXPECT_FALSE(admit_vm_reservation(s, 0, {8001, 0}).admitted);    // more than it has
  s.vms[0].run = VmRun::kOn;
  s.vms[0].host = 0;
  s.vms[0].cpu.reservation = 900;
  Admission a = admit_vm_reservation(s, 0, {1000, 0});
  EXPECT_TRUE(a.admitted) << a.text;
  EXPECT_EQ(a.host, 0u);
  EXPECT_FALSE(admit_vm_reservation(s, 0, {1001, 0}).admitted);
  // It would have to move for it.
  s.pools[1].cpu.expandable = s.pools[0].cpu.expandable = true;
  add_vm(s, kNone, 1000);
  s.hosts[0].capacity.cpu = 2500;
  s.hosts.push_back(s.hosts[0]);
  s.hosts[1].name = "luna";
  s.hosts[1].capacity.cpu = 9000;
  a = admit_vm_reservation(s, 0, {2000, 0});
  EXPECT_TRUE(a.admitted) << a.text;
  EXPECT_EQ(a.host, 1u);
}

TEST(Admit, ChangingAReservationOfAPool) {
  Snapshot s = cluster();
  EXPECT_TRUE(admit_pool_reservation(s, 1, {4000, 1000}).admitted);
  Admission a = admit_pool_reservation(s, 1, {4001, 1000});
  ASSERT_EQ(a.refusals.size(), 1u);
  EXPECT_EQ(a.refusals[0].pool, 0u);
  add_vm(s, 1, 800);
  a = admit_pool_reservation(s, 1, {700, 1000});  // 800 are promised in it
  ASSERT_EQ(a.refusals.size(), 1u);
  EXPECT_EQ(a.refusals[0].asked, 800);
  s.pools[1].cpu.expandable = true;
  EXPECT_TRUE(admit_pool_reservation(s, 1, {700, 1000}).admitted);
  s.pools[1].cpu.limit = 900;
  EXPECT_FALSE(admit_pool_reservation(s, 1, {901, 1000}).admitted);
}

TEST(Admit, MovingBetweenPools) {
  Snapshot s = cluster();
  Index vm = add_vm(s, 1, 1000);
  s.pools.push_back({.name = "test"});
  Admission a = admit_vm_to_pool(s, vm, 2);
  ASSERT_FALSE(a.admitted);
  EXPECT_EQ(a.refusals[0].pool, 2u);
  s.pools[2].cpu.expandable = true;
  EXPECT_TRUE(admit_vm_to_pool(s, vm, 2).admitted);
  EXPECT_TRUE(admit_vm_to_pool(s, vm, kNone).admitted);
  EXPECT_TRUE(admit_vm_to_pool(s, 0, 2).admitted);  // off

  EXPECT_FALSE(admit_pool_to_pool(s, 0, 1).admitted);  // into its own child
  EXPECT_FALSE(admit_pool_to_pool(s, 0, 0).admitted);
  EXPECT_TRUE(admit_pool_to_pool(s, 1, kNone).admitted);
  s.pools[2].cpu.expandable = false;
  EXPECT_FALSE(admit_pool_to_pool(s, 1, 2).admitted);
}

// Whatever is admitted one after the other leaves every pool within its reservation (or its
// ancestors'), its limit, and the cluster within its hosts.
TEST(Admit, WhatIsAdmittedFits) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    Snapshot s = cluster();
    s.hosts[0].capacity = {20000, 20000};
    s.pools.assign(6, {});
    for (Index p = 0; p < 6; ++p) {
      s.pools[p].parent = p == 0 || random.chance(0.3) ? kNone : random.below(p);
      s.pools[p].cpu.expandable = random.chance(0.5);
      if (random.chance(0.3)) s.pools[p].cpu.limit = random.between(1000, 8000);
      const double wish = random.between(0, std::min(4000.0, s.pools[p].cpu.limit));
      if (admit_pool_reservation(s, p, {wish, 0}).admitted) s.pools[p].cpu.reservation = wish;
    }
    s.vms.assign(40, s.vms[0]);
    for (Index v = 0; v < s.vms.size(); ++v) {
      model::SnapshotVm& vm = s.vms[v];
      vm.size = {3000, 100};
      vm.pool = random.chance(0.1) ? kNone : random.below(6);
      vm.cpu.reservation = random.between(0, 1500);
      const Admission a = admit_power_on(s, v);
      ASSERT_EQ(a.admitted, a.refusals.empty());
      if (!a.admitted) continue;
      vm.run = VmRun::kOn;
      vm.host = a.host;
    }
    const Reserved sum = reserved(s);
    ASSERT_LE(sum.cluster.cpu, sum.capacity.cpu + 1e-3);
    for (Index p = 0; p < 6; ++p) {
      const model::Allocation& has = s.pools[p].cpu;
      ASSERT_LE(sum.pools[p].cpu, has.limit + 1e-3);
      if (!has.expandable) ASSERT_LE(sum.pools[p].cpu, has.reservation + 1e-3);
    }
  }
}

}  // namespace
}  // namespace chorok::policy
