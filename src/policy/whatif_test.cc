#include "policy/whatif.h"

#include <gtest/gtest.h>

#include "policy/test_cluster.h"
#include "policy/test_random.h"

namespace chorok::policy {
namespace {

// The sums that make a candidate O(1) are those of the VMs that are there, whatever was tried.
TEST(WhatIf, SumsAreThoseOfTheVmsOnAHost) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    TestRandom random(seed);
    TestCluster t;
    for (int h = 0; h < 5; ++h) t.host();
    for (int v = 0; v < 30; ++v) {
      model::SnapshotVm& vm = t.snapshot.vms[t.vm(random.below(5), random.between(0, 2000), 500)];
      vm.cpu_demand.deviation = random.between(0, 300);
      vm.cpu.reservation = random.between(0, 500);
      vm.overhead = random.between(0, 100);
    }
    WhatIf world(t.snapshot);
    for (int i = 0; i < 1000; ++i) {
      const std::uint32_t to = random.below(6);
      const Index vm = random.below(30);
      if (to < 5 && world.host_of(vm) != to) {
        const HostLoad then = world.with(world.load(to), vm);
        world.move(vm, to);
        EXPECT_EQ(then.now, world.load(to).now);
        EXPECT_EQ(then.variance, world.load(to).variance);
      } else if (to == 5) {
        world.move(vm, kNone);
      }
    }
    for (Index h = 0; h < 5; ++h) {
      HostLoad sum;
      for (Index v = 0; v < 30; ++v)
        if (world.host_of(v) == h) sum = world.with(sum, v);
      const HostLoad& load = world.load(h);
      EXPECT_EQ(load.vms, sum.vms);
      EXPECT_EQ(world.vms_on(h).size(), static_cast<std::size_t>(sum.vms));
      for (const Resource r : model::kResources) {
        EXPECT_NEAR(load.now[r], sum.now[r], 1e-6);
        EXPECT_NEAR(load.size[r], sum.size[r], 1e-6);
        EXPECT_NEAR(load.reserved[r], sum.reserved[r], 1e-6);
      }
      EXPECT_NEAR(load.mean, sum.mean, 1e-6);
      EXPECT_NEAR(load.variance, sum.variance, 1e-3);
      EXPECT_NEAR(load.deviations, sum.deviations, 1e-6);
    }
  }
}

}  // namespace
}  // namespace chorok::policy
