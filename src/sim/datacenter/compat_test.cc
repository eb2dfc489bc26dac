// Compat mode on data centres small enough to compute by hand.
#include "sim/datacenter/compat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/datacenter/compat_consolidate.h"
#include "sim/datacenter/compat_world.h"
#include "sim/datacenter/curves.h"
#include "sim/datacenter/test_support.h"

namespace chorok::sim::datacenter {
namespace {

using ::testing::HasSubstr;

constexpr double kKwh = 3.6e6;

CompatSettings small(std::int32_t hosts) {
  CompatSettings s = planetlab_settings();
  s.hosts = hosts;
  s.vm_types = {{1000, 1740}};
  s.end_s = 1300;  // ticks at 300.1, 600.1, 900.1, 1200.1
  return s;
}

std::vector<double> steady(double share) {
  return std::vector<double>(5, share);
}

CompatRun run(const std::vector<std::vector<double>>& rows, const CompatSettings& settings,
              const char* policy) {
  auto result = run_compat(traces_of(rows), settings, parse_policy(policy).value());
  EXPECT_TRUE(result) << result.error().message;
  return std::move(result).value();
}

TEST(SpecPower, IsLinearBetweenTenths) {
  const SpecPower power(known_curve("hp-ml110-g5").curve);
  EXPECT_DOUBLE_EQ(power.at(0), 93.7);
  EXPECT_DOUBLE_EQ(power.at(0.3), 105);
  EXPECT_DOUBLE_EQ(power.at(0.35), 107.5);
  EXPECT_DOUBLE_EQ(power.at(1), 135);
}

TEST(Compat, PowerFollowsLoadFromTheFirstTickOn) {
  // 500 MHz on a G4: load 0.13440860, 89.4 + 0.3440860 * 3.2 = 90.5010753 W, 300.1 to 1200.1 s.
  auto r = run({steady(0.5)}, small(2), "dvfs");
  EXPECT_NEAR(r.metrics.energy_kwh * kKwh, 90.50107527 * 900, 1e-3);
  EXPECT_EQ(r.metrics.host_off_count, 1);  // the host that was never used
  EXPECT_NEAR(r.metrics.host_hours, 900.0 / 3600, 1e-9);
  EXPECT_EQ(r.demand.size(), 4U);
  EXPECT_DOUBLE_EQ(r.demand[0], 500);
}

TEST(Compat, WithoutPowerManagementEveryHostDrawsItsMostFromTheStart) {
  auto r = run({steady(0.5)}, small(2), "npa");
  EXPECT_NEAR(r.metrics.energy_kwh * kKwh, (117 + 135) * 1200.1, 1e-6);
}

TEST(Compat, AVmThatAsksForNothingIsGone) {
  auto r = run({{0.5, 0.5, 0, 0, 0.9}}, small(2), "dvfs");
  EXPECT_EQ(r.metrics.vms_left, 0);
  EXPECT_DOUBLE_EQ(r.demand[3], 0);  // it was gone before it asked again
  CompatSettings keep = small(2);
  keep.keep_vms = true;
  r = run({{0.5, 0.5, 0, 0, 0.9}}, keep, "dvfs");
  EXPECT_EQ(r.metrics.vms_left, 1);
  EXPECT_GT(r.demand[3], 0);
}

TEST(Compat, OverloadGivesWholeMhzInProportion) {
  CompatSettings s = small(1);
  s.host_types[0].memory_mib = 16384;
  s.vm_types = {{1860, 100}};
  TraceSet traces = traces_of({steady(1), steady(1), steady(1)});
  CompatWorld world(traces, s);
  for (VmId v = 0; v < 3; ++v) world.place(v, 0);
  world.update(300.1);
  // 3720 * 1860 / 5580 = 1240 each.
  EXPECT_DOUBLE_EQ(world.load_mhz[0], 3 * 1240);
  world.update(600.1);
  const Metrics m = world.finish();
  EXPECT_NEAR(m.true_overload, 1, 1e-12);
  EXPECT_NEAR(m.overload_depth, 0.5, 1e-12);
  EXPECT_NEAR(m.unmet_demand, 1.0 / 3, 1e-12);
  EXPECT_NEAR(m.slatah, 1, 1e-12);
}

TEST(Compat, AMigrationTakesMemoryOverHalfTheLinkAndTenPercent) {
  TraceSet traces = traces_of({steady(0.5)});
  const CompatSettings s = small(2);
  CompatWorld world(traces, s);
  world.place(0, 0);
  world.update(300.1);
  EXPECT_DOUBLE_EQ(world.load_mhz[0], 500);
  world.start({{.vm = 0, .to = 1}});
  EXPECT_DOUBLE_EQ(world.load_mhz[0], 500);  // the source still counts in full
  EXPECT_DOUBLE_EQ(world.load_mhz[1], 50);
  std::vector<TickRow> rows;
  world.finish_migrations([&](const TickRow& row) { rows.push_back(row); });
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_NEAR(rows[0].time_s, 300.1 + 1740 / 62.5, 1e-9);
  EXPECT_EQ(rows[0].active_hosts, 2);
  EXPECT_EQ(rows[1].active_hosts, 1);
  EXPECT_DOUBLE_EQ(world.load_mhz[0], 0);
  EXPECT_DOUBLE_EQ(world.load_mhz[1], 500);
  world.update(600.1);
  const Metrics m = world.finish();
  EXPECT_EQ(m.migrations, 1);
  EXPECT_NEAR(m.migration_s, 27.84, 1e-9);
  EXPECT_NEAR(m.pdm, 0.1 * 27.84 / 300, 1e-12);
  EXPECT_NEAR(m.slatah, 27.84 / (27.84 + 300), 1e-12);  // the target, while the VM arrives
  EXPECT_DOUBLE_EQ(m.true_overload, 0);
}

TEST(Compat, TheLeastLoadedHostIsEvacuated) {
  // Two VMs are spread over two G4s; the first tick joins them on one.
  auto r = run({steady(0.3), steady(0.5)}, small(4), "thr-mmt-0.8");
  EXPECT_EQ(r.metrics.migrations, 1);
  EXPECT_EQ(r.metrics.host_off_count, 3);
}

TEST(Compat, AnOverloadedHostSendsItsSmallestVm) {
  CompatSettings s = small(2);
  s.host_types.pop_back();  // two G4s
  s.vm_types = {{1000, 500}, {1500, 400}, {1860, 300}};
  TraceSet traces = traces_of({steady(.9), steady(.8), steady(.68)});
  CompatWorld world(traces, s);
  for (VmId v = 0; v < 3; ++v) world.place(v, 0);
  world.update(300.1);  // 900 + 1200 + 1264.8 of 3720 MHz: 0.9045
  auto moves = [&](double threshold) {
    Consolidation thr(world, {CompatPolicy::kThr, threshold});
    return thr.decide();
  };
  EXPECT_TRUE(moves(0.91).empty());
  ASSERT_EQ(moves(0.9).size(), 1U);
  EXPECT_EQ(moves(0.9)[0].vm, 2U);
  EXPECT_EQ(moves(0.9)[0].to, 1U);
  EXPECT_EQ(moves(0.5).size(), 2U);  // and the next smallest, until 900 MHz are left
}

TEST(Compat, PolicyNamesCarryTheirParameter) {
  EXPECT_EQ(parse_policy("lr-mmt-1.2")->policy, CompatPolicy::kLr);
  EXPECT_DOUBLE_EQ(parse_policy("mad-mmt-2.75")->parameter, 2.75);
  for (const char* name : {"", "lr", "lr-mmt-", "lr-mmt-x", "lr-mmt-1.2x", "thr-mmt-0", "foo"}) {
    auto parsed = parse_policy(name);
    ASSERT_FALSE(parsed) << name;
    EXPECT_THAT(parsed.error().message, HasSubstr("there are npa, dvfs"));
  }
}

TEST(Compat, AllPoliciesRunOnASyntheticDay) {
  CompatSettings s = planetlab_settings();
  s.hosts = 60;
  const TraceSet traces = synthetic_day(80, 7);
  double dvfs = 0;
  for (const char* name :
       {"npa", "dvfs", "thr-mmt-0.8", "iqr-mmt-1.5", "mad-mmt-2.5", "lr-mmt-1.2"}) {
    SCOPED_TRACE(name);
    auto once = run_compat(traces, s, parse_policy(name).value());
    auto again = run_compat(traces, s, parse_policy(name).value());
    ASSERT_TRUE(once && again);
    EXPECT_EQ(once->metrics.energy_kwh, again->metrics.energy_kwh);  // to the last bit
    EXPECT_EQ(once->metrics.migrations, again->metrics.migrations);
    if (name == std::string_view("dvfs")) dvfs = once->metrics.energy_kwh;
    if (once->metrics.migrations > 0) EXPECT_LT(once->metrics.energy_kwh, dvfs);
  }
}

TEST(Compat, TracesThatDoNotFitAreRefused) {
  CompatSettings s = small(1);
  EXPECT_THAT(run_compat(traces_of({std::vector<double>(5, 1.5)}), s, PolicyName{}).error().message,
              HasSubstr("share from 0 to 1"));
  TraceSet traces = traces_of(std::vector<std::vector<double>>(5, steady(0.5)));
  EXPECT_THAT(run_compat(traces, s, PolicyName{}).error().message,
              HasSubstr("no host has room for VM vm2"));
  traces.interval = std::chrono::minutes(1);
  EXPECT_THAT(run_compat(traces, s, PolicyName{}).error().message, HasSubstr("a sample every 60"));
}

// ---- The planner ----

policy::Plan move(model::Index vm, model::Index from, model::Index to) {
  policy::Plan plan;
  plan.actions.push_back({.kind = policy::ActionKind::kMigrate, .vm = vm, .from = from, .to = to});
  return plan;
}

TEST(Planner, SeesTheSnapshotAndIsCarriedOut) {
  int ticks = 0;
  int forecasts = 0;
  Planner planner;
  planner.place = [](const model::Snapshot& snapshot) {
    EXPECT_TRUE(model::check(snapshot));
    EXPECT_EQ(snapshot.vms[1].run, model::VmRun::kWaiting);
    EXPECT_DOUBLE_EQ(snapshot.vms[1].cpu_demand.now, 500);
    policy::Plan plan;
    plan.actions.push_back({.kind = policy::ActionKind::kStart, .vm = 1, .to = 1});
    return plan;
  };
  planner.forecast = [&](model::Snapshot& snapshot) {
    ++forecasts;
    snapshot.vms[0].cpu_demand.upper = 321;
  };
  planner.plan = [&](const model::Snapshot& snapshot) {
    EXPECT_TRUE(model::check(snapshot));
    EXPECT_EQ(forecasts, ++ticks);
    EXPECT_DOUBLE_EQ(snapshot.vms[0].cpu_demand.upper, 321);
    EXPECT_NEAR(seconds(snapshot.now.time_since_epoch()), 300 * ticks + 0.1, 1e-6);
    if (ticks == 1) {
      EXPECT_EQ(snapshot.vms[0].host, 3U);  // placed by the engine: a G5 costs least
      EXPECT_EQ(snapshot.hosts[3].power, model::HostPower::kOn);
      EXPECT_EQ(snapshot.hosts[2].power, model::HostPower::kOff);
      return move(0, 3, 1);
    }
    EXPECT_EQ(snapshot.vms[0].host, 1U);
    EXPECT_EQ(snapshot.vms[0].moved_from, 3U);
    EXPECT_EQ(snapshot.hosts[3].power, model::HostPower::kOff);
    return policy::Plan{};
  };
  auto r = run_compat(traces_of({steady(0.5), steady(0.5)}), small(4), planner);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(ticks, 4);
  EXPECT_EQ(r->metrics.migrations, 1);
  EXPECT_NEAR(r->metrics.migration_s, 27.84, 1e-9);
}

TEST(Planner, APlanThatCannotBeCarriedOutEndsTheRun) {
  auto error = [](const policy::Plan& plan) {
    Planner planner;
    planner.plan = [&](const model::Snapshot&) { return plan; };
    auto r = run_compat(traces_of({steady(0.5)}), small(2), planner);
    return r ? std::string() : r.error().message;
  };
  EXPECT_THAT(error(move(0, 1, 1)), HasSubstr("is there already"));
  EXPECT_THAT(error(move(0, 0, 9)), HasSubstr("names VM 0 and host 9"));
  policy::Plan twice = move(0, 1, 0);
  twice.actions.push_back(twice.actions[0]);
  EXPECT_THAT(error(twice), HasSubstr("moved by the same plan"));
}

}  // namespace
}  // namespace chorok::sim::datacenter
