// What bounds flapping and what memory is judged by: settings that must be kept whatever the load.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "policy/planner.h"
#include "policy/test_cluster.h"
#include "policy/test_random.h"

namespace chorok::policy {
namespace {

TestCluster random_cluster(std::uint64_t seed) {
  TestRandom random(seed);
  TestCluster t;
  t.snapshot.settings.balance.level = 5;
  t.snapshot.settings.balance.evenness = random.chance(0.5) ? 1 : 0;
  if (random.chance(0.5)) t.snapshot.settings.power.automation = model::Automation::kFull;
  for (int h = 0; h < 10; ++h) {
    const Index host = t.host(random.chance(0.3) ? 20000 : 10000);
    if (random.chance(0.3)) t.snapshot.hosts[host].core_mhz = 2000;
    if (random.chance(0.1)) t.snapshot.hosts[host].admin = model::HostAdmin::kMaintenance;
  }
  for (int v = 0; v < 50; ++v)
    t.vm(static_cast<Index>(10 * random.unit() * random.unit()), random.between(50, 3500),
         500.0 * (1 + random.below(4)));
  return t;
}

TEST(Bounds, MovesOfARoundAndOfAHost) {
  std::size_t most = 0;
  std::size_t bounded = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    TestCluster t = random_cluster(seed);
    most = std::max(most, plan_cluster(t.snapshot).actions.size());
    const auto all = static_cast<std::int32_t>(seed % 4);
    const auto each = static_cast<std::int32_t>(seed / 4 % 3);
    t.snapshot.settings.balance.moves_max = all;
    t.snapshot.settings.balance.moves_per_host = each;
    std::int32_t moves = 0;
    std::map<Index, std::int32_t> of_host;
    for (const Action& a : plan_cluster(t.snapshot).actions) {
      if (a.kind != ActionKind::kMigrate) continue;
      ++moves;
      ++of_host[a.from];
      ++of_host[a.to];
    }
    if (all > 0) EXPECT_LE(moves, all);
    for (const auto& [host, count] : of_host)
      if (each > 0) EXPECT_LE(count, each) << t.snapshot.hosts[host].name;
    if (moves == all) ++bounded;
  }
  EXPECT_GT(most, 10u) << "else nothing was bounded";
  EXPECT_GT(bounded, 50u);
}

TEST(Bounds, AHostOfMigrationsUnderWayTakesNoMore) {
  TestCluster t;
  const Index busy = t.host();
  const Index other = t.host();
  for (int i = 0; i < 3; ++i) t.vm(busy, 3900, 1000);
  EXPECT_EQ(plan_balance(t.snapshot).actions.size(), 1u);
  t.snapshot.settings.balance.moves_per_host = 1;
  EXPECT_EQ(plan_balance(t.snapshot).actions.size(), 1u);
  t.snapshot.operations.push_back({.kind = model::SnapshotOperation::Kind::kMigrate,
                                   .vm = t.vm(other, 10),
                                   .from = other,
                                   .to = other});
  EXPECT_TRUE(plan_balance(t.snapshot).actions.empty());
}

// Two guests of 8,000 MiB that work with 3,000 each fit a host of 10,000, by what they are active
// with. By what they hold of the host's memory they do not, but for what a balloon would give back.
TEST(Bounds, MemoryByActiveOrByConsumed) {
  TestCluster t;
  t.snapshot.settings.power.memory_overcommit = 2;
  t.host();
  model::SnapshotVm& there = t.snapshot.vms[t.vm(0, 100, 8000)];
  there.memory_demand = {3000, 3000, 0, 3000, 3000, 3000};
  there.overhead = 100;
  const Index waiting = t.vm(kNone, 100, 8000);
  t.snapshot.vms[waiting].memory_demand = t.snapshot.vms[0].memory_demand;
  t.snapshot.vms[waiting].consumed = 3000;
  auto starts = [&] { return plan_place(t.snapshot).actions.size(); };
  EXPECT_EQ(starts(), 1u);
  t.snapshot.settings.balance.memory_by_consumed = true;
  EXPECT_EQ(starts(), 0u);
  t.snapshot.vms[0].reclaimable = 4000;
  EXPECT_EQ(starts(), 1u);
  // The hypervisor's own share counts by either.
  for (const bool consumed : {true, false}) {
    t.snapshot.settings.balance.memory_by_consumed = consumed;
    t.snapshot.vms[0].overhead = 4000;
    EXPECT_EQ(starts(), 0u);
    t.snapshot.vms[0].overhead = 100;
    EXPECT_EQ(starts(), 1u);
  }
}

}  // namespace
}  // namespace chorok::policy
