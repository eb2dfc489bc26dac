// What is left to people beside a plan: VMs that are set to less than `full`.
#include "policy/recommend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/json.h"
#include "policy/named_plan.h"
#include "policy/planner.h"
#include "policy/test_cluster.h"
#include "policy/test_random.h"

namespace chorok::policy {
namespace {

using model::Automation;
using model::HostAdmin;
using model::RuleKind;

void set(TestCluster& t, std::initializer_list<Index> vms, Automation automation) {
  for (const Index vm : vms) t.snapshot.vms[vm].automation = automation;
}

std::vector<Action> asked(const Plan& plan) {
  std::vector<Action> out;
  std::ranges::copy_if(plan.actions, std::back_inserter(out), &Action::recommended);
  return out;
}

std::string text(const Plan& plan, const Snapshot& snapshot) {
  return json::encode(named(plan, snapshot));
}

// Two hosts; four VMs of 4,000 MHz on the first are more than it has.
TestCluster crowd() {
  TestCluster t;
  t.host();
  t.host();
  for (int i = 0; i < 4; ++i) t.vm(0, 4000);
  return t;
}

TEST(Recommend, WhatOnlyPeopleMoveIsAskedOnTopOfThePlan) {
  TestCluster t = crowd();
  set(t, {0, 1, 2}, Automation::kManual);
  const Plan plan = plan_cluster(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 2U) << text(plan, t.snapshot);
  EXPECT_EQ(plan.actions[0].vm, 3U) << "the cluster does by itself what it can";
  EXPECT_FALSE(plan.actions[0].recommended);
  EXPECT_TRUE(plan.actions[1].recommended);
  EXPECT_LT(plan.actions[1].vm, 3U);
  EXPECT_EQ(plan.actions[1].to, 1U);
  EXPECT_EQ(plan.actions[1].why, Why::kOverload);
  EXPECT_GT(plan.actions[1].gain, 0);
  EXPECT_TRUE(plan.violations.empty()) << plan.violations[0].text;
  EXPECT_TRUE(plan.nothing.empty());
}

TEST(Recommend, PartialAsksAndOffStays) {
  TestCluster t = crowd();
  set(t, {0, 1, 2, 3}, Automation::kPartial);
  Plan plan = plan_balance(t.snapshot);
  EXPECT_EQ(asked(plan).size(), plan.actions.size());
  EXPECT_FALSE(plan.actions.empty());
  EXPECT_TRUE(plan.violations.empty());
  set(t, {0, 1, 2, 3}, Automation::kOff);
  plan = plan_balance(t.snapshot);
  EXPECT_TRUE(plan.actions.empty());
  ASSERT_EQ(plan.violations.size(), 1U);
  EXPECT_EQ(plan.violations[0].why, Why::kOverload);
  // Where the cluster does nothing its VMs ask nothing.
  set(t, {0, 1, 2, 3}, Automation::kManual);
  t.snapshot.settings.balance.automation = Automation::kOff;
  EXPECT_TRUE(plan_balance(t.snapshot).actions.empty());
}

TEST(Recommend, WhatIsWellIsLeftAlone) {
  TestCluster t;
  t.host();
  t.host();
  for (Index v = 0; v < 4; ++v) t.vm(v % 2, 2000);
  set(t, {0, 1}, Automation::kManual);
  const Plan plan = plan_cluster(t.snapshot);
  EXPECT_TRUE(plan.actions.empty());
  EXPECT_FALSE(plan.nothing.empty());
}

TEST(Recommend, RulesAndMaintenance) {
  TestCluster t;
  for (int h = 0; h < 3; ++h) t.host();
  t.vm(0, 100);
  t.vm(0, 100);
  set(t, {0, 1}, Automation::kManual);
  t.snapshot.rules.push_back({.name = "apart", .kind = RuleKind::kApart, .vms = {0, 1}});
  Plan plan = plan_cluster(t.snapshot);
  ASSERT_EQ(asked(plan).size(), 1U);
  EXPECT_EQ(asked(plan)[0].why, Why::kRule);
  EXPECT_TRUE(plan.violations.empty()) << "of the one that stays, too: " << plan.violations[0].text;
  t.snapshot.rules.clear();
  t.snapshot.hosts[0].admin = HostAdmin::kMaintenance;
  plan = plan_cluster(t.snapshot);
  EXPECT_EQ(asked(plan).size(), 2U);
  EXPECT_TRUE(plan.violations.empty());
  t.snapshot.hosts[1].admin = t.snapshot.hosts[2].admin = HostAdmin::kMaintenance;
  plan = plan_cluster(t.snapshot);
  EXPECT_TRUE(plan.actions.empty());
  ASSERT_EQ(plan.violations.size(), 2U);
  EXPECT_NE(plan.violations[0].text.find("fits on no other host"), std::string::npos)
      << plan.violations[0].text;
}

TEST(Recommend, WithItGoesWhatHasToBeWithIt) {
  TestCluster t = crowd();
  set(t, {0}, Automation::kManual);
  set(t, {2, 3}, Automation::kOff);
  t.snapshot.rules.push_back({.name = "pair", .kind = RuleKind::kTogether, .vms = {0, 1}});
  const Plan plan = plan_cluster(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 2U) << text(plan, t.snapshot);
  EXPECT_EQ(asked(plan).size(), 2U) << "also the one that the cluster would move alone";
  EXPECT_EQ(plan.actions[0].to, 1U);
  EXPECT_EQ(plan.actions[1].to, 1U);
}

// Two hosts with one VM each that is hardly anything.
TestCluster half_empty() {
  TestCluster t;
  t.host();
  t.host();
  t.vm(0, 500);
  t.vm(1, 500);
  t.snapshot.settings.power.automation = Automation::kFull;
  t.snapshot.settings.ha.enabled = false;
  return t;
}

TEST(Recommend, AHostThatOnlySuchAVmKeepsOnMaySleep) {
  TestCluster t = half_empty();
  set(t, {0, 1}, Automation::kManual);
  const Plan plan = plan_cluster(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 2U) << text(plan, t.snapshot);
  EXPECT_EQ(asked(plan).size(), 2U);
  EXPECT_EQ(plan.actions[0].kind, ActionKind::kMigrate);
  EXPECT_EQ(plan.actions[0].why, Why::kConsolidate);
  EXPECT_EQ(plan.actions[1].kind, ActionKind::kPowerOff);
  EXPECT_EQ(plan.actions[1].to, plan.actions[0].from);
  EXPECT_EQ(plan.actions[1].after, std::vector<std::uint32_t>{0});
  EXPECT_EQ(plan.stats.hosts_on_after, 2) << "the cluster itself switches nothing";
  t.snapshot.settings.power.automation = Automation::kOff;
  EXPECT_TRUE(plan_cluster(t.snapshot).actions.empty());
}

TEST(Recommend, SuchAHostIsRidOfAllItsVmsOrOfNone) {
  TestCluster t = half_empty();
  const Index other = t.vm(0, 300);
  t.snapshot.hosts[1].keep_on = "a dongle";
  set(t, {0}, Automation::kManual);
  Plan plan = plan_cluster(t.snapshot);
  ASSERT_EQ(plan.actions.size(), 3U) << text(plan, t.snapshot);
  EXPECT_EQ(asked(plan).size(), 3U);
  EXPECT_EQ(plan.actions[2].kind, ActionKind::kPowerOff);
  EXPECT_EQ(plan.actions[2].after, (std::vector<std::uint32_t>{0, 1}));
  set(t, {other}, Automation::kOff);
  plan = plan_cluster(t.snapshot);
  EXPECT_TRUE(plan.actions.empty()) << text(plan, t.snapshot);
}

// Any cluster, some of its VMs for people to move.
TestCluster any(TestRandom& random) {
  TestCluster t;
  if (random.chance(0.6)) t.snapshot.settings.power.automation = Automation::kFull;
  t.snapshot.settings.balance.evenness = random.chance(0.3) ? 1 : 0;
  for (int h = 0; h < 6; ++h) {
    const Index host = t.host(10000, random.chance(0.5) ? 10000 : 6000);
    if (random.chance(0.1)) t.snapshot.hosts[host].admin = HostAdmin::kMaintenance;
    if (random.chance(0.1)) t.snapshot.hosts[host].power = model::HostPower::kOff;
  }
  std::vector<Index> running;
  for (Index h = 0; h < 6; ++h)
    if (t.snapshot.hosts[h].power == model::HostPower::kOn) running.push_back(h);
  for (int v = 0; v < 20 && !running.empty(); ++v) {
    const Index host = running[random.below(running.size())];
    const Index vm = t.vm(host, random.between(50, 3900), random.chance(0.5) ? 500 : 900);
    if (random.chance(0.4))
      t.snapshot.vms[vm].automation =
          random.chance(0.8) ? Automation::kManual : Automation::kPartial;
  }
  for (int r = 0; r < 3 && t.snapshot.vms.size() > 6; ++r)
    t.snapshot.rules.push_back({.name = "rule" + std::to_string(r),
                                .kind = random.chance(0.5) ? RuleKind::kApart : RuleKind::kTogether,
                                .vms = {static_cast<Index>(2 * r), static_cast<Index>(2 * r + 1)}});
  return t;
}

// Moves `actions` in their order; each must have room at that moment.
void carry_out(WhatIf& world, const std::vector<Action>& actions, const char* what) {
  for (const Action& action : actions) {
    if (action.kind != ActionKind::kMigrate) continue;
    EXPECT_EQ(world.host_of(action.vm), action.from) << what;
    EXPECT_EQ(world.forbids_arrival(action.vm, action.to), std::nullopt)
        << what << " " << action.reason;
    world.move(action.vm, action.to);
  }
}

TEST(Recommend, ThePlanIsTheSameAndDependsOnNobody) {
  std::size_t recommended = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    const TestCluster t = any(random);
    if (t.snapshot.vms.empty()) continue;
    const Plan plan = plan_cluster(t.snapshot);
    Snapshot without = t.snapshot;
    for (model::SnapshotVm& vm : without.vms)
      if (asks_first(vm)) vm.automation = Automation::kOff;
    const Plan alone = plan_cluster(without);

    const auto split = static_cast<std::uint32_t>(alone.actions.size());
    Plan begin = plan;
    begin.actions.resize(std::min<std::size_t>(split, begin.actions.size()));
    begin.violations = alone.violations;
    begin.nothing = alone.nothing;
    begin.stats.candidates = alone.stats.candidates;
    ASSERT_EQ(text(begin, t.snapshot), text(alone, without));
    const std::vector<Action> more(plan.actions.begin() + split, plan.actions.end());
    EXPECT_EQ(asked(plan).size(), more.size());
    std::set<Index> moved;
    for (const Action& action : more) {
      EXPECT_TRUE(std::ranges::all_of(action.after, [&](auto i) { return i >= split; }));
      if (action.vm != kNone) EXPECT_TRUE(moved.insert(action.vm).second);
    }
    for (const Action& action : alone.actions)
      EXPECT_FALSE(action.vm != kNone && moved.contains(action.vm));
    // Whoever goes first, the others can.
    WhatIf people_last(t.snapshot), people_first(t.snapshot);
    carry_out(people_last, alone.actions, "by itself");
    carry_out(people_last, more, "asked for");
    carry_out(people_first, more, "asked for at once");
    carry_out(people_first, alone.actions, "by itself, after all else");
    recommended += more.size();
  }
  EXPECT_GT(recommended, 300U);
}

}  // namespace
}  // namespace chorok::policy
