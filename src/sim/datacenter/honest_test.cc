// The honest data centre on cases small enough to compute by hand.
#include "sim/datacenter/honest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/datacenter/chorok_planner.h"
#include "sim/datacenter/honest_world.h"
#include "sim/datacenter/test_support.h"

namespace chorok::sim::datacenter {
namespace {

using ::testing::HasSubstr;

constexpr double kKwh = 3.6e6;

// Hosts of 2 x 1000 MHz and 1000 MiB, 100 W idle, 200 W full; VMs of 1000 MHz and 400 MiB.
HonestSettings small(std::int32_t hosts) {
  HonestSettings s;
  HostType type{.core_mhz = 1000, .cores = 2, .memory_mib = 1000};
  for (std::size_t i = 0; i <= 10; ++i) type.curve.watts[i] = 100 + 10 * static_cast<double>(i);
  s.host_types = {type};
  s.hosts = hosts;
  s.vm_types = {{1000, 400}};
  s.boot_s = 100;
  s.boot_j = 5000;
  s.shutdown_s = 50;
  s.shutdown_j = 1000;
  s.link_mib_s = 10;
  s.dirty_mib_s = 0;
  s.slowed = 0.1;
  s.migration_load_mhz = 0;
  return s;
}

std::vector<double> steady(double share) {
  return std::vector<double>(4, share);
}

TEST(Honest, IdleHostsAndIdleVmsCost) {
  // One host with a VM at 500 of 2000 MHz: 125 W; another that only idles; 300 to 1200 s.
  const TraceSet traces = traces_of({steady(0.5)});
  auto on = run_honest(traces, small(2), HonestPolicy::kAlwaysOn);
  ASSERT_TRUE(on) << on.error().message;
  EXPECT_NEAR(on->metrics.energy_kwh * kKwh, (125 + 100) * 900, 1e-6);
  auto dvfs = run_honest(traces, small(2), HonestPolicy::kDvfs);
  EXPECT_NEAR(dvfs->metrics.energy_kwh * kKwh, 125 * 900, 1e-6);
  auto idle = run_honest(traces_of({{0, 0, 0, 0}}), small(2), HonestPolicy::kDvfs);
  EXPECT_NEAR(idle->metrics.energy_kwh * kKwh, 100 * 900, 1e-6);
  EXPECT_EQ(idle->metrics.vms_left, 1);
}

TEST(Honest, MemoryIsEnforced) {
  const TraceSet traces = traces_of({steady(0.1), steady(0.1), steady(0.1)});
  HonestWorld world(traces, small(2));
  world.ask(0);
  world.power[0] = HonestWorld::Power::kOn;
  EXPECT_FALSE(world.start_vm(0, 1));  // off
  EXPECT_TRUE(world.start_vm(0, 0));
  EXPECT_TRUE(world.start_vm(1, 0));
  EXPECT_FALSE(world.start_vm(2, 0));  // 1200 of 1000 MiB
  EXPECT_THAT(run_honest(traces, small(1), HonestPolicy::kDvfs).error().message,
              HasSubstr("no host has room for VM vm2"));
}

TEST(Honest, BootsAndStopsTakeTimeAndEnergy) {
  const TraceSet traces = traces_of({steady(0.5)});
  HonestWorld world(traces, small(1));
  world.start_meters();
  EXPECT_TRUE(world.power_on(0));
  EXPECT_FALSE(world.power_on(0));
  EXPECT_DOUBLE_EQ(world.next_event(), 100);
  world.advance(100);
  EXPECT_EQ(world.power[0], HonestWorld::Power::kOn);
  EXPECT_NEAR(world.energy_j(), 5000, 1e-9);
  world.advance(110);
  EXPECT_NEAR(world.energy_j(), 6000, 1e-9);
  EXPECT_TRUE(world.power_off(0));
  world.advance(160);
  EXPECT_EQ(world.power[0], HonestWorld::Power::kOff);
  EXPECT_NEAR(world.energy_j(), 7000, 1e-9);
  world.advance(1000);
  const Metrics m = world.finish();
  EXPECT_NEAR(m.energy_kwh * kKwh, 7000, 1e-6);
  EXPECT_EQ(m.host_on_count, 1);
  EXPECT_EQ(m.host_off_count, 1);
  EXPECT_NEAR(world.off_s[0], 840, 1e-9);
}

TEST(Honest, MigrationsShareLinksAndCopyWhatIsWritten) {
  const TraceSet traces = traces_of({steady(0.5), steady(0.5)});
  HonestSettings s = small(3);
  s.dirty_mib_s = 10;  // at half load: 5 MiB/s of a link of 10
  HonestWorld world(traces, s);
  world.ask(0);
  for (HonestWorld::Id h = 0; h < 3; ++h) world.power[h] = HonestWorld::Power::kOn;
  ASSERT_TRUE(world.start_vm(0, 0));
  ASSERT_TRUE(world.start_vm(1, 0));
  ASSERT_TRUE(world.migrate(0, 1));
  EXPECT_NEAR(world.next_event(), 400.0 / 5, 1e-9);
  EXPECT_FALSE(world.power_off(1));  // a VM is on its way
  world.advance(40);                 // 200 MiB left
  ASSERT_TRUE(world.migrate(1, 2));
  // Half a link each, of which writing takes 80 % at most.
  EXPECT_NEAR(world.next_event(), 40 + 200.0 / 1, 1e-9);
  world.advance(240);
  EXPECT_EQ(world.host[0], 1U);
  EXPECT_EQ(world.host[1], 0U);
  EXPECT_NEAR(world.next_event(), 240 + 200.0 / 5, 1e-9);  // the link to itself again
  world.advance(280);
  EXPECT_EQ(world.host[1], 2U);
  EXPECT_NEAR(world.reserved[0], 0, 1e-9);
  EXPECT_TRUE(world.power_off(0));
  const Metrics m = world.finish();
  EXPECT_EQ(m.migrations, 2);
  EXPECT_NEAR(m.migration_s, 240 + 240, 1e-9);
  // 10 % of half the work: both VMs ran all 280 s, each migrated for 240.
  EXPECT_NEAR(m.pdm, 0.1 * 480 / 560, 1e-12);
}

TEST(Honest, DemandAboveACoreOrAHostIsUnmet) {
  HonestSettings s = small(1);
  s.vm_types = {{1600, 100}};
  s.cpu_overcommit = 2;
  auto result = run_honest(traces_of({steady(1)}), s, HonestPolicy::kDvfs);
  EXPECT_THAT(result.error().message, HasSubstr("no host has room"));  // no such core
  s.vm_types.clear();
  TraceSet traces = traces_of({steady(1), steady(1), steady(1)});
  for (TraceVm& vm : traces.vms) {
    vm.cpu_mhz = 1000;
    vm.memory_mib = 100;
  }
  TickRow last;
  result = run_honest(traces, s, HonestPolicy::kDvfs, [&last](const TickRow& row) { last = row; });
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_NEAR(last.unmet_mhz_s, 1000 * 900, 1e-6);
  EXPECT_NEAR(result->metrics.unmet_demand, 1.0 / 3, 1e-12);  // 3000 of 2000 MHz
  EXPECT_NEAR(result->metrics.true_overload, 1, 1e-12);
  EXPECT_NEAR(result->metrics.overload_depth, 0.5, 1e-12);
}

TEST(Honest, APlanWaitsForWhatItNeeds) {
  int ticks = 0;
  Planner planner{.settings = ChorokPlannerSettings::defaults()};
  planner.plan = [&](const model::Snapshot& snapshot) {
    EXPECT_TRUE(model::check(snapshot));
    policy::Plan plan;
    if (++ticks == 1) {
      EXPECT_DOUBLE_EQ(snapshot.vms[0].cpu_demand.now, 200);  // the sample that is over
      EXPECT_EQ(snapshot.hosts[1].power, model::HostPower::kOff);
      EXPECT_DOUBLE_EQ(seconds(snapshot.hosts[1].time_on), 100);
      plan.actions.push_back({.kind = policy::ActionKind::kPowerOn, .to = 1});
      plan.actions.push_back(
          {.kind = policy::ActionKind::kMigrate, .vm = 0, .to = 1, .after = {0}});
      plan.actions.push_back({.kind = policy::ActionKind::kPowerOff, .to = 0, .after = {1}});
    } else {
      // 100 s of boot, 40 s of copying, 50 s of stopping have passed.
      EXPECT_EQ(snapshot.vms[0].host, 1U);
      EXPECT_EQ(snapshot.hosts[0].power, model::HostPower::kOff);
      EXPECT_EQ(snapshot.vms[0].moved_from, 0U);
      EXPECT_DOUBLE_EQ(snapshot.vms[0].cpu_when_moved, 200);  // as it was known then
    }
    return plan;
  };
  auto r = run_honest(traces_of({{0.2, 0.3, 0.3, 0.3}}), small(2), planner);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(ticks, 3);
  EXPECT_EQ(r->dropped, 0);
  EXPECT_EQ(r->metrics.migrations, 1);
  EXPECT_EQ(r->metrics.host_on_count, 1);
  EXPECT_EQ(r->metrics.host_off_count, 1);
  // Host 0: 115 W for 140 s, 1000 J; host 1: 5000 J, idle for 40 s, 115 W to 1200 s.
  EXPECT_NEAR(r->metrics.energy_kwh * kKwh, 115 * 140 + 1000 + 5000 + 100 * 40 + 115 * 760, 1e-6);
}

TEST(Honest, WhatCannotStartIsDroppedAndWhatIsWrongEndsTheRun) {
  Planner planner;
  planner.plan = [](const model::Snapshot&) {
    policy::Plan plan;  // the target stays off
    plan.actions.push_back({.kind = policy::ActionKind::kMigrate, .vm = 0, .to = 1});
    return plan;
  };
  auto r = run_honest(traces_of({steady(0.5)}), small(2), planner);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(r->dropped, 3);
  planner.plan = [](const model::Snapshot&) {
    policy::Plan plan;
    plan.actions.push_back({.kind = policy::ActionKind::kPowerOn, .to = 7});
    return plan;
  };
  EXPECT_THAT(run_honest(traces_of({steady(0.5)}), small(2), planner).error().message,
              HasSubstr("host 7"));
}

TEST(Honest, ChoroksPolicySavesOnASyntheticDay) {
  HonestSettings s = planetlab_honest_settings();
  s.hosts = 60;
  const TraceSet traces = synthetic_day(80, 7);
  const auto dvfs = run_honest(traces, s, HonestPolicy::kDvfs);
  const auto chorok = run_honest(traces, s, chorok_planner());
  const auto again = run_honest(traces, s, chorok_planner());
  ASSERT_TRUE(dvfs) << dvfs.error().message;
  ASSERT_TRUE(chorok) << chorok.error().message;
  EXPECT_LT(chorok->metrics.energy_kwh, dvfs->metrics.energy_kwh);
  EXPECT_EQ(chorok->metrics.energy_kwh, again->metrics.energy_kwh);
  EXPECT_EQ(chorok->metrics.migrations, again->metrics.migrations);
}

}  // namespace
}  // namespace chorok::sim::datacenter
