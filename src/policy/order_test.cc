// Plans that can be carried out: each move finds room on its target at the moment it begins, by
// the rules for VMs that run. And VMs that have to be together, which go together or not at all.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "policy/planner.h"
#include "policy/survive.h"
#include "policy/test_cluster.h"
#include "policy/test_random.h"

namespace chorok::policy {
namespace {

using model::Automation;
using model::HostAdmin;

std::vector<Action> migrations(const Plan& plan) {
  std::vector<Action> out;
  std::ranges::copy_if(plan.actions, std::back_inserter(out),
                       [](const Action& a) { return a.kind == ActionKind::kMigrate; });
  return out;
}

// Every action as soon as those it waits for have ended, all of them otherwise at once: what a move
// needs is held from the beginning.
void expect_it_can_be_carried_out(const Snapshot& snapshot, const Plan& plan) {
  WhatIf world(snapshot);
  std::set<std::uint32_t> done;
  for (std::uint32_t i = 0; i < plan.actions.size(); ++i) {
    const Action& action = plan.actions[i];
    for (const std::uint32_t before : action.after) EXPECT_TRUE(done.contains(before));
    if (action.kind == ActionKind::kMigrate || action.kind == ActionKind::kStart) {
      EXPECT_FALSE(world.forbids_arrival(action.vm, action.to))
          << "action " << i + 1 << ": " << action.reason;
      world.move(action.vm, action.to);
    }
    if (action.kind == ActionKind::kPowerOff) EXPECT_EQ(world.load(action.to).vms, 0);
    done.insert(i);
  }
}

// Two hosts, full by memory; the one asks for more CPU than it has, the other for hardly any.
TestCluster two_full_hosts(double gap) {
  TestCluster t;
  t.snapshot.settings.balance.level = 5;
  t.host(10000, 10000);
  t.host(10000, 10000 + gap);
  for (int i = 0; i < 2; ++i) t.vm(0, 6000, 5000, 8);
  for (int i = 0; i < 2; ++i) t.vm(1, 1000, 5000, 8);
  return t;
}

TEST(Order, VmsThatFillTheirHostsDoNotChangePlaces) {
  const TestCluster t = two_full_hosts(0);
  EXPECT_TRUE(plan_balance(t.snapshot).actions.empty());
}

TEST(Order, OneOfThemGoesFirstWhereThereIsAGap) {
  const TestCluster t = two_full_hosts(5000);
  const Plan plan = plan_balance(t.snapshot);
  ASSERT_FALSE(plan.actions.empty());
  expect_it_can_be_carried_out(t.snapshot, plan);
}

TEST(Order, AVmWaitsForTheOneThatMakesRoomForIt) {
  TestCluster t;
  t.host();
  t.host(10000, 3000);
  const Index aside = t.vm(0, 100, 2500);
  t.vm(0, 100, 5000);
  t.snapshot.vms[1].pinned = "stays";
  const Index large = t.vm(kNone, 100, 4000);
  const Plan plan = plan_place(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 2u);
  EXPECT_EQ(plan.actions[0].vm, aside);
  EXPECT_EQ(plan.actions[1].vm, large);
  EXPECT_EQ(plan.actions[1].after, std::vector<std::uint32_t>{0});
}

// Tight memory, uneven load, hosts to be emptied, rules: whatever is planned can be done.
TEST(Order, WhateverIsPlannedCanBeCarriedOut) {
  std::size_t planned = 0;
  std::size_t waits = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    TestCluster t;
    t.snapshot.settings.balance.level = 5;
    t.snapshot.settings.balance.evenness = random.chance(0.5) ? 1 : 0;
    if (random.chance(0.5)) t.snapshot.settings.power.automation = Automation::kFull;
    for (int h = 0; h < 8; ++h) {
      const Index host = t.host(10000, 4096);
      if (random.chance(0.3)) t.snapshot.hosts[host].core_mhz = 2000;
      if (random.chance(0.1)) t.snapshot.hosts[host].admin = HostAdmin::kMaintenance;
    }
    std::vector<double> left(8, 4096);
    for (int v = 0; v < 28; ++v) {
      const Index host = random.below(8);
      const double memory = random.chance(0.5) ? 870 : 1740;
      if (left[host] < memory) continue;
      left[host] -= memory;
      t.vm(host, random.between(50, 3900), memory);
    }
    if (random.chance(0.5))
      t.snapshot.rules.push_back(
          {.name = "apart", .kind = model::RuleKind::kApart, .vms = {0, 1, 2}, .hosts = {}});
    const Plan plan = plan_cluster(t.snapshot);
    planned += plan.actions.size();
    for (const Action& a : migrations(plan)) waits += a.after.empty() ? 0 : 1;
    expect_it_can_be_carried_out(t.snapshot, plan);
  }
  EXPECT_GT(planned, 1000u);
  EXPECT_GT(waits, 10u) << "else nothing was put in order";
}

TestCluster a_pair(int hosts) {
  TestCluster t;
  for (int h = 0; h < hosts; ++h) t.host();
  t.vm(0, 1000, 3000);
  t.vm(0, 1000, 3000);
  t.snapshot.rules.push_back(
      {.name = "pair", .kind = model::RuleKind::kTogether, .vms = {0, 1}, .hosts = {}});
  return t;
}

TEST(Together, AHostIsEmptiedOfAPair) {
  TestCluster t = a_pair(3);
  t.vm(1, 100, 5000);  // one of the pair would fit there
  t.snapshot.hosts[0].admin = HostAdmin::kDraining;
  const Plan plan = plan_balance(t.snapshot);
  EXPECT_TRUE(plan.violations.empty());
  ASSERT_EQ(plan.actions.size(), 2u);
  for (const Action& action : plan.actions) {
    EXPECT_EQ(action.to, 2u);
    EXPECT_EQ(action.why, Why::kMaintenance);
  }
}

TEST(Together, NoneOfAPairLeavesWhereTheOtherHasToStay) {
  TestCluster t = a_pair(2);
  t.snapshot.vms[1].pinned = "a PCI device of the host";
  t.snapshot.hosts[0].admin = HostAdmin::kDraining;
  const Plan plan = plan_balance(t.snapshot);
  EXPECT_TRUE(plan.actions.empty());
  EXPECT_EQ(plan.violations.size(), 2u);
}

TEST(Together, APairIsGatheredInAndSwitchedOffBehind) {
  TestCluster t = a_pair(2);
  t.snapshot.settings.power.automation = Automation::kFull;
  t.vm(1, 1000, 1000);
  t.snapshot.hosts[1].keep_on = "a person wants it";
  const Plan plan = plan_power(t.snapshot);
  EXPECT_EQ(migrations(plan).size(), 2u);
  ASSERT_FALSE(plan.actions.empty());
  EXPECT_EQ(plan.actions.back().kind, ActionKind::kPowerOff);
}

TEST(Together, ThreeThatStandApartAreJoined) {
  TestCluster t = a_pair(3);
  t.snapshot.vms[1].host = 1;
  t.snapshot.rules[0].vms.push_back(t.vm(2, 1000, 3000));
  const Plan plan = plan_balance(t.snapshot);
  EXPECT_TRUE(plan.violations.empty());
  EXPECT_EQ(migrations(plan).size(), 2u);
}

TEST(Repair, OneThatHasToStayDoesNotKeepTheOthers) {
  TestCluster t;
  t.host();
  t.host();
  t.vm(0, 4000, 500);  // the least to copy, and bound to its host
  t.vm(0, 4000, 3000);
  t.vm(0, 4000, 3000);
  t.snapshot.rules.push_back(
      {.name = "stay", .kind = model::RuleKind::kHostsOnly, .vms = {0}, .hosts = {0}});
  Plan plan = plan_balance(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 1u);
  EXPECT_NE(plan.actions[0].vm, 0u);
  EXPECT_TRUE(plan.violations.empty());
  // The same of reservations.
  for (model::SnapshotVm& vm : t.snapshot.vms) {
    vm.cpu_demand = {};
    vm.cpu.reservation = vm.name == "vm1" ? 6000 : 3000;
    vm.size.cpu = 6000;
  }
  plan = plan_balance(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 1u);
  EXPECT_NE(plan.actions[0].vm, 0u);
  EXPECT_TRUE(plan.violations.empty());
}

TEST(Repair, ARuleThatCannotBeKeptIsNamedAndNoOther) {
  TestCluster t;
  t.host();
  t.vm(0, 100);
  t.vm(0, 100);
  t.snapshot.rules.push_back(
      {.name = "kept", .kind = model::RuleKind::kTogether, .vms = {0, 1}, .hosts = {}});
  t.snapshot.rules.push_back(
      {.name = "broken", .kind = model::RuleKind::kHostsNever, .vms = {0}, .hosts = {0}});
  const Plan plan = plan_balance(t.snapshot);
  ASSERT_EQ(plan.violations.size(), 1u);
  EXPECT_EQ(plan.violations[0].text, "rule broken: vm1 can go nowhere else");
}

TEST(Repair, WhatShouldHoldIsMendedWhenThatCostsNothingElse) {
  TestCluster t;
  t.host();
  t.host();
  t.vm(0, 100);
  t.vm(0, 100);
  t.snapshot.rules.push_back({.name = "apart",
                              .kind = model::RuleKind::kApart,
                              .must = false,
                              .vms = {0, 1},
                              .hosts = {}});
  const Plan plan = plan_balance(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 1u);
  EXPECT_EQ(plan.actions[0].why, Why::kRule);
  t.snapshot.hosts[1].admin = HostAdmin::kMaintenance;
  EXPECT_TRUE(plan_balance(t.snapshot).actions.empty());
  EXPECT_TRUE(plan_balance(t.snapshot).violations.empty());
}

// HA: a VM that one host alone may run is lost with it, however many others are on.
TEST(Reserve, WhatNoHostCouldMendKeepsNoHostOn) {
  TestCluster t;
  t.snapshot.settings.power.automation = Automation::kFull;
  t.snapshot.settings.ha.enabled = true;
  for (int h = 0; h < 5; ++h) t.host();
  t.vm(0, 100, 1000);
  t.vm(0, 100, 1000);
  t.snapshot.rules.push_back(
      {.name = "licence", .kind = model::RuleKind::kHostsOnly, .vms = {0}, .hosts = {0}});
  const auto on_after = [&] { return plan_power(t.snapshot).stats.hosts_on_after; };
  EXPECT_EQ(on_after(), 2);
  for (Index h = 1; h < 5; ++h) t.snapshot.hosts[h].power = model::HostPower::kOff;
  EXPECT_EQ(on_after(), 2);
  // A check still says so.
  EXPECT_FALSE(check_failures(t.snapshot, 1).survives());
  EXPECT_FALSE(check_failures(t.snapshot, 1, {.curable_only = true}).survives())
      << "host1 is alone on";
}

// Waking and switching off go by the same demand: the afternoon of a day whose mean is above what
// is expected next must not switch off what it has just woken.
TEST(Power, AHostThatWasWokenForDemandIsNotSpared) {
  TestCluster t;
  t.snapshot.settings.power.automation = Automation::kFull;
  t.snapshot.settings.power.uptime_min = Duration::zero();
  for (int h = 0; h < 3; ++h) t.host();
  t.snapshot.hosts[2].power = model::HostPower::kOff;
  for (int v = 0; v < 20; ++v) {
    model::SnapshotVm& vm = t.snapshot.vms[t.vm(static_cast<Index>(v % 2), 900, 500)];
    vm.cpu_demand.mean = 990;
    vm.cpu_demand.expected = 900;
  }
  const Plan plan = plan_power(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 1u);
  EXPECT_EQ(plan.actions[0].kind, ActionKind::kPowerOn);
  t.snapshot.hosts[2].power = model::HostPower::kOn;
  EXPECT_TRUE(plan_power(t.snapshot).actions.empty());
}

// Memory that may not be sold twice counts by size: VMs that wait wake as many hosts as they need
// at once, not one boot after the other.
TEST(Power, WaitingVmsWakeAllTheHostsTheyNeed) {
  TestCluster t;
  t.snapshot.settings.power.automation = Automation::kFull;
  for (int h = 0; h < 4; ++h) t.host();
  for (Index h = 1; h < 4; ++h) t.snapshot.hosts[h].power = model::HostPower::kOff;
  t.vm(0, 100, 9000);
  for (int v = 0; v < 3; ++v) t.vm(kNone, 100, 9000);
  EXPECT_EQ(plan_cluster(t.snapshot).stats.hosts_on_after, 4);
  t.snapshot.settings.power.changes_max = 2;
  EXPECT_EQ(plan_cluster(t.snapshot).stats.hosts_on_after, 3);
  t.snapshot.settings.ha.enabled = true;
  EXPECT_EQ(plan_cluster(t.snapshot).stats.hosts_on_after, 3);
}

// Faster cores are a gain: balance says whether they are looked for, and no rule gives way to them.
TEST(Cores, AreAGainLikeOthers) {
  TestCluster t;
  t.host();
  t.snapshot.hosts[t.host()].core_mhz = 3000;
  t.vm(0, 2000, 1000, 1);
  t.snapshot.vms[0].size.cpu = 3000;
  t.vm(1, 100);
  const auto moves = [&] { return plan_cluster(t.snapshot).actions.size(); };
  EXPECT_EQ(moves(), 1u);
  t.snapshot.settings.balance.level = 1;
  EXPECT_EQ(moves(), 0u);
  t.snapshot.settings.balance.level = 3;
  t.snapshot.settings.balance.automation = Automation::kOff;
  EXPECT_EQ(moves(), 0u);
  t.snapshot.settings.balance.automation = Automation::kFull;
  t.snapshot.rules.push_back({.name = "apart",
                              .kind = model::RuleKind::kApart,
                              .must = false,
                              .vms = {0, 1},
                              .hosts = {}});
  EXPECT_EQ(moves(), 0u);
}

}  // namespace
}  // namespace chorok::policy
