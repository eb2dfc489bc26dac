#include "policy/obstacle.h"

#include <gtest/gtest.h>

#include "policy/planner.h"
#include "policy/test_cluster.h"

namespace chorok::policy {
namespace {

Violation refused(const TestCluster& t) {
  const Plan plan = plan_place(t.snapshot);
  EXPECT_EQ(plan.violations.size(), 1u);
  return plan.violations.empty() ? Violation{} : plan.violations[0];
}

TEST(Obstacle, MemoryWithTheHostThatComesNearest) {
  TestCluster t;
  for (int h = 0; h < 2; ++h) t.vm(t.host(), 100, 8000 - 1000 * h);
  t.vm(kNone, 100, 4000, 1);
  const Violation v = refused(t);
  EXPECT_EQ(v.why, Why::kNoMemory);
  EXPECT_EQ(v.text,
            "vm3 (1 vCPU, 4000 MiB) fits on no host: 2 hosts: the host has not enough memory left; "
            "it needs 4000 MiB and the most left is 3000 MiB on host2");
}

TEST(Obstacle, MemoryThatIsReservedOrInUse) {
  TestCluster t;
  t.snapshot.settings.power.memory_overcommit = 2;
  const Index there = t.vm(t.host(), 100, 8000);
  t.snapshot.vms[there].memory.reservation = 8000;
  const Index vm = t.vm(kNone, 100, 4000);
  t.snapshot.vms[vm].memory.reservation = 3000;
  EXPECT_NE(
      refused(t).text.find("it reserves 3000 MiB and the most not reserved is 2000 MiB on host1"),
      std::string::npos);
  t.snapshot.vms[there].memory.reservation = 0;
  t.snapshot.vms[there].memory_demand = {8000, 8000, 0, 8000, 8000, 8000};
  t.snapshot.vms[vm].memory.reservation = 0;
  EXPECT_NE(refused(t).text.find("it uses 2000 MiB and the most not in use is 1500 MiB on host1"),
            std::string::npos);
}

TEST(Obstacle, CpuByCoresReservationAndDemand) {
  TestCluster t;
  t.host();
  const Index vm = t.vm(kNone, 100, 1000, 16);
  Violation v = refused(t);
  EXPECT_EQ(v.why, Why::kNoCpu);
  EXPECT_NE(v.text.find("it has 16 vCPUs and no host more than 10 cores"), std::string::npos)
      << v.text;

  t.snapshot.vms[vm].vcpus = 4;
  t.snapshot.vms[t.vm(0, 100)].cpu.reservation = 8000;
  t.snapshot.vms[vm].cpu.reservation = 3000;
  EXPECT_NE(
      refused(t).text.find("it reserves 3000 MHz and the most not reserved is 2000 MHz on host1"),
      std::string::npos);

  t.snapshot.vms[1].cpu.reservation = t.snapshot.vms[vm].cpu.reservation = 0;
  t.snapshot.vms[1].cpu_demand = {9000, 9000, 0, 9000, 9000, 9000};
  t.snapshot.vms[1].size.cpu = 10000;
  t.snapshot.vms[1].pinned = "so that it makes no room";
  t.snapshot.vms[vm].cpu_demand = {2000, 2000, 0, 2000, 2000, 2000};
  EXPECT_NE(refused(t).text.find("it asks for 2000 MHz and the most left is 800 MHz on host1"),
            std::string::npos);
}

TEST(Obstacle, WhatTheVmNeedsIsNamed) {
  TestCluster t;
  t.host();
  t.host();
  t.host();
  t.snapshot.requirements.push_back({.datastores = {"nfs", "ssd"}});
  t.snapshot.requirements.push_back({.networks = {"dmz"}});
  t.snapshot.requirements.push_back({.cpu = "EPYC-Rome"});
  t.snapshot.hosts[2].admin = model::HostAdmin::kMaintenance;
  model::SnapshotVm& vm = t.snapshot.vms[t.vm(kNone, 100)];
  vm.requirement = 1;
  Violation v = refused(t);
  EXPECT_EQ(v.why, Why::kNoDatastore) << "a host that is not ready tells least";
  EXPECT_EQ(v.text,
            "vm1 (4 vCPUs, 1000 MiB) fits on no host: 2 hosts: the host does not reach a datastore "
            "with the VM's disks; 1 host: the host is off, lost, failing or in maintenance; it "
            "needs datastores nfs, ssd");
  vm.requirement = 2;
  EXPECT_NE(refused(t).text.find("; it needs network dmz"), std::string::npos);
  vm.requirement = 3;
  v = refused(t);
  EXPECT_EQ(v.why, Why::kNoCpuModel);
  EXPECT_NE(v.text.find("; it needs CPU EPYC-Rome"), std::string::npos);
  vm.requirement = 0;
  t.snapshot.rules.push_back(
      {.name = "licence", .kind = model::RuleKind::kHostsOnly, .vms = {0}, .hosts = {2}});
  v = refused(t);
  EXPECT_EQ(v.why, Why::kRuleForbids);
  EXPECT_NE(v.text.find("it is named by rule licence"), std::string::npos);
}

TEST(Obstacle, OfAVmThatHasToLeaveItsHost) {
  TestCluster t;
  t.vm(t.host(), 100, 4000);
  t.vm(t.host(), 100, 8000);
  t.snapshot.hosts[0].admin = model::HostAdmin::kMaintenance;
  const Plan plan = plan_balance(t.snapshot);
  ASSERT_EQ(plan.violations.size(), 1u);
  EXPECT_EQ(plan.violations[0].why, Why::kNoMemory);
  EXPECT_EQ(plan.violations[0].text,
            "vm1 has to leave host1 and fits on no other host: 1 host: the host has not enough "
            "memory left; it needs 4000 MiB and the most left is 2000 MiB on host2");
}

}  // namespace
}  // namespace chorok::policy
