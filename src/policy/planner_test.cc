#include "policy/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "policy/round.h"
#include "policy/test_cluster.h"

namespace chorok::policy {
namespace {

using model::Automation;
using model::HostAdmin;
using model::HostPower;

std::vector<Action> of_kind(const Plan& plan, ActionKind kind) {
  std::vector<Action> out;
  std::ranges::copy_if(plan.actions, std::back_inserter(out),
                       [&](const Action& action) { return action.kind == kind; });
  return out;
}

// What the cluster is like once the plan has been carried out.
void carry_out(Snapshot& snapshot, const Plan& plan) {
  for (const Action& action : plan.actions) {
    switch (action.kind) {
      case ActionKind::kMigrate:
        snapshot.vms[action.vm].moved_from = snapshot.vms[action.vm].host;
        snapshot.vms[action.vm].last_moved = snapshot.now;
        snapshot.vms[action.vm].cpu_when_moved = snapshot.vms[action.vm].cpu_demand.now;
        [[fallthrough]];
      case ActionKind::kStart:
        snapshot.vms[action.vm].host = action.to;
        snapshot.vms[action.vm].run = model::VmRun::kOn;
        break;
      case ActionKind::kPowerOn:
        snapshot.hosts[action.to].power = HostPower::kOn;
        snapshot.hosts[action.to].power_since = snapshot.now;
        break;
      case ActionKind::kPowerOff:
        snapshot.hosts[action.to].power = HostPower::kOff;
        snapshot.hosts[action.to].power_since = snapshot.now;
        break;
    }
  }
}

TEST(Planner, NothingToDoSaysWhy) {
  TestCluster cluster;
  cluster.vm(cluster.host(), 1000);
  cluster.host();
  const Plan plan = plan_cluster(cluster.snapshot);
  EXPECT_TRUE(plan.actions.empty());
  EXPECT_FALSE(plan.nothing.empty());
}

TEST(Planner, HostsThatAreToRunAlwaysAreSwitchedOn) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  cluster.vm(cluster.host(), 1000);
  for (int i = 0; i < 3; ++i) cluster.snapshot.hosts[cluster.host()].power = HostPower::kOff;
  EXPECT_TRUE(of_kind(plan_cluster(cluster.snapshot), ActionKind::kPowerOn).empty());
  cluster.snapshot.settings.power.hosts_on_min = 3;
  EXPECT_EQ(of_kind(plan_cluster(cluster.snapshot), ActionKind::kPowerOn).size(), 2U);
}

TEST(Planner, AnOverloadedHostGivesUpTheVmThatMendsItWithLeastToCopy) {
  TestCluster cluster;
  const Index full = cluster.host();
  const Index idle = cluster.host();
  cluster.vm(full, 4000, 4000);
  cluster.vm(full, 4000, 3000);
  const Index small = cluster.vm(full, 3500, 500);
  const Plan plan = plan_balance(cluster.snapshot);
  ASSERT_EQ(plan.actions.size(), 1);
  EXPECT_EQ(plan.actions[0].vm, small);
  EXPECT_EQ(plan.actions[0].to, idle);
  EXPECT_EQ(plan.actions[0].why, Why::kOverload);
}

// 128 % of the CPU and of the memory on one host of five, the others half full: CloudSim's THR
// moved sixteen VMs in such a case.
TEST(Planner, OverloadIsMendedWithAsFewMovesAsItTakes) {
  TestCluster cluster;
  cluster.snapshot.settings.power.memory_overcommit = 1.5;
  const Index full = cluster.host();
  for (int i = 0; i < 16; ++i) cluster.vm(full, 800, 800);
  for (model::SnapshotVm& vm : cluster.snapshot.vms) {
    vm.memory_demand.now = 800;
    vm.memory_demand.expected = 800;
  }
  for (int h = 0; h < 4; ++h) cluster.vm(cluster.host(), 4000, 4000);
  const Plan plan = plan_balance(cluster.snapshot);
  EXPECT_EQ(of_kind(plan, ActionKind::kMigrate).size(), 4);  // 2,800 of 12,800 too many, 800 each
  EXPECT_TRUE(plan.violations.empty());
}

TEST(Planner, MaintenanceEmptiesTheHost) {
  TestCluster cluster;
  const Index leaving = cluster.host();
  cluster.host();
  for (int i = 0; i < 5; ++i) cluster.vm(leaving, 500);
  cluster.snapshot.hosts[leaving].admin = HostAdmin::kDraining;
  const Plan plan = plan_balance(cluster.snapshot);
  ASSERT_EQ(plan.actions.size(), 5);
  for (const Action& action : plan.actions) EXPECT_EQ(action.why, Why::kMaintenance);
}

TEST(Planner, WhatCannotLeaveIsAViolation) {
  TestCluster cluster;
  const Index leaving = cluster.host();
  cluster.host();
  const Index pinned = cluster.vm(leaving, 500);
  cluster.snapshot.vms[pinned].pinned = "a PCI device of the host";
  const Index large = cluster.vm(leaving, 500, 12000);
  cluster.snapshot.hosts[leaving].admin = HostAdmin::kMaintenance;
  const Plan plan = plan_balance(cluster.snapshot);
  EXPECT_TRUE(plan.actions.empty());
  ASSERT_EQ(plan.violations.size(), 2);
  EXPECT_TRUE(std::ranges::any_of(plan.violations, [&](auto& v) { return v.vm == pinned; }));
  EXPECT_TRUE(std::ranges::any_of(plan.violations, [&](auto& v) { return v.vm == large; }));
}

TEST(Planner, ABrokenRuleIsMendedAndNoneIsBroken) {
  TestCluster cluster;
  const Index first = cluster.host();
  const Index second = cluster.host();
  const Index third = cluster.host();
  const Index a = cluster.vm(first, 500);
  const Index b = cluster.vm(first, 500);
  cluster.snapshot.rules.push_back(
      {.name = "apart", .kind = model::RuleKind::kApart, .vms = {a, b}, .hosts = {}});
  cluster.snapshot.rules.push_back(
      {.name = "never", .kind = model::RuleKind::kHostsNever, .vms = {a, b}, .hosts = {second}});
  const Plan plan = plan_balance(cluster.snapshot);
  ASSERT_EQ(plan.actions.size(), 1);
  EXPECT_EQ(plan.actions[0].to, third);
  EXPECT_EQ(plan.actions[0].why, Why::kRule);
}

TEST(Planner, AHostThatCanBeSparedIsEmptiedAndSwitchedOff) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  for (int h = 0; h < 3; ++h) cluster.vm(cluster.host(), 2000);
  const Plan plan = plan_power(cluster.snapshot);
  EXPECT_EQ(of_kind(plan, ActionKind::kMigrate).size(), 2);
  const auto off = of_kind(plan, ActionKind::kPowerOff);
  ASSERT_EQ(off.size(), 2);
  for (const Action& action : off) {
    EXPECT_EQ(action.after.size(), 1);  // not before its VM has left
    EXPECT_GT(action.gain, action.cost);
  }
  carry_out(cluster.snapshot, plan);
  EXPECT_TRUE(plan_power(cluster.snapshot).actions.empty());
}

TEST(Planner, WhatAHostDrawsItsPowerForIsSaid) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  const auto reason = [&] {
    const auto off = of_kind(plan_power(cluster.snapshot), ActionKind::kPowerOff);
    return off.size() == 1 ? off[0].reason : std::string();
  };
  for (int h = 0; h < 2; ++h) cluster.host();
  cluster.snapshot.hosts[0].keep_on = "it stays";
  cluster.vm(0, 2000);
  EXPECT_THAT(reason(), testing::HasSubstr("W for nothing; off for"));
  cluster.vm(1, 1000);
  EXPECT_THAT(reason(), testing::HasSubstr("W for 1 VM that fits elsewhere; off for"));
  cluster.vm(1, 1000);
  EXPECT_THAT(reason(), testing::HasSubstr("W for 2 VMs that fit elsewhere; off for"));
}

TEST(Planner, AHostThatMayNotSleepStaysAndSaysSo) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  for (int h = 0; h < 2; ++h) cluster.host();
  cluster.vm(0, 1000);
  cluster.snapshot.hosts[1].keep_on = "its wake test has not passed";
  const Plan plan = plan_power(cluster.snapshot);
  ASSERT_EQ(of_kind(plan, ActionKind::kPowerOff).size(), 1);
  EXPECT_EQ(of_kind(plan, ActionKind::kPowerOff)[0].to, 0);
  EXPECT_TRUE(std::ranges::any_of(plan.turned_down,
                                  [](const TurnedDown& t) { return t.why == Why::kKeepOn; }));
}

TEST(Planner, DemandAheadWakesAHost) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  const Index up = cluster.host();
  const Index down = cluster.host();
  cluster.snapshot.hosts[down].power = HostPower::kStandby;
  for (int i = 0; i < 4; ++i) {
    const Index vm = cluster.vm(up, 2300);
    cluster.snapshot.vms[vm].cpu_demand.expected = 2600;  // 10,400 of 10,000 MHz soon
  }
  const Plan plan = plan_power(cluster.snapshot);
  ASSERT_EQ(plan.actions.size(), 1);
  EXPECT_EQ(plan.actions[0].kind, ActionKind::kPowerOn);
  EXPECT_EQ(plan.actions[0].to, down);
  // On its way it is counted: another is not woken, and nothing moves there yet.
  cluster.snapshot.hosts[down].power = HostPower::kWaking;
  EXPECT_TRUE(plan_power(cluster.snapshot).actions.empty());
}

// It was switched on again each round until it was there.
TEST(Planner, AHostOnItsWayIsNotSwitchedOnAgain) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  const Index full = cluster.host();
  cluster.snapshot.hosts[cluster.host()].power = HostPower::kWaking;
  for (int i = 0; i < 4; ++i) cluster.vm(full, 3000);
  for (const Plan& plan : {plan_balance(cluster.snapshot), plan_cluster(cluster.snapshot)}) {
    EXPECT_TRUE(of_kind(plan, ActionKind::kPowerOn).empty());
    EXPECT_FALSE(plan.violations.empty());
  }
}

// VMs that were just gathered there, or still are, would travel on.
TEST(Planner, AHostThatVmsAreOnTheirWayToIsNotEmptied) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  const Index gathers = cluster.host();
  const Index half_empty = cluster.host();
  cluster.vm(gathers, 300);
  const Index leaves = cluster.vm(half_empty, 300);
  cluster.snapshot.operations.push_back({.vm = leaves, .from = half_empty, .to = gathers});
  const Plan plan = plan_cluster(cluster.snapshot);
  EXPECT_TRUE(of_kind(plan, ActionKind::kMigrate).empty());
  cluster.snapshot.operations.clear();
  EXPECT_FALSE(of_kind(plan_cluster(cluster.snapshot), ActionKind::kMigrate).empty());
}

TEST(Planner, TheHostThatAVmCameFromMayBeGone) {
  TestCluster cluster;
  const Index full = cluster.host();
  cluster.host();
  for (int i = 0; i < 2; ++i) {
    model::SnapshotVm& vm = cluster.snapshot.vms[cluster.vm(full, 8000, 1000, 8)];
    vm.last_moved = cluster.snapshot.now - std::chrono::minutes(20);
  }
  EXPECT_EQ(of_kind(plan_cluster(cluster.snapshot), ActionKind::kMigrate).size(), 1U);
}

// Those on three of four hosts are behind, as after migrations under load: they ask for all that
// they can use, and will ask for two fifths of that when they have caught up.
TEST(Planner, WhatVmsAskForWhileTheyCatchUpMovesNothing) {
  TestCluster cluster;
  Snapshot& snapshot = cluster.snapshot;
  snapshot.settings.power.automation = model::Automation::kOff;
  const auto add = [&](Index host, double now) {
    model::SnapshotVm& vm = snapshot.vms[cluster.vm(host, 3200, 400, 8)];
    vm.cpu_demand.now = now;
  };
  for (int h = 0; h < 4; ++h) {
    const Index host = cluster.host();
    snapshot.hosts[host].migration_bandwidth = 40;
    add(host, h == 0 ? 3200 : 8000);
    if (h > 0) add(host, 8000);
  }
  const auto moves = [&] { return of_kind(plan_cluster(snapshot), ActionKind::kMigrate).size(); };
  const auto moved_ago = [&](Duration time) {
    for (model::SnapshotVm& vm : snapshot.vms) vm.last_moved = snapshot.now - time;
  };
  EXPECT_GT(moves(), 0U) << "nothing says that it will not last";
  moved_ago(std::chrono::seconds(90));
  EXPECT_EQ(moves(), 0U) << "ten times the ten seconds of the copy have not gone by";
  moved_ago(std::chrono::seconds(110));
  EXPECT_GT(moves(), 0U) << "it has lasted";
  snapshot.operations.push_back(
      {.kind = model::SnapshotOperation::Kind::kMigrate, .vm = 0, .from = 0, .to = 1});
  const Round round(snapshot);
  EXPECT_TRUE(round.is_settling(0) && round.is_settling(1));
  EXPECT_FALSE(round.is_settling(2));
}

// What they will ask for when they have caught up leaves room; what they ask for now does not.
TEST(Planner, AHostWhoseVmsCatchUpIsNotGivenMoreThanItHasNow) {
  TestCluster cluster;
  Snapshot& snapshot = cluster.snapshot;
  snapshot.settings.power.automation = model::Automation::kOff;
  const Index full = cluster.host();
  const Index other = cluster.host();
  for (const Index host : {full, other}) snapshot.hosts[host].migration_bandwidth = 40;
  for (int i = 0; i < 4; ++i) cluster.vm(full, 4000, 400, 8);
  model::SnapshotVm& moved = snapshot.vms[cluster.vm(other, 1000, 400, 8)];
  moved.last_moved = snapshot.now - std::chrono::seconds(20);
  const auto moves = [&] { return of_kind(plan_cluster(snapshot), ActionKind::kMigrate).size(); };
  moved.cpu_demand.now = 8000;
  EXPECT_EQ(moves(), 0U);
  moved.cpu_demand.now = 1000;
  EXPECT_GT(moves(), 0U);
}

TEST(Planner, DisksThatMovedLeaveNothingToCatchUpWith) {
  TestCluster cluster;
  Snapshot& snapshot = cluster.snapshot;
  const Index host = cluster.host();
  const Index from = cluster.host();
  for (model::SnapshotHost& each : snapshot.hosts) each.migration_bandwidth = 40;
  model::SnapshotVm& vm = snapshot.vms[cluster.vm(host, 1000)];
  vm.last_moved = snapshot.now - std::chrono::seconds(20);
  vm.moved_from = from;
  EXPECT_TRUE(Round(snapshot).is_settling(host));
  vm.moved_from = host;
  EXPECT_FALSE(Round(snapshot).is_settling(host));
}

TEST(Planner, ACopyTakesAsLongAsTheLimitOfOneMigrationSays) {
  TestCluster cluster;
  Snapshot& snapshot = cluster.snapshot;
  const Index from = cluster.host();
  const Index to = cluster.host();
  const Index vm = cluster.vm(from, 1000, 800);
  for (const Index host : {from, to}) snapshot.hosts[host].migration_bandwidth = 80;
  const double alone = Round(snapshot).copy_seconds(vm, to);
  snapshot.hosts[from].migration_bandwidth_each = 40;
  EXPECT_DOUBLE_EQ(Round(snapshot).copy_seconds(vm, to), 2 * alone);
  snapshot.hosts[from].migration_bandwidth_each = 200;  // more than there is
  EXPECT_DOUBLE_EQ(Round(snapshot).copy_seconds(vm, to), alone);
}

// Of a VM that idles, three times as much is still nothing.
TEST(Planner, AnIdlingVmDoesNotMoveBackForAnyFactor) {
  TestCluster cluster;
  const Index from = cluster.host();
  const Index here = cluster.host();
  const Index vm = cluster.vm(here, 30);
  model::SnapshotVm& it = cluster.snapshot.vms[vm];
  cluster.snapshot.now = Time(std::chrono::hours(1));
  it.last_moved = cluster.snapshot.now - std::chrono::minutes(1);
  it.moved_from = from;
  it.cpu_when_moved = 10;
  EXPECT_TRUE(Round(cluster.snapshot).would_return(vm, from));
  it.cpu_when_moved = 10 + it.size.cpu / 10;
  EXPECT_FALSE(Round(cluster.snapshot).would_return(vm, from));
}

TEST(Planner, WherePowerIsAPersonsMatterNoHostIsSwitchedOn) {
  TestCluster cluster;
  const Index full = cluster.host();
  cluster.snapshot.hosts[cluster.host()].power = HostPower::kStandby;
  for (int i = 0; i < 4; ++i) cluster.vm(full, 3000);
  cluster.vm(kNone, 3000, 9000);
  const Plan plan = plan_cluster(cluster.snapshot);
  EXPECT_TRUE(of_kind(plan, ActionKind::kPowerOn).empty());
  EXPECT_FALSE(plan.violations.empty());
}

TEST(Planner, AHostThatCannotWakeIsNotCountedOn) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  const Index up = cluster.host();
  const Index stuck = cluster.host();
  const Index good = cluster.host();
  for (const Index h : {stuck, good}) cluster.snapshot.hosts[h].power = HostPower::kOff;
  cluster.snapshot.hosts[stuck].keep_off = "its BMC does not answer";
  for (int i = 0; i < 4; ++i) cluster.vm(up, 2600);
  const Plan plan = plan_power(cluster.snapshot);
  const auto on = of_kind(plan, ActionKind::kPowerOn);
  ASSERT_EQ(on.size(), 1);
  EXPECT_EQ(on[0].to, good);
}

TEST(Planner, MemoryIsNeverPackedBeyondWhatItsUseAllows) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  cluster.snapshot.settings.power.memory_overcommit = 1.5;
  for (int h = 0; h < 2; ++h) {
    const Index host = cluster.host();
    for (int i = 0; i < 6; ++i) {
      const Index vm = cluster.vm(host, 100, 1000);
      cluster.snapshot.vms[vm].memory_demand.now = 950;  // they use what they have
    }
  }
  EXPECT_TRUE(of_kind(plan_power(cluster.snapshot), ActionKind::kMigrate).empty());
  for (model::SnapshotVm& vm : cluster.snapshot.vms) {
    vm.memory_demand.now = 500;
    vm.memory_demand.expected = 500;
  }
  EXPECT_EQ(of_kind(plan_power(cluster.snapshot), ActionKind::kPowerOff).size(), 1);
}

TEST(Planner, ABatchIsPlacedTogetherWhereOneByOneWouldDeadEnd) {
  TestCluster cluster;
  const Index left = cluster.host();
  const Index right = cluster.host();
  (void)left;
  // 6 + 3 + 3 and 4 + 4: largest first puts 6 with 4, and then 3, 3 have 6 but 4 has nowhere.
  for (const double memory : {6000.0, 4000.0, 4000.0, 3000.0, 3000.0}) {
    cluster.vm(kNone, 100, memory);
  }
  const Plan plan = plan_place(cluster.snapshot);
  EXPECT_EQ(of_kind(plan, ActionKind::kStart).size(), 5) << plan.violations.size();
  EXPECT_TRUE(plan.violations.empty());
  (void)right;
}

TEST(Planner, AVmThatUsesAllOfItsVcpusFindsAPlace) {
  TestCluster cluster;
  cluster.host();
  cluster.vm(kNone, 980, 1000, 1);  // of a core of 1,000 MHz
  EXPECT_EQ(of_kind(plan_place(cluster.snapshot), ActionKind::kStart).size(), 1);
}

TEST(Planner, WhatFitsNowhereIsToldAndTheRestStarts) {
  TestCluster cluster;
  cluster.host();
  const Index giant = cluster.vm(kNone, 100, 20000);
  cluster.vm(kNone, 100, 1000);
  const Plan plan = plan_place(cluster.snapshot);
  EXPECT_EQ(of_kind(plan, ActionKind::kStart).size(), 1);
  ASSERT_EQ(plan.violations.size(), 1);
  EXPECT_EQ(plan.violations[0].vm, giant);
}

TEST(Planner, BalanceMovesForWhatVmsDoNotGetAndNotForEvenNumbers) {
  TestCluster cluster;
  const Index busy = cluster.host();
  cluster.host();
  for (int i = 0; i < 6; ++i)
    cluster.vm(busy, 1000);  // 60 % here, 0 % there: nobody lacks anything
  EXPECT_TRUE(plan_balance(cluster.snapshot).actions.empty());
  for (model::SnapshotVm& vm : cluster.snapshot.vms) {
    vm.cpu_demand.mean = 1600;
    vm.cpu_demand.deviation = 600;  // 96 % on average, more at times
  }
  const Plan plan = plan_balance(cluster.snapshot);
  EXPECT_FALSE(plan.actions.empty());
  for (const Action& action : plan.actions) EXPECT_EQ(action.why, Why::kBalance);
  carry_out(cluster.snapshot, plan);
  EXPECT_TRUE(plan_balance(cluster.snapshot).actions.empty());
}

TEST(Planner, AVmThatAsksForMoreThanACoreGoesWhereCoresAreFaster) {
  TestCluster cluster;
  const Index slow = cluster.host();
  const Index fast = cluster.host(20000);
  cluster.snapshot.hosts[fast].core_mhz = 2000;
  const Index hot = cluster.vm(slow, 1700, 5000, 1);  // one vCPU; a core here has 1,000 MHz
  cluster.snapshot.vms[hot].size.cpu = 2000;
  cluster.vm(slow, 300, 1000, 1);
  const Plan plan = plan_balance(cluster.snapshot);
  ASSERT_EQ(plan.actions.size(), 1);
  EXPECT_EQ(plan.actions[0].vm, hot);
  EXPECT_EQ(plan.actions[0].to, fast);
  EXPECT_EQ(plan.actions[0].why, Why::kSlowCores);
  carry_out(cluster.snapshot, plan);
  EXPECT_TRUE(plan_balance(cluster.snapshot).actions.empty());
}

TEST(Planner, OnAFullFastHostItChangesPlacesWithOneThatDoesNotNeedIt) {
  TestCluster cluster;
  const Index slow = cluster.host(10000, 15000);
  const Index fast = cluster.host(20000);
  cluster.snapshot.hosts[fast].core_mhz = 2000;
  const Index hot = cluster.vm(slow, 1700, 5000, 1);
  cluster.snapshot.vms[hot].size.cpu = 2000;
  cluster.vm(slow, 300, 4000, 1);
  const Index calm = cluster.vm(fast, 200, 5000, 1);
  const Index also_hot = cluster.vm(fast, 1600, 5000, 1);
  cluster.snapshot.vms[also_hot].size.cpu = 2000;
  const Plan plan = plan_balance(cluster.snapshot);
  ASSERT_EQ(plan.actions.size(), 2);
  for (const Action& action : plan.actions) {
    EXPECT_TRUE((action.vm == hot && action.to == fast) ||
                (action.vm == calm && action.to == slow));
  }
  EXPECT_EQ(plan.actions[0].vm, calm);
  EXPECT_EQ(plan.actions[1].after, std::vector<std::uint32_t>{0});
  // Where neither fits beside the other they would wait for each other.
  cluster.snapshot.hosts[slow].capacity.memory = 10000;
  EXPECT_TRUE(plan_balance(cluster.snapshot).actions.empty());
}

TEST(Planner, TheReserveForAFailedHostStaysOn) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  for (int h = 0; h < 4; ++h) cluster.vm(cluster.host(), 500, 3000);
  EXPECT_EQ(of_kind(plan_power(cluster.snapshot), ActionKind::kPowerOff).size(), 2);
  cluster.snapshot.settings.ha.enabled = true;  // 12,000 MiB must be left when one fails
  const Plan plan = plan_power(cluster.snapshot);
  EXPECT_EQ(of_kind(plan, ActionKind::kPowerOff).size(), 1);
  EXPECT_TRUE(std::ranges::any_of(plan.turned_down,
                                  [](const TurnedDown& t) { return t.why == Why::kHaReserve; }));
}

TEST(Planner, AMissingReserveWakesOneHostAndNotTwo) {
  TestCluster cluster;
  cluster.snapshot.settings.power.automation = Automation::kFull;
  cluster.snapshot.settings.ha.enabled = true;
  for (int h = 0; h < 2; ++h) cluster.vm(cluster.host(), 500, 6000);
  for (int h = 0; h < 2; ++h) {
    cluster.snapshot.hosts[cluster.host()].power = HostPower::kStandby;
  }
  const Plan plan = plan_power(cluster.snapshot);
  const auto on = of_kind(plan, ActionKind::kPowerOn);
  ASSERT_EQ(on.size(), 1);
  EXPECT_EQ(on[0].why, Why::kWakeReserve);
  cluster.snapshot.hosts[on[0].to].power = HostPower::kWaking;
  EXPECT_TRUE(plan_power(cluster.snapshot).actions.empty());
}

// Random walks of load: no VM goes back to where it came from within the window, unless its load
// changed by the factor; and the same snapshot gives the same plan.
TEST(Planner, APlanIsNotUndoneByTheNext) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    std::mt19937 random(seed);
    TestCluster cluster;
    cluster.snapshot.settings.power.automation = Automation::kFull;
    for (int h = 0; h < 12; ++h) cluster.host();
    std::uniform_real_distribution<double> uniform(0, 1);
    for (int v = 0; v < 60; ++v) {
      cluster.vm(static_cast<Index>(v % 12), 2000 * uniform(random), 800);
    }
    ClusterForecast forecast;
    for (int tick = 0; tick < 60; ++tick) {
      Snapshot& snapshot = cluster.snapshot;
      snapshot.now += std::chrono::minutes(5);
      for (model::SnapshotVm& vm : snapshot.vms) {
        vm.cpu_demand.now =
            std::clamp(vm.cpu_demand.now + 300 * (uniform(random) - 0.5), 0.0, 3000.0);
      }
      forecast.observe(snapshot);
      const Plan plan = plan_cluster(snapshot);
      const Plan again = plan_cluster(snapshot);
      ASSERT_EQ(plan.actions.size(), again.actions.size());
      for (std::size_t i = 0; i < plan.actions.size(); ++i) {
        const Action& action = plan.actions[i];
        ASSERT_EQ(action.reason, again.actions[i].reason);
        if (action.kind != ActionKind::kMigrate) continue;
        const model::SnapshotVm& vm = snapshot.vms[action.vm];
        if (action.to != vm.moved_from || vm.last_moved == Time{}) continue;
        const bool long_ago = snapshot.now - vm.last_moved >= snapshot.settings.balance.stability;
        const double factor = snapshot.settings.balance.changed_load;
        const bool much = std::abs(vm.cpu_demand.now - vm.cpu_when_moved) >= 0.05 * vm.size.cpu;
        const bool changed = much && (vm.cpu_demand.now > vm.cpu_when_moved * factor ||
                                      vm.cpu_demand.now * factor < vm.cpu_when_moved);
        EXPECT_TRUE(long_ago || changed || action.priority == 1)
            << "seed " << seed << " tick " << tick << ": " << action.reason;
      }
      carry_out(snapshot, plan);
      for (Index h = 0; h < snapshot.hosts.size(); ++h) {
        double memory = 0;
        for (const model::SnapshotVm& vm : snapshot.vms) {
          if (vm.host == h) memory += vm.size.memory;
        }
        EXPECT_LE(memory, snapshot.hosts[h].capacity.memory);
        EXPECT_TRUE(memory == 0 || snapshot.hosts[h].power == HostPower::kOn);
      }
    }
  }
}

}  // namespace
}  // namespace chorok::policy
