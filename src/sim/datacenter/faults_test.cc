// Faults in the honest data centre under the loops of production: no VM runs twice, none stays
// down where there is room, and everything is said.
#include "sim/datacenter/faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/datacenter/chorok_planner.h"
#include "sim/datacenter/honest.h"
#include "sim/datacenter/honest_world.h"
#include "sim/datacenter/test_support.h"

namespace chorok::sim::datacenter {
namespace {

using ::testing::Contains;
using ::testing::Not;
using Event = control::LoopEvent::Kind;

HonestSettings hosts_of_four_cores(std::int32_t hosts) {
  HonestSettings s;
  HostType type{.core_mhz = 2000, .cores = 4, .memory_mib = 8192};
  for (std::size_t i = 0; i <= 10; ++i) type.curve.watts[i] = 100 + 10 * static_cast<double>(i);
  s.host_types = {type};
  s.hosts = hosts;
  s.vm_types = {{1000, 1024, 1}};
  s.boot_s = 100;
  s.boot_j = 5000;
  s.shutdown_s = 50;
  s.shutdown_j = 1000;
  return s;
}

Planner with_ha() {
  model::PolicySettings settings = ChorokPlannerSettings::defaults();
  settings.ha.enabled = true;
  settings.ha.failures = 1;
  return chorok_planner({.policy = settings, .forecast = {}});
}

std::vector<Event> kinds_of(const HonestRun& run) {
  std::vector<Event> kinds;
  for (const HonestRun::Event& event : run.events) kinds.push_back(event.event.kind);
  return kinds;
}

double time_of(const HonestRun& run, Event kind) {
  const auto found =
      std::ranges::find(run.events, kind, [](const auto& e) { return e.event.kind; });
  return found == run.events.end() ? -1 : found->time_s;
}

HonestRun run_of(const TraceSet& traces, const HonestSettings& settings, const Planner& planner) {
  Result<HonestRun> run = run_honest(traces, settings, planner);
  EXPECT_TRUE(run) << run.error().message;
  return run ? *run : HonestRun{};
}

// Twelve VMs that ask for a quarter of their CPU over an hour.
TraceSet quiet_hour() {
  return traces_of(std::vector<std::vector<double>>(12, std::vector<double>(13, 0.25)));
}

TEST(Faults, VmsOfAFailedHostRunAgainWithinSeconds) {
  HonestSettings settings = hosts_of_four_cores(4);
  settings.faults = {{.kind = FaultKind::kHost, .at_s = 1000, .for_s = 600, .host = 0}};
  const HonestRun run = run_of(quiet_hour(), settings, with_ha());
  EXPECT_GT(run.vms_lost, 0);
  EXPECT_EQ(run.vms_restarted, run.vms_lost);
  EXPECT_EQ(run.doubles, 0);
  // The BMC says off, so nobody waits for a lease: silent for 5 s, and they start.
  EXPECT_DOUBLE_EQ(time_of(run, Event::kHostFailed), 1005);
  EXPECT_NEAR(run.vm_down_s, 5.0 * static_cast<double>(run.vms_lost), 1e-6);
}

TEST(Faults, ADeadBmcDelaysRecoveryByTheLeaseOnly) {
  HonestSettings settings = hosts_of_four_cores(4);
  settings.faults = {{.kind = FaultKind::kHost, .at_s = 1000, .for_s = 600, .host = 0},
                     {.kind = FaultKind::kBmc, .at_s = 900, .for_s = 2000, .host = 0}};
  const HonestRun run = run_of(quiet_hour(), settings, with_ha());
  EXPECT_EQ(run.vms_restarted, run.vms_lost);
  EXPECT_GT(run.vms_lost, 0);
  EXPECT_DOUBLE_EQ(time_of(run, Event::kHostFailed), 1030);
}

TEST(Faults, APartitionNeverRunsAVmTwice) {
  for (const bool bmc : {true, false}) {
    HonestSettings settings = hosts_of_four_cores(4);
    settings.faults = {{.kind = FaultKind::kPartition, .at_s = 1000, .for_s = 900, .host = 0}};
    if (!bmc)
      settings.faults.push_back({.kind = FaultKind::kBmc, .at_s = 900, .for_s = 2000, .host = 0});
    const HonestRun run = run_of(quiet_hour(), settings, with_ha());
    EXPECT_EQ(run.doubles, 0);
    EXPECT_GT(run.vms_lost, 0);
    EXPECT_EQ(run.vms_restarted, run.vms_lost);
    EXPECT_THAT(kinds_of(run), Contains(Event::kHostSilent));
    EXPECT_THAT(kinds_of(run), Contains(Event::kHostFailed));
  }
}

// What was placed is known before anybody looks.
TEST(Faults, APartitionBeforeTheFirstLookRunsNoVmTwice) {
  for (const double at : {10.0, 150.0, 250.0, 285.0, 299.0}) {
    HonestSettings settings = hosts_of_four_cores(4);
    settings.faults = {{.kind = FaultKind::kPartition, .at_s = at, .for_s = 900, .host = 0}};
    const HonestRun run = run_of(quiet_hour(), settings, with_ha());
    EXPECT_EQ(run.doubles, 0) << at;
    EXPECT_EQ(run.vms_restarted, run.vms_lost) << at;
  }
}

TEST(Faults, AShortPartitionMovesNothing) {
  HonestSettings settings = hosts_of_four_cores(4);
  settings.faults = {{.kind = FaultKind::kPartition, .at_s = 1000, .for_s = 4, .host = 0}};
  const HonestRun run = run_of(quiet_hour(), settings, with_ha());
  EXPECT_EQ(run.vms_lost, 0);
  EXPECT_THAT(kinds_of(run), Not(Contains(Event::kHostSilent)));
}

// What runs on one host at a quarter of its load wants three at full load; one of the two that
// sleep does not wake.
TEST(Faults, AnotherHostIsWokenForOneThatDoesNotCome) {
  std::vector<double> rises(40, 0.1);
  std::fill(rises.begin() + 10, rises.end(), 0.9);
  const TraceSet traces = traces_of(std::vector<std::vector<double>>(16, rises));
  HonestSettings settings = hosts_of_four_cores(4);
  for (std::int32_t h = 0; h < 4; ++h)
    if (h != 0 && h != 3)
      settings.faults.push_back({.kind = FaultKind::kWake, .at_s = 0, .for_s = 1e6, .host = h});
  const HonestRun run = run_of(traces, settings, chorok_planner());
  EXPECT_THAT(kinds_of(run), Contains(Event::kHostAwake));
  EXPECT_THAT(kinds_of(run), Contains(Event::kWakeFailed));
}

TEST(Faults, AFailedMigrationLeavesTheVmWhereItWas) {
  const TraceSet traces = traces_of({std::vector<double>(4, 0.2)});
  HonestSettings settings = hosts_of_four_cores(2);
  settings.faults = {{.kind = FaultKind::kMigration, .at_s = 0, .for_s = 1e6, .host = 0}};
  HonestWorld world(traces, settings);
  world.ask(0);
  world.power = {HonestWorld::Power::kOn, HonestWorld::Power::kOn};
  ASSERT_TRUE(world.start_vm(0, 0));
  world.advance(0);
  ASSERT_TRUE(world.migrate(0, 1));
  world.advance(world.next_event());
  EXPECT_EQ(world.host[0], 0U);
  EXPECT_EQ(world.moving[0], 0);
  EXPECT_DOUBLE_EQ(world.reserved[1], 0);
  EXPECT_DOUBLE_EQ(world.reserved[0], 1024);
}

TEST(Faults, AVmThatIsInNoLaterSampleHasLeft) {
  const TraceSet traces = traces_of({{0.5, 0.5, 0.5, 0.5, 0.5}, {0.5, 0.5, -1, -1, -1}});
  std::vector<std::int32_t> vms;
  Result<HonestRun> run = run_honest(traces, hosts_of_four_cores(1), HonestPolicy::kDvfs,
                                     [&](const TickRow& row) { vms.push_back(row.vms); });
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_THAT(vms, ::testing::ElementsAre(2, 2, 1, 1, 1));
  EXPECT_EQ(run->metrics.vms_left, 1);
  // 1,000 MHz of two VMs to 600 s, then 500: (100 + 12.5) W for 300 s, 106.25 W for 900.
  EXPECT_NEAR(run->metrics.energy_kwh * 3.6e6, 112.5 * 300 + 106.25 * 900, 1e-6);
}

TEST(Faults, AreTheSameForASeedAndOfEachKindAsManyAsExpected) {
  const FaultRates rates = {.host = 4, .bmc = 2, .partition = 0, .wake = 1, .migration = 0};
  const double year = 8760 * 3600;
  const std::vector<Fault> once = random_faults(rates, 1000, year, 7);
  const std::vector<Fault> again = random_faults(rates, 1000, year, 7);
  ASSERT_EQ(once.size(), again.size());
  EXPECT_EQ(std::ranges::count(once, FaultKind::kHost, &Fault::kind), 4000);
  EXPECT_EQ(std::ranges::count(once, FaultKind::kPartition, &Fault::kind), 0);
  EXPECT_TRUE(std::ranges::is_sorted(once, {}, &Fault::at_s));
  for (std::size_t i = 0; i < once.size(); ++i) {
    EXPECT_EQ(once[i].at_s, again[i].at_s);
    EXPECT_EQ(once[i].host, again[i].host);
  }
}

// A week of everything at once, for several seeds: nothing runs twice, and whatever was lost runs
// again or is said to be down.
TEST(Faults, ManyAtOnceLoseNothing) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const TraceSet traces = synthetic_day(60, static_cast<std::uint32_t>(seed));
    HonestSettings settings = hosts_of_four_cores(16);
    const double year_over_day = 365;
    settings.faults = random_faults({.host = year_over_day / 4,
                                     .bmc = year_over_day / 2,
                                     .partition = year_over_day / 4,
                                     .wake = year_over_day,
                                     .migration = year_over_day},
                                    16, 86400, seed);
    const HonestRun run = run_of(traces, settings, with_ha());
    EXPECT_EQ(run.doubles, 0) << "seed " << seed;
    EXPECT_GT(run.vms_lost, 0) << "seed " << seed;
    EXPECT_EQ(run.vms_restarted, run.vms_lost) << "seed " << seed;
    // A minute each, mostly the lease of hosts whose BMC hangs too.
    EXPECT_LT(run.vm_down_s, 60.0 * static_cast<double>(run.vms_lost)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace chorok::sim::datacenter
