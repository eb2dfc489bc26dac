#include "policy/enforce.h"

#include <gmock/gmock.h>

#include "policy/test_cluster.h"
#include "policy/test_random.h"

namespace chorok::policy {
namespace {

using model::kUnlimited;
using model::Resource;
using ::testing::HasSubstr;

constexpr std::uint64_t kSeeds = 300;

const Setting& of(const Enforcement& enforcement, Index vm) {
  return *std::ranges::find(enforcement.settings, vm, &Setting::vm);
}

Index add_pool(Snapshot& s, double cpu_limit = kUnlimited, Index parent = kNone) {
  s.pools.push_back({.name = fmt::format("pool{}", s.pools.size() + 1), .parent = parent});
  s.pools.back().cpu.limit = cpu_limit;
  s.pools.back().cpu.expandable = s.pools.back().memory.expandable = true;
  return static_cast<Index>(s.pools.size() - 1);
}

// Three guests that want a whole core each, at 2:1:1 in one pool.
TestCluster three(double host1, double host2, double limit) {
  TestCluster c;
  c.host(host1);
  c.host(host2);
  add_pool(c.snapshot, limit);
  for (int i = 0; i < 3; ++i) {
    const Index v = c.vm(i < 2 ? 0 : 1, 1000, 1000, 1);
    c.snapshot.vms[v].pool = 0;
    c.snapshot.vms[v].cpu.shares = i == 0 ? 2000 : 1000;
  }
  return c;
}

TEST(Enforce, TwoToOneToOneOnOneHost) {
  TestCluster c = three(1000, 0, kUnlimited);
  c.snapshot.vms[2].host = 0;
  const Enforcement e = enforce(c.snapshot);
  ASSERT_EQ(e.settings.size(), 3);
  EXPECT_NEAR(e.settings[0].shares, 1500, 1e-6);  // 3000 are three vCPUs' in all
  EXPECT_NEAR(e.settings[1].shares, 750, 1e-6);
  EXPECT_NEAR(e.settings[2].shares, 750, 1e-6);
  for (const Setting& setting : e.settings) EXPECT_EQ(setting.limit, 0);
}

// What the pool may have at most is divided by the tree, whoever stands beside whom on a host.
TEST(Enforce, APoolsLimitIsDividedOverItsHosts) {
  TestCluster c = three(600, 600, 800);
  const Enforcement e = enforce(c.snapshot);
  EXPECT_NEAR(of(e, 0).limit, 400, 1e-6);
  EXPECT_NEAR(of(e, 1).limit, 200, 1e-6);
  EXPECT_NEAR(of(e, 2).limit, 200, 1e-6);
  EXPECT_EQ(of(e, 2).limit_pool, 0);
  EXPECT_NEAR(of(e, 0).shares, 2 * of(e, 1).shares, 1e-6);
  EXPECT_THAT(cpu_sentence(c.snapshot, of(e, 2)),
              HasSubstr("200 MHz: its part of the 800 MHz that pool pool1 is limited to"));
}

// Raw shares would say 1:1 on the second host; the tree says that the pool has less.
TEST(Enforce, AWeightIsOfTheTreeAndNotOfTheVm) {
  TestCluster c = three(1000, 1000, kUnlimited);
  c.snapshot.pools[0].cpu.shares = 1000;
  const Index other = c.vm(1, 1000, 1000, 1);
  c.snapshot.vms[other].cpu.shares = 1000;
  const Enforcement e = enforce(c.snapshot);
  EXPECT_NEAR(of(e, other).shares / of(e, 2).shares,
              e.granted.vms[other].cpu / e.granted.vms[2].cpu, 1e-6);
  EXPECT_GT(of(e, other).shares, 2 * of(e, 2).shares);
}

TEST(Enforce, WhoSleepsKeepsHisWeightAndPartOfHisLimit) {
  TestCluster c = three(600, 600, 800);
  c.snapshot.vms[0].cpu_demand.now = 10;
  const Enforcement e = enforce(c.snapshot);
  EXPECT_GT(of(e, 0).shares, of(e, 1).shares);
  EXPECT_NEAR(of(e, 0).limit, 100, 1e-6) << "a quarter of the 400 that are its own";
  EXPECT_NEAR(of(e, 1).limit, 350, 1e-6) << "and the others have the rest meanwhile";
}

// A host may not know how long a guest had to wait; then its demand is what it got.
TEST(Enforce, WhoUsesAllOfHisLimitWantsMore) {
  TestCluster c = three(600, 600, 800);
  c.snapshot.vms[0].cpu_demand.now = 99;
  c.snapshot.vms[1].cpu_demand.now = c.snapshot.vms[2].cpu_demand.now = 350;
  const std::vector<Before> before = {{.limit = 100}, {.limit = 350}, {.limit = 350}};
  const Enforcement e = enforce(c.snapshot, {.before = before});
  EXPECT_NEAR(of(e, 0).limit, 400, 1e-6);
  EXPECT_NEAR(of(e, 1).limit, 200, 1e-6);
}

// A demand somewhat below its part gives the same limit in every round.
TEST(Enforce, ALimitDoesNotSwing) {
  TestCluster c = three(600, 600, 800);
  c.snapshot.vms[0].cpu_demand.now = 340;
  Enforcement last = enforce(c.snapshot);
  for (int round = 0; round < 5; ++round) {
    std::vector<Before> before;
    for (Index v = 0; v < 3; ++v) before.push_back({.limit = of(last, v).limit});
    Enforcement next = enforce(c.snapshot, {.before = before});
    for (Index v = 0; v < 3; ++v) EXPECT_NEAR(of(next, v).limit, of(last, v).limit, 1e-6);
    last = std::move(next);
  }
}

TEST(Enforce, AVmsOwnLimitIsItsOwn) {
  TestCluster c;
  c.host(4000);
  const Index limited = c.vm(0, 1000, 1000, 1);
  const Index free = c.vm(0, 1000, 1000, 1);
  c.snapshot.vms[limited].cpu.limit = 300;
  const Enforcement e = enforce(c.snapshot);
  EXPECT_NEAR(of(e, limited).limit, 300, 1e-9);
  EXPECT_EQ(of(e, limited).limit_pool, kNone);
  EXPECT_THAT(cpu_sentence(c.snapshot, of(e, limited)), HasSubstr("its own limit"));
  EXPECT_EQ(of(e, free).limit, 0);
  EXPECT_THAT(cpu_sentence(c.snapshot, of(e, free)), HasSubstr("all that is free"));
}

TEST(Enforce, WhoMovesHasSettingsOnBothSides) {
  TestCluster c = three(1000, 1000, kUnlimited);
  c.snapshot.operations.push_back({.vm = 0, .from = 0, .to = 1});
  const Enforcement e = enforce(c.snapshot);
  ASSERT_EQ(e.settings.size(), 4);
  EXPECT_EQ(e.settings[0].host, 0);
  EXPECT_EQ(e.settings[1].vm, 0);
  EXPECT_EQ(e.settings[1].host, 1);
}

// ---- Memory

TEST(Enforce, MemoryIsTakenOnlyWhereItIsShort) {
  TestCluster c;
  c.host(10000, 2200);
  for (int i = 0; i < 3; ++i) c.vm(0, 100, 1000, 1);
  for (auto& vm : c.snapshot.vms) vm.consumed = 600;
  EXPECT_EQ(of(enforce(c.snapshot), 0).memory, 0)
      << "they could hold more than there is, and do not";
  for (auto& vm : c.snapshot.vms) vm.consumed = 1000;
  c.snapshot.vms[1].memory.reservation = 900;
  const Enforcement e = enforce(c.snapshot);
  EXPECT_TRUE(of(e, 0).memory_by_host);
  EXPECT_GE(of(e, 0).memory, 500 * 1.25 + 32);
  EXPECT_GE(of(e, 1).memory, 900);
  EXPECT_THAT(memory_sentence(c.snapshot, of(e, 0)), HasSubstr("memory is short on host1"));
}

TEST(Enforce, AGuestThatSaysNothingOfItsMemoryKeepsWhatItHolds) {
  TestCluster c;
  c.host(10000, 1000);
  for (int i = 0; i < 2; ++i) c.vm(0, 100, 1000, 1);
  c.snapshot.vms[0].memory_demand.now = c.snapshot.vms[0].consumed;  // as telemetry has it then
  const Enforcement e = enforce(c.snapshot);
  EXPECT_EQ(of(e, 0).memory, 0);
  EXPECT_GT(of(e, 1).memory, 0);
}

// A balloon makes room, and that room must not be a reason to let it go.
TEST(Enforce, ABalloonDoesNotBreathe) {
  TestCluster c;
  c.host(10000, 2000);
  for (int i = 0; i < 3; ++i) {
    c.vm(0, 100, 1000, 1);
    c.snapshot.vms.back().memory_demand.now = 300;
  }
  const Enforcement first = enforce(c.snapshot);
  std::vector<Before> back(3);
  for (const Setting& setting : first.settings) {
    ASSERT_GT(setting.memory, 0);
    back[setting.vm].held_back = 1000 - setting.memory;
    c.snapshot.vms[setting.vm].consumed = setting.memory;
  }
  const Enforcement second = enforce(c.snapshot, {.before = back});
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_FALSE(worth_telling(first.settings[i], second.settings[i]));
  // One leaves, and all have room again.
  c.snapshot.vms[2].run = model::VmRun::kOff;
  c.snapshot.vms[2].host = kNone;
  c.snapshot.hosts[0].capacity.memory = 2200;
  EXPECT_EQ(of(enforce(c.snapshot, {.before = back}), 0).memory, 0);
}

TEST(Enforce, APoolsMemoryLimitIsKept) {
  TestCluster c;
  c.host();
  c.host();
  add_pool(c.snapshot);
  c.snapshot.pools[0].memory.limit = 2500;
  for (const Index host : {0U, 0U, 1U}) {
    const Index v = c.vm(host, 100, 1000, 1);
    c.snapshot.vms[v].pool = 0;
    c.snapshot.vms[v].memory_demand.now = 200;
  }
  const Enforcement e = enforce(c.snapshot);
  double sum = 0;
  for (const Setting& setting : e.settings) sum += setting.memory;
  EXPECT_NEAR(sum, 2500, 3);
  EXPECT_THAT(memory_sentence(c.snapshot, of(e, 0)), HasSubstr("that pool pool1 is limited to"));
}

// ---- Any cluster

TestCluster drawn(TestRandom& random, bool busy) {
  TestCluster c;
  const std::size_t hosts = 1 + random.below(4);
  for (std::size_t h = 0; h < hosts; ++h)
    c.host(random.between(1000, 8000), random.between(2000, 16000));
  const std::size_t pools = random.below(6);
  for (std::size_t p = 0; p < pools; ++p) {
    const Index parent = p == 0 || random.chance(0.4) ? kNone : random.below(p);
    add_pool(c.snapshot, random.chance(0.4) ? random.between(200, 6000) : kUnlimited, parent);
    c.snapshot.pools[p].cpu.shares = random.between(500, 9000);
    if (random.chance(0.3)) c.snapshot.pools[p].memory.limit = random.between(1000, 9000);
  }
  const std::size_t vms = 1 + random.below(12);
  for (std::size_t i = 0; i < vms; ++i) {
    const int vcpus = 1 + static_cast<int>(random.below(4));
    const double size = 1000.0 * vcpus;
    const Index v = c.vm(random.below(hosts), busy ? size : random.between(0, size),
                         random.between(200, 4000), vcpus);
    model::SnapshotVm& vm = c.snapshot.vms[v];
    if (pools > 0 && random.chance(0.8)) vm.pool = random.below(pools);
    vm.cpu.shares = random.between(100, 8000);
    if (random.chance(0.2)) vm.cpu.limit = random.between(50, size);
    vm.overhead = random.between(30, 100);
    vm.memory_demand.now = random.between(0, vm.size.memory);
    vm.consumed = vm.overhead + random.between(vm.memory_demand.now, vm.size.memory);
    if (random.chance(0.3)) vm.memory.reservation = random.between(0, vm.size.memory);
  }
  return c;
}

bool has_limit_above(const Snapshot& s, const model::SnapshotVm& vm, Resource r) {
  if (vm.allocation(r).limit < kUnlimited) return true;
  for (Index p = vm.pool; p != kNone; p = s.pools[p].parent)
    if (s.pools[p].allocation(r).limit < kUnlimited) return true;
  return false;
}

TEST(EnforceAnyCluster, WeightsOfAHostAreItsVmsEntitlementsWhenAllAreBusy) {
  int compared = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    TestRandom random(seed);
    const TestCluster c = drawn(random, true);
    const Enforcement e = enforce(c.snapshot);
    std::vector<double> granted(c.snapshot.hosts.size(), 0);
    for (const Setting& each : e.settings) granted[each.host] += e.granted.vms[each.vm].cpu;
    for (const Setting& a : e.settings)
      for (const Setting& b : e.settings) {
        if (a.host != b.host || a.shares <= 2 || b.shares <= 2) continue;
        if (granted[a.host] > c.snapshot.hosts[a.host].capacity.cpu) continue;
        ++compared;
        EXPECT_NEAR(a.shares * e.granted.vms[b.vm].cpu, b.shares * e.granted.vms[a.vm].cpu,
                    1e-6 * a.shares * e.granted.vms[b.vm].cpu + 1e-3)
            << "seed " << seed;
      }
  }
  EXPECT_GT(compared, 1000) << "or this shows nothing";
}

// A cluster that has enough for all, and a host that has not: shares decide there, and what one
// host's VMs count does not hang on how much the others have to spare.
TEST(EnforceAnyCluster, AShortHostInARichClusterDividesByShares) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    TestRandom random(seed);
    TestCluster c;
    c.host(random.between(500, 2500));
    c.host(50000);
    add_pool(c.snapshot);
    for (int i = 0; i < 4; ++i) {
      const Index v = c.vm(0, 4000, 1000, 4);
      c.snapshot.vms[v].pool = 0;
      c.snapshot.vms[v].cpu.shares = random.between(500, 8000);
    }
    const Enforcement e = enforce(c.snapshot);
    for (Index v = 1; v < 4; ++v)
      EXPECT_NEAR(of(e, v).shares / of(e, 0).shares,
                  c.snapshot.vms[v].cpu.shares / c.snapshot.vms[0].cpu.shares,
                  0.01 * of(e, v).shares / of(e, 0).shares)
          << "seed " << seed;
  }
}

TEST(EnforceAnyCluster, LimitsAreWhereTheTreeHasOneAndAddUpToIt) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    TestRandom random(seed);
    const TestCluster c = drawn(random, random.chance(0.5));
    const Enforcement e = enforce(c.snapshot);
    std::vector<double> sums(c.snapshot.pools.size(), 0);
    for (const Setting& setting : e.settings) {
      const model::SnapshotVm& vm = c.snapshot.vms[setting.vm];
      const double least = 20;
      if (!has_limit_above(c.snapshot, vm, Resource::kCpu))
        EXPECT_EQ(setting.limit, 0) << "seed " << seed << " " << vm.name;
      if (vm.cpu.limit < vm.size.cpu * 0.999)
        EXPECT_LE(setting.limit, std::max(least, vm.cpu.limit) + 1e-6) << "seed " << seed;
      const double most = setting.limit > 0 ? setting.limit : vm.size.cpu;
      for (Index p = vm.pool; p != kNone; p = c.snapshot.pools[p].parent)
        sums[p] += most <= least ? 0 : most;
    }
    for (std::size_t p = 0; p < sums.size(); ++p)
      EXPECT_LE(sums[p], c.snapshot.pools[p].cpu.limit * 1.001 + 1) << "seed " << seed;
  }
}

TEST(EnforceAnyCluster, NoGuestHasLessMemoryThanItNeedsOrIsPromised) {
  int taken = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    TestRandom random(seed);
    const TestCluster c = drawn(random, false);
    const Enforcement e = enforce(c.snapshot);
    std::vector<double> held(c.snapshot.hosts.size(), 0);
    for (const auto& vm : c.snapshot.vms) held[vm.host] += vm.consumed;
    for (const Setting& setting : e.settings) {
      if (setting.memory == 0) continue;
      ++taken;
      const model::SnapshotVm& vm = c.snapshot.vms[setting.vm];
      EXPECT_GE(setting.memory, vm.memory.reservation) << "seed " << seed;
      EXPECT_GE(setting.memory, vm.memory_demand.now * 1.25 + 32) << "seed " << seed;
      EXPECT_LT(setting.memory, vm.size.memory) << "seed " << seed;
      if (setting.memory_by_host)
        EXPECT_GT(held[setting.host], 0.95 * c.snapshot.hosts[setting.host].capacity.memory);
      else
        EXPECT_TRUE(has_limit_above(c.snapshot, vm, Resource::kMemory)) << "seed " << seed;
    }
  }
  EXPECT_GT(taken, 50) << "or this shows nothing";
}

TEST(Enforce, SmallChangesAreNotTold) {
  const Setting told{.vm = 0, .host = 0, .shares = 1000, .limit = 500, .memory = 1000};
  const auto changed = [&](auto change) {
    Setting now = told;
    change(now);
    return worth_telling(told, now);
  };
  EXPECT_FALSE(changed([](Setting&) {}));
  EXPECT_FALSE(changed([](Setting& s) { s.shares = 1049; }));
  EXPECT_TRUE(changed([](Setting& s) { s.shares = 940; }));
  EXPECT_FALSE(changed([](Setting& s) { s.limit = 520; }));
  EXPECT_TRUE(changed([](Setting& s) { s.limit = 490; }));
  EXPECT_TRUE(changed([](Setting& s) { s.limit = 0; }));
  EXPECT_FALSE(changed([](Setting& s) { s.memory = 960; }));
  EXPECT_TRUE(changed([](Setting& s) { s.memory = 940; }));
  EXPECT_TRUE(changed([](Setting& s) { s.memory = 0; }));
}

}  // namespace
}  // namespace chorok::policy
