// Rounds while moves are under way: what a move is about to mend is not mended again, VMs that are
// to be apart never share a host, and rounds come to rest.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "policy/planner.h"
#include "policy/test_cluster.h"
#include "policy/test_random.h"
#include "policy/whatif.h"

namespace chorok::policy {
namespace {

using model::Automation;
using model::HostAdmin;
using model::RuleKind;
using model::SnapshotOperation;
using std::chrono::minutes;
using std::chrono::seconds;

// Two hosts, a VM on each, the first on its way to the other, and a rule for both.
TestCluster one_of_two_on_its_way(RuleKind kind, int hosts = 3) {
  TestCluster t;
  for (int h = 0; h < hosts; ++h) t.host();
  t.vm(0, 100);
  t.vm(1, 100);
  t.snapshot.rules.push_back({.name = "both", .kind = kind, .vms = {0, 1}, .hosts = {}});
  t.snapshot.operations.push_back({.vm = 0, .from = 0, .to = 1});
  return t;
}

TEST(UnderWay, APairIsTogetherWhenOneArrives) {
  TestCluster t = one_of_two_on_its_way(RuleKind::kTogether);
  Plan plan = plan_cluster(t.snapshot);
  EXPECT_TRUE(plan.actions.empty());
  EXPECT_TRUE(plan.violations.empty()) << plan.violations[0].text;
  t.snapshot.operations.clear();  // it has failed
  plan = plan_cluster(t.snapshot);
  EXPECT_EQ(plan.actions.size(), 1U);
  EXPECT_TRUE(plan.violations.empty());
}

TEST(UnderWay, TheRestFollowsTheOneThatIsOnItsWay) {
  TestCluster t = one_of_two_on_its_way(RuleKind::kTogether);
  t.snapshot.vms[1].host = 2;
  const Plan plan = plan_cluster(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 1U);
  EXPECT_EQ(plan.actions[0].vm, 1U);
  EXPECT_EQ(plan.actions[0].to, 1U);
}

TEST(UnderWay, VmsToBeApartKeepOffBothEnds) {
  TestCluster t = one_of_two_on_its_way(RuleKind::kApart);
  t.snapshot.vms[1].host = 2;
  const WhatIf world(t.snapshot);
  EXPECT_EQ(world.forbids(1, 0), Why::kRuleForbids);
  EXPECT_EQ(world.forbids(1, 1), Why::kRuleForbids);
  t.snapshot.operations.clear();
  EXPECT_EQ(WhatIf(t.snapshot).forbids(1, 1), std::nullopt);
}

TEST(UnderWay, WhatSharesAHostAndLeavesItBreaksNothing) {
  TestCluster t = one_of_two_on_its_way(RuleKind::kApart);
  t.snapshot.vms[1].host = 0;
  Plan plan = plan_cluster(t.snapshot);
  EXPECT_TRUE(plan.actions.empty());
  EXPECT_TRUE(plan.violations.empty());
  // Both of them leave: to one host, which is mended by the one that has not begun.
  t.snapshot.vms[1].host = 1;
  plan = plan_cluster(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 1U);
  EXPECT_EQ(plan.actions[0].vm, 1U);
  EXPECT_EQ(plan.actions[0].to, 2U);
  EXPECT_TRUE(plan.violations.empty());
}

TEST(UnderWay, AMoveToAHostThatFailsLeavesItsVmWhereItIs) {
  TestCluster t = one_of_two_on_its_way(RuleKind::kTogether);
  EXPECT_EQ(WhatIf(t.snapshot).heading(0), 1U);
  t.snapshot.hosts[1].link = model::HostLink::kLost;
  WhatIf world(t.snapshot);
  EXPECT_EQ(world.heading(0), 0U);
  EXPECT_EQ(world.forbids(1, 0), std::nullopt);
}

TEST(UnderWay, WhatLeavesAHostInMaintenanceIsNotCalledStuck) {
  TestCluster t;
  t.host();
  t.host();
  t.vm(0, 100);
  t.snapshot.hosts[0].admin = HostAdmin::kDraining;
  t.snapshot.vms[0].pinned = "a device of the host";
  EXPECT_EQ(plan_balance(t.snapshot).violations.size(), 1U);
  t.snapshot.operations.push_back({.vm = 0, .from = 0, .to = 1});
  EXPECT_TRUE(plan_balance(t.snapshot).violations.empty());
  t.snapshot.operations[0].to = kNone;  // not chosen yet
  EXPECT_TRUE(model::check(t.snapshot));
  EXPECT_TRUE(plan_balance(t.snapshot).violations.empty());
}

TEST(UnderWay, OfAPairOneThatMovesMendsWhatTheOtherCannot) {
  TestCluster t = one_of_two_on_its_way(RuleKind::kApart);
  t.snapshot.operations.clear();
  t.snapshot.vms[1].host = 0;
  t.snapshot.vms[0].pinned = "a device of the host";
  const Plan plan = plan_balance(t.snapshot);
  EXPECT_EQ(plan.actions.size(), 1U);
  EXPECT_TRUE(plan.violations.empty()) << plan.violations[0].text;
}

// ---- A host is back from maintenance

TestCluster back_from_maintenance() {
  TestCluster t;
  for (int h = 0; h < 3; ++h) t.host(10000, 40000);
  for (Index v = 0; v < 12; ++v) t.vm(v % 2, 500);
  t.snapshot.hosts[2].enabled_since = t.snapshot.now - seconds(30);
  return t;
}

std::size_t moves_to(const Plan& plan, Index host, Why why) {
  return static_cast<std::size_t>(std::ranges::count_if(
      plan.actions, [&](const Action& a) { return a.to == host && a.why == why; }));
}

TEST(BackFromMaintenance, AHostTakesItsShare) {
  TestCluster t = back_from_maintenance();
  const Plan plan = plan_balance(t.snapshot);
  EXPECT_EQ(moves_to(plan, 2, Why::kHostIsBack), 4U);
  EXPECT_EQ(plan.actions.size(), 4U) << "and nobody else moves";
  t.snapshot.settings.balance.level = 1;
  EXPECT_TRUE(plan_balance(t.snapshot).actions.empty());
}

TEST(BackFromMaintenance, OnlyForAWhileAndOnlyThen) {
  TestCluster t = back_from_maintenance();
  t.snapshot.hosts[2].enabled_since = t.snapshot.now - minutes(31);
  EXPECT_TRUE(plan_balance(t.snapshot).actions.empty());
  t.snapshot.hosts[2].enabled_since = {};
  EXPECT_TRUE(plan_balance(t.snapshot).actions.empty());
}

TEST(BackFromMaintenance, WhatLeftForItMayComeBackAtOnce) {
  TestCluster t = back_from_maintenance();
  for (model::SnapshotVm& vm : t.snapshot.vms) {
    vm.moved_from = 2;
    vm.last_moved = t.snapshot.now - minutes(5);
    vm.cpu_when_moved = vm.cpu_demand.now;
  }
  EXPECT_EQ(moves_to(plan_balance(t.snapshot), 2, Why::kHostIsBack), 4U);
  // What has left it since stays away.
  for (model::SnapshotVm& vm : t.snapshot.vms) vm.last_moved = t.snapshot.now - seconds(10);
  EXPECT_TRUE(plan_balance(t.snapshot).actions.empty());
}

TEST(BackFromMaintenance, WhatMaySleepIsNotFilled) {
  TestCluster t = back_from_maintenance();
  t.snapshot.settings.power.automation = Automation::kFull;
  for (model::SnapshotHost& host : t.snapshot.hosts) host.keep_on = "a dongle";
  EXPECT_EQ(moves_to(plan_cluster(t.snapshot), 2, Why::kHostIsBack), 4U);
  t.snapshot.hosts[2].keep_on.clear();
  const Plan plan = plan_cluster(t.snapshot);
  EXPECT_EQ(moves_to(plan, 2, Why::kHostIsBack), 0U);
  ASSERT_EQ(plan.actions.size(), 1U);
  EXPECT_EQ(plan.actions[0].kind, ActionKind::kPowerOff);
}

// ---- Round after round

// A cluster whose moves take a while, end in any order, and sometimes fail.
class Rounds {
 public:
  explicit Rounds(std::uint64_t seed) : random_(seed) {
    t_.snapshot.settings.balance.level = 5;
    if (random_.chance(0.3)) t_.snapshot.settings.power.automation = Automation::kFull;
    for (int h = 0; h < 6; ++h) {
      const Index host = t_.host(10000, 16384);
      if (random_.chance(0.3)) t_.snapshot.hosts[host].keep_on = "a dongle";
    }
    for (Index v = 0; v < 24; ++v) t_.vm(random_.below(6), random_.between(50, 2000), 1024);
    const auto rule = [&](RuleKind kind, bool must, std::vector<Index> vms) {
      t_.snapshot.rules.push_back({.name = fmt::format("rule{}", t_.snapshot.rules.size()),
                                   .kind = kind,
                                   .must = must,
                                   .vms = std::move(vms),
                                   .hosts = {}});
    };
    rule(RuleKind::kTogether, true, {0, 1});
    rule(RuleKind::kTogether, true, {2, 3, 4});
    rule(RuleKind::kApart, true, {5, 6, 7});
    rule(RuleKind::kApart, true, {0, 8});
    rule(RuleKind::kApart, false, {9, 10, 11});
    t_.snapshot.hosts[5].admin = HostAdmin::kDraining;
  }

  void enable() {
    t_.snapshot.hosts[5].admin = HostAdmin::kEnabled;
    t_.snapshot.hosts[5].enabled_since = t_.snapshot.now;
    left_.clear();
  }

  // Rounds until two in a row have nothing to do and nothing is under way; false: they go on.
  bool come_to_rest(int rounds) {
    int quiet = 0;
    for (int i = 0; i < rounds && quiet < 2; ++i) {
      const Plan plan = plan_cluster(t_.snapshot);
      quiet = plan.actions.empty() && t_.snapshot.operations.empty() ? quiet + 1 : 0;
      begin(plan);
      t_.snapshot.now += seconds(60);
      end_some();
    }
    return quiet == 2;
  }
  std::size_t moves() const { return moves_; }
  const Snapshot& snapshot() const { return t_.snapshot; }

 private:
  void begin(const Plan& plan) {
    Snapshot& s = t_.snapshot;
    for (const Action& a : plan.actions) {
      if (a.kind == ActionKind::kPowerOff || a.kind == ActionKind::kPowerOn) {
        if (!a.after.empty()) continue;  // when they are empty
        const bool on = a.kind == ActionKind::kPowerOn;
        s.hosts[a.to].power = on ? model::HostPower::kOn : model::HostPower::kOff;
        s.hosts[a.to].power_since = s.now;
        continue;
      }
      for (const SnapshotOperation& op : s.operations) EXPECT_NE(op.vm, a.vm) << "acted on twice";
      if (!a.after.empty()) continue;
      s.operations.push_back({.vm = a.vm, .from = a.from, .to = a.to, .since = s.now});
    }
    expect_apart();
  }

  // Wherever a VM is or will be, those that must be apart from it are not; what was so when the
  // test began is not the plan's doing.
  void expect_apart() {
    const Snapshot& s = t_.snapshot;
    for (const SnapshotOperation& op : s.operations) {
      if (op.since != s.now) continue;
      for (const model::SnapshotRule& rule : s.rules) {
        const bool names_it = std::ranges::find(rule.vms, op.vm) != rule.vms.end();
        if (!rule.must || rule.kind != RuleKind::kApart || !names_it) continue;
        for (const Index other : rule.vms) {
          if (other == op.vm) continue;
          const auto also = std::ranges::find(s.operations, other, &SnapshotOperation::vm);
          EXPECT_NE(s.vms[other].host, op.to) << s.vms[op.vm].name << " joins " << other;
          if (also != s.operations.end()) EXPECT_NE(also->to, op.to) << s.vms[op.vm].name;
        }
      }
    }
  }

  void end_some() {
    Snapshot& s = t_.snapshot;
    std::erase_if(s.operations, [&](const SnapshotOperation& op) {
      if (random_.chance(0.4)) return false;
      if (random_.chance(0.1)) return true;  // it has failed
      model::SnapshotVm& vm = s.vms[op.vm];
      EXPECT_FALSE(left_.contains({op.vm, op.to})) << vm.name << " goes back to " << op.to;
      left_.emplace(op.vm, op.from);
      vm.moved_from = vm.host;
      vm.last_moved = s.now;
      vm.cpu_when_moved = vm.cpu_demand.now;
      vm.host = op.to;
      ++moves_;
      return true;
    });
  }

  TestRandom random_;
  TestCluster t_;
  std::set<std::pair<Index, Index>> left_;  // VM, host it was moved away from
  std::size_t moves_ = 0;
};

TEST(Rounds, ComeToRestAndUndoNothing) {
  std::size_t moves = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Rounds rounds(seed);
    EXPECT_TRUE(rounds.come_to_rest(30));
    rounds.enable();
    EXPECT_TRUE(rounds.come_to_rest(28)) << "within the stability window";
    moves += rounds.moves();
  }
  EXPECT_GT(moves, 2000U);
}

}  // namespace
}  // namespace chorok::policy
