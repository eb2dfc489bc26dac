#include "policy/numa.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "policy/check.h"
#include "policy/explain.h"
#include "policy/planner.h"
#include "policy/restart.h"
#include "policy/test_cluster.h"
#include "policy/test_random.h"
#include "policy/whatif.h"

namespace chorok::policy {
namespace {

// Hosts of two nodes with 8,000 MiB each.
struct Nodes : TestCluster {
  Index two(double memory = 8000) {
    const Index h = host(10000, 2 * memory);
    snapshot.hosts[h].numa_memory = {memory, memory};
    return h;
  }
};

Index placed(const Plan& plan, Index vm) {
  for (const Action& a : plan.actions)
    if (a.vm == vm && a.kind == ActionKind::kStart) return a.to;
  return kNone;
}

TEST(Numa, AVmGoesWhereOneNodeHoldsIt) {
  Nodes t;
  // 5,000 MiB on each node of the first: 6,000 are left, on no node 5,000. The second is fuller.
  t.two();
  t.two();
  t.vm(0, 100, 5000);
  t.vm(0, 100, 5000);
  t.vm(1, 3000, 6000);
  t.vm(1, 3000, 3000);
  const Index vm = t.vm(kNone, 100, 5000);
  const Plan plan = plan_place(t.snapshot);
  EXPECT_EQ(placed(plan, vm), 1u);
  ASSERT_EQ(plan.actions.size(), 1u);
  ASSERT_EQ(plan.actions[0].alternatives.size(), 1u);
  EXPECT_EQ(plan.actions[0].alternatives[0].host, 0u);
  EXPECT_EQ(plan.actions[0].alternatives[0].why, Why::kNoNuma);
  // It is only worse, not forbidden.
  t.snapshot.hosts[1].admin = model::HostAdmin::kMaintenance;
  t.snapshot.hosts[1].power = model::HostPower::kOff;
  t.snapshot.vms[2].host = t.snapshot.vms[3].host = kNone;
  t.snapshot.vms[2].run = t.snapshot.vms[3].run = model::VmRun::kOff;
  EXPECT_EQ(placed(plan_place(t.snapshot), vm), 0u);
}

TEST(Numa, ALargeVmIsOnAsFewNodesAsFit) {
  Nodes t;
  const Index four = t.host(10000, 32000);
  t.snapshot.hosts[four].numa_memory = {8000, 8000, 8000, 8000};
  t.host(10000, 32000);
  t.snapshot.hosts[1].numa_memory = {16000, 16000};
  const Index big = t.vm(kNone, 100, 24000);
  WhatIf world(t.snapshot);
  EXPECT_EQ(world.straddles(big, 0), 2);  // three of 8,000
  EXPECT_EQ(world.straddles(big, 1), 1);
  EXPECT_EQ(placed(plan_place(t.snapshot), big), 1u);
  world.move(big, 0);
  EXPECT_EQ(world.straddles(big, 0), 2);
  EXPECT_EQ(world.numa().most_room(0), 8000);
  world.move(big, kNone);
  EXPECT_EQ(world.numa().most_room(0), 8000);
  EXPECT_EQ(world.straddles(big, 0), 2);
}

TEST(Numa, ANumberThatIsAskedForIsHard) {
  Nodes t;
  t.two();
  t.host(10000, 16000);  // one node
  const Index vm = t.vm(kNone, 100, 8000);
  t.snapshot.vms[vm].numa_nodes = 2;
  WhatIf world(t.snapshot);
  EXPECT_FALSE(world.forbids(vm, 0));
  EXPECT_EQ(world.forbids(vm, 1), Why::kNoNuma);
  EXPECT_EQ(world.straddles(vm, 0), 0) << "it is what was asked for";
  // One node has no 4,000 MiB left.
  t.snapshot.vms[t.vm(0, 100, 5000)].pinned = "so that it makes no room";
  Plan plan = plan_place(t.snapshot);
  EXPECT_TRUE(plan.actions.empty());
  ASSERT_EQ(plan.violations.size(), 1u);
  EXPECT_EQ(plan.violations[0].why, Why::kNoNuma);
  EXPECT_NE(plan.violations[0].text.find("it asks for 2 NUMA nodes with 4000 MiB each"),
            std::string::npos)
      << plan.violations[0].text;
  // One node, asked for, is hard as well.
  t.snapshot.vms[vm].numa_nodes = 1;
  EXPECT_EQ(placed(plan_place(t.snapshot), vm), 0u);
  t.snapshot.vms[vm].size.memory = 8500;
  EXPECT_EQ(placed(plan_place(t.snapshot), vm), 1u);
  t.snapshot.vms[vm].numa_nodes = 3;
  EXPECT_TRUE(plan_place(t.snapshot).actions.empty());
}

TEST(Numa, RunningVmsArePutOntoNodesLargestFirst) {
  Nodes t;
  t.two();
  // By the order they are listed in, 3,000 and 3,000 would share a node and leave 2,000 there.
  for (const double memory : {3000, 3000, 5000, 5000}) t.vm(0, 100, memory);
  WhatIf world(t.snapshot);
  for (Index vm = 0; vm < 4; ++vm) EXPECT_EQ(world.straddles(vm, 0), 0) << vm;
  EXPECT_EQ(world.numa().most_room(0), 0);
}

TEST(Numa, NothingIsDividedForGain) {
  // Moving the third VM would even things out; where it would go no node holds it.
  Nodes t;
  t.two();
  t.two();
  for (int i = 0; i < 2; ++i) t.vm(0, 4000, 1000, 5);
  const Index vm = t.vm(0, 3000, 5000);
  t.vm(1, 100, 5000);
  t.vm(1, 100, 5000);
  t.snapshot.settings.balance.level = 5;
  for (const bool nodes : {true, false}) {
    if (!nodes) t.snapshot.hosts[1].numa_memory.clear();
    const Plan plan = plan_balance(t.snapshot);
    const bool moved =
        std::ranges::any_of(plan.actions, [&](const Action& a) { return a.vm == vm; });
    if (nodes) EXPECT_FALSE(moved);
    EXPECT_FALSE(plan.actions.empty());
  }
}

TEST(Numa, AHostIsNotEmptiedOntoOneThatDividesItsVms) {
  Nodes t;
  t.snapshot.settings.power.automation = model::Automation::kFull;
  t.two();
  t.two();
  t.vm(0, 100, 5000);
  t.vm(0, 100, 5000);
  t.vm(1, 100, 5000);
  EXPECT_TRUE(plan_power(t.snapshot).actions.empty());
  for (auto& host : t.snapshot.hosts) host.numa_memory.clear();
  EXPECT_FALSE(plan_power(t.snapshot).actions.empty());
}

TEST(Numa, ExplainSaysWhereItWouldBeDivided) {
  Nodes t;
  t.two();
  t.two();
  t.two();
  t.vm(0, 100, 9000);
  t.vm(1, 100, 5000);
  t.vm(1, 100, 5000);
  const auto why = explain(t.snapshot, {}, "vm1");
  ASSERT_TRUE(why);
  EXPECT_TRUE(std::ranges::any_of(why->facts, [](const std::string& fact) {
    return fact == "is divided over 2 NUMA nodes: none has room for all of it";
  }));
  const auto other = explain(t.snapshot, {}, "vm2");
  ASSERT_EQ(other->verdicts.size(), 2u);
  EXPECT_EQ(other->verdicts[0].sentence, "could take it");
  EXPECT_EQ(other->verdicts[0].hosts, std::vector<std::string>{"host3"});
  t.vm(2, 100, 5000);
  t.vm(2, 100, 5000);
  const auto third = explain(t.snapshot, {}, "vm2");
  ASSERT_EQ(third->verdicts.size(), 1u);
  EXPECT_EQ(third->verdicts[0].sentence, "could take it, over 2 NUMA nodes");
  EXPECT_EQ(third->verdicts[0].hosts, (std::vector<std::string>{"host1", "host3"}));
}

TEST(Numa, RestartPrefersOneNode) {
  Nodes t;
  for (int h = 0; h < 3; ++h) t.two();
  t.vm(0, 100, 5000);
  t.vm(1, 100, 5000);  // less in use, and no node with 5,000
  t.vm(1, 100, 4500);
  t.vm(2, 100, 8000);
  t.vm(2, 100, 2500);
  const std::vector<Index> lost = {0};
  const Plan plan = plan_restart(t.snapshot, lost);
  ASSERT_EQ(plan.actions.size(), 1u);
  EXPECT_EQ(plan.actions[0].to, 2u);
}

// Whatever moves, a node's room is what its VMs leave of it, and all of it when they have gone.
TEST(Numa, RoomIsKeptOverRandomMoves) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    Nodes t;
    for (int h = 0; h < 4; ++h) t.two();
    for (int v = 0; v < 24; ++v) {
      const Index vm = t.vm(random.below(4), 100, 500.0 * (1 + random.below(8)));
      if (random.chance(0.2)) t.snapshot.vms[vm].numa_nodes = 1 + random.below(2);
    }
    WhatIf world(t.snapshot);
    for (int move = 0; move < 500; ++move) {
      const std::uint32_t to = random.below(5);
      world.move(random.below(24), to == 4 ? kNone : to);
    }
    for (Index vm = 0; vm < 24; ++vm) world.move(vm, kNone);
    for (Index h = 0; h < 4; ++h) EXPECT_EQ(world.numa().most_room(h), 8000);
  }
}

}  // namespace
}  // namespace chorok::policy
