#include "sim/datacenter/experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "sim/datacenter/bounds.h"
#include "sim/datacenter/chorok_planner.h"
#include "sim/datacenter/compat.h"
#include "sim/datacenter/curves.h"
#include "sim/datacenter/test_support.h"

namespace chorok::sim::datacenter {
namespace {

using ::testing::HasSubstr;

// ---- Bounds ----

HostType straight(double mhz, double idle, double full, double memory) {
  HostType type{.core_mhz = mhz, .cores = 1, .memory_mib = memory};
  for (std::size_t i = 0; i <= 10; ++i)
    type.curve.watts[i] = idle + (full - idle) * static_cast<double>(i) / 10;
  return type;
}

constexpr double kHour = 3600;

TEST(Bounds, OfOneTypeByHand) {
  // 1000 MHz a host, 100 W idle, 200 W full; an hour at 500 MHz, then an hour up to 1500.
  const std::vector<double> time = {0, kHour, 2 * kHour};
  const std::vector<double> demand = {500, 500, 1500};
  const std::vector<double> memory = {100, 100, 350};
  const Bounds b = lower_bounds({.time_s = time,
                                 .demand_mhz = demand,
                                 .memory_mib = memory,
                                 .types = {straight(1000, 100, 200, 100)},
                                 .counts = {10},
                                 .boot_j = 3600});
  // 0.2 W/MHz: 100, 100, 300 W, halved at the ends.
  EXPECT_NEAR(b.lb0_kwh, 0.3, 1e-12);
  // 1, 1, 2 hosts: 150, 150, 350 W.
  EXPECT_NEAR(b.lb1_kwh, 0.4, 1e-12);
  // 1, 1, 4 hosts: 150, 150, 550 W.
  EXPECT_NEAR(b.lb2_kwh, 0.5, 1e-12);
  // One boot of 3600 J.
  EXPECT_NEAR(b.lb3_kwh, 0.401, 1e-12);
}

TEST(Bounds, DearBootsKeepHostsOn) {
  // Two hosts are needed at the ends; 100 W for an hour in between costs less than a boot.
  const std::vector<double> time = {0, kHour / 2, kHour, 3 * kHour / 2, 2 * kHour};
  const std::vector<double> demand = {1500, 500, 500, 500, 1500};
  BoundInput input{.time_s = time,
                   .demand_mhz = demand,
                   .memory_mib = {},
                   .types = {straight(1000, 100, 200, 100)},
                   .counts = {10},
                   .boot_j = 10 * 3.6e6};
  const Bounds dear = lower_bounds(input);
  EXPECT_NEAR(dear.lb3_kwh, dear.lb1_kwh + 0.1 * 1.5, 1e-12);
  input.boot_j = 3600;
  EXPECT_NEAR(lower_bounds(input).lb3_kwh, dear.lb1_kwh + 0.001, 1e-12);
}

TEST(Bounds, TheCheaperTypeIsTaken) {
  const std::vector<double> time = {0, kHour};
  const std::vector<double> demand = {900, 900};
  BoundInput input{.time_s = time,
                   .demand_mhz = demand,
                   .memory_mib = {},
                   .types = {straight(1000, 100, 200, 1), straight(1000, 50, 200, 1)},
                   .counts = {5, 5}};
  EXPECT_NEAR(lower_bounds(input).lb1_kwh, (50 + 0.9 * 150) / 1000, 1e-12);
  input.counts = {5, 0};
  EXPECT_NEAR(lower_bounds(input).lb1_kwh, (100 + 0.9 * 100) / 1000, 1e-12);
  input.counts = {0, 0};  // nothing could serve it: the fluid bound stands
  EXPECT_NEAR(lower_bounds(input).lb1_kwh, lower_bounds(input).lb0_kwh, 1e-12);
}

TEST(Bounds, AreThoseOfTheFacts) {
  CHOROK_NEED_SHARED_DATA();
  auto traces = read_planetlab(*shared_data() / "planetlab/20110303.tar.xz").value();
  CompatSettings settings = planetlab_settings();
  auto bounds = [&] {
    const CompatRun run = run_compat(traces, settings, parse_policy("dvfs").value()).value();
    return lower_bounds({.time_s = run.tick_time,
                         .demand_mhz = run.demand,
                         .memory_mib = run.memory,
                         .types = settings.host_types,
                         .counts = {400, 400}});
  };
  Bounds b = bounds();
  EXPECT_NEAR(b.lb0_kwh, 95.4, 0.051);
  EXPECT_NEAR(b.lb1_kwh, 96.3, 0.051);
  EXPECT_NEAR(b.lb2_kwh, 387.0, 0.051);
  EXPECT_NEAR(b.lb3_kwh, 97.8, 0.051);
  settings.keep_vms = true;
  b = bounds();
  EXPECT_NEAR(b.lb0_kwh, 114.2, 0.051);
  EXPECT_NEAR(b.lb1_kwh, 115.1, 0.051);
  EXPECT_NEAR(b.lb2_kwh, 691.3, 0.051);
  EXPECT_NEAR(b.lb3_kwh, 116.9, 0.1);
}

// ---- Curves ----

TEST(Curves, GrowWithLoadAndHaveASource) {
  for (const KnownCurve& known : known_curves()) {
    SCOPED_TRACE(known.curve.name);
    EXPECT_FALSE(known.source.empty());
    EXPECT_GT(known.cores, 0);
    for (std::size_t i = 1; i <= 10; ++i) EXPECT_GT(known.curve.watts[i], known.curve.watts[i - 1]);
  }
}

// ---- Experiments ----

TEST(Experiment, UnknownNamesSayWhatThereIs) {
  EXPECT_THAT(run_experiment({.experiment = "foo"}).error().message,
              HasSubstr("there are planetlab-compat"));
  EXPECT_THAT(run_experiment({.traces = "nowhere", .policy = "dvfs"}).error().message,
              HasSubstr("nowhere: no such file or folder"));
}

TEST(Experiment, ReportsWhatTheIssueAsksFor) {
  CHOROK_NEED_SHARED_DATA();
  int rows = 0;
  auto report = run_experiment({.traces = *shared_data() / "planetlab/20110303.tar.xz",
                                .policy = "lr-mmt-1.2",
                                .row = [&](const TickRow&) { ++rows; }});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(rows, 2003);
  const std::string json = json::encode(*report);
  for (const char* key :
       {"energy_kwh", "migrations", "migration_s", "true_overload", "unmet_demand", "slatah", "pdm",
        "slav", "esv", "host_on_count", "unused_kwh", "lb0_kwh", "lb1_kwh", "lb2_kwh", "lb3_kwh",
        "wall_s", "peak_rss_mib"})
    EXPECT_THAT(json, HasSubstr(std::string("\"") + key + "\":"));
  EXPECT_NEAR(report->energy_kwh, 163.48, 0.005);
  EXPECT_GT(report->wall_s, 0);
  EXPECT_GT(report->peak_rss_mib, 1);
}

TEST(Experiment, ChoroksOwnPolicyDrivesIt) {
  CompatSettings settings = planetlab_settings();
  settings.hosts = 60;
  const TraceSet traces = synthetic_day(80, 7);
  const auto lr = run_compat(traces, settings, parse_policy("lr-mmt-1.2").value());
  const auto first = run_compat(traces, settings, chorok_planner());
  const auto again = run_compat(traces, settings, chorok_planner());
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->metrics.energy_kwh, again->metrics.energy_kwh);
  EXPECT_EQ(first->metrics.migrations, again->metrics.migrations);
  EXPECT_LT(first->metrics.energy_kwh, lr->metrics.energy_kwh);
  EXPECT_LT(first->metrics.migrations, lr->metrics.migrations);
}

TEST(Experiment, CsvLinesHaveTheHeadersColumns) {
  const std::string line = csv_line({.time_s = 300.1, .active_hosts = 3, .migrations = 7});
  EXPECT_EQ(line, "300.100,3,0,0,0.000,0.000000,7");
  EXPECT_EQ(std::ranges::count(line, ','), std::ranges::count(csv_header(), ','));
}

}  // namespace
}  // namespace chorok::sim::datacenter
