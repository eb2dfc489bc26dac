// What energy costs and emits: integrals by hand, through both engines, and bad input.
#include "sim/datacenter/account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sim/datacenter/experiment.h"
#include "sim/datacenter/sweep.h"
#include "sim/datacenter/test_support.h"

namespace chorok::sim::datacenter {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// One host that always draws 1000 W, one VM, six intervals of an hour; the first is not metered.
constexpr std::string_view kFlat = R"(
name = "flat"
policy = "always-on"
interval_s = 3600
[synthetic]
vms = 1
days = 0.25
[[hosts]]
count = 1
watts = [1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000]
cores = 4
core_mhz = 1000
memory_mib = 4096
[[vms]]
mhz = 1000
memory_mib = 512
)";

Result<Report> run_with(std::string_view more) {
  auto file = parse_experiment(std::string(more) + std::string(kFlat));
  if (!file) return Unexpected(file.error());
  return run_experiment({.file = *file});
}

std::string error_of(std::string_view more) {
  auto report = run_with(more);
  EXPECT_FALSE(report) << more;
  return report ? "" : report.error().field + ": " + report.error().message;
}

TEST(Account, AddsUpByTheHour) {
  // 21:00 in Korea; metered from 22:00 to 03:00: an hour by day at 150, four by night at 100.
  auto report = run_with(R"(start = "2026-03-01T12:00:00Z"
pue = 1.5
price = {value = 150, unit = "KRW", utc_offset_h = 9, source = "by hand", as_of = "2026", bands = [{value = 100, from_hour = 23, to_hour = 9}]}
carbon = {value = 0.5}
)");
  ASSERT_TRUE(report) << report.error().message << report.error().field;
  EXPECT_NEAR(report->energy_kwh, 5, 1e-9);
  EXPECT_NEAR(*report->cost, 1 * 150 + 4 * 100, 1e-6);
  EXPECT_NEAR(*report->co2_kg, 2.5, 1e-9);
  EXPECT_NEAR(*report->facility_kwh, 7.5, 1e-9);
  EXPECT_NEAR(*report->facility_cost, 825, 1e-6);
  EXPECT_NEAR(*report->facility_co2_kg, 3.75, 1e-9);
  EXPECT_EQ(report->currency, "KRW");
  EXPECT_EQ(report->price_source, "by hand, as of 2026");
}

TEST(Account, AnEdgeInsideAnIntervalCountsByItsParts) {
  // From 08:30: the price falls at half past in every metered hour but the first one.
  auto report = run_with(R"(start = 2026-03-02T07:30:00Z
price = {value = 10, unit = "EUR", bands = [{value = 20, from_hour = 9, to_hour = 10}]}
)");
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NEAR(*report->cost, 0.5 * 10 + 0.5 * 20 + 0.5 * 20 + 3.5 * 10, 1e-6);
  EXPECT_FALSE(report->co2_kg);
  EXPECT_FALSE(report->facility_kwh);  // a PUE of 1 is not applied
}

TEST(Account, WithoutPricesNothingIsSaid) {
  auto report = run_with("");
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->cost);
  EXPECT_EQ(report->pue, 1);
  auto facility = run_with("pue = 1.2\n");
  ASSERT_TRUE(facility);
  EXPECT_NEAR(*facility->facility_kwh, 6, 1e-9);
  EXPECT_FALSE(facility->facility_cost);
}

TEST(Account, TakesSeriesFromAFileBesideTheExperiment) {
  const fs::path folder =
      fs::temp_directory_path() / ("chorok-account-" + std::to_string(getpid()));
  fs::create_directories(folder);
  // Metered from 01:00 to 06:00: half an hour at 0.2, four and a half at 0.4.
  std::ofstream(folder / "grid.csv") << "time,value\n2026-03-01,0.2\n2026-03-01T01:30,0.4\n"
                                        "2026-03-01T06:00,0.1\n";
  std::ofstream(folder / "e.toml") << "start = \"2026-03-01\"\n"
                                      "carbon = {file = \"grid.csv\"}\n"
                                   << kFlat;
  auto file = read_experiment(folder / "e.toml");
  ASSERT_TRUE(file) << file.error().message;
  auto report = run_experiment({.file = *file});
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_NEAR(*report->co2_kg, 0.5 * 0.2 + 4.5 * 0.4, 1e-9);
  file->start = "2026-03-01T05:00";  // the series ends at 10:30
  auto late = run_experiment({.file = *file});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().field, "/start");
  EXPECT_THAT(late.error().message, HasSubstr("no figures for all"));
  file->carbon->file = (folder / "none.csv").string();
  EXPECT_FALSE(run_experiment({.file = *file}));
  EXPECT_EQ(calendar_of((folder / "grid.csv").string(), CalendarKind::kCarbon)->series.size(), 3U);
  EXPECT_EQ(calendar_of((folder / "grid.csv").string() + ":EUR", CalendarKind::kPrice)->unit,
            "EUR");
  std::ofstream(folder / "tariff.toml") << "value = 3\nunit = \"EUR\"\n";
  EXPECT_EQ(calendar_of((folder / "tariff.toml").string(), CalendarKind::kPrice)->value, 3);
  fs::remove_all(folder);
}

TEST(Account, ConstantPricesAreTheEnergyTimesThemInBothModes) {
  const TraceSet traces = synthetic_day(40, 3);
  for (std::string_view name : {"planetlab-compat", "planetlab-honest"}) {
    auto file = parse_experiment(find_experiment(name).value()->toml);
    ASSERT_TRUE(file);
    const auto plain = run_experiment({.file = *file, .read_already = &traces});
    ASSERT_TRUE(set_field(*file, "price.use", "korea-industrial"));
    ASSERT_TRUE(set_field(*file, "carbon.use", "korea-grid"));
    const auto report = run_experiment({.file = *file, .read_already = &traces});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_NEAR(*report->cost, report->energy_kwh * 178, 1e-6 * *report->cost) << name;
    EXPECT_NEAR(*report->co2_kg, report->energy_kwh * 0.4173, 1e-6 * *report->co2_kg) << name;
    EXPECT_EQ(report->energy_kwh, plain->energy_kwh) << name;  // money changes nothing else
    EXPECT_EQ(report->migrations, plain->migrations) << name;
  }
}

TEST(Account, SaysWhatIsWrong) {
  EXPECT_THAT(error_of("price = {use = \"korea-industrial-tou\"}\n"),
              HasSubstr("/start: the price goes by the hour"));
  EXPECT_THAT(error_of("start = \"soon\"\n"), HasSubstr("/start: 'soon' is no time"));
  EXPECT_THAT(error_of("price = {use = \"korea\"}\n"), HasSubstr("/price/use: there is no cal"));
  EXPECT_THAT(error_of("price = {use = \"korea-grid\"}\n"), HasSubstr("korea-industrial"));
  EXPECT_THAT(error_of("price = {value = 3}\n"), HasSubstr("/price/unit: which currency"));
  EXPECT_THAT(error_of("price = {}\n"), HasSubstr("/price/value"));
  EXPECT_THAT(error_of("price = {value = 3, file = \"x\"}\n"), HasSubstr("/price/file"));
  EXPECT_THAT(error_of("price = {value = 3, use = \"korea-industrial\"}\n"),
              HasSubstr("/price/use"));
  EXPECT_THAT(error_of("price = {value = -3, unit = \"EUR\"}\n"), HasSubstr("/price/value"));
  EXPECT_THAT(error_of("carbon = {value = 417}\n"), HasSubstr("kilograms, not grams"));
  EXPECT_THAT(error_of("carbon = {value = 0.4, unit = \"g\"}\n"), HasSubstr("/carbon/unit"));
  EXPECT_THAT(error_of("pue = 0.9\n"), HasSubstr("/pue"));
  EXPECT_THAT(
      error_of("price = {value = 1, unit = \"EUR\", bands = [{value = 2, to_hour = 25}]}\n"),
      HasSubstr("/price/bands/0/to_hour"));
  EXPECT_THAT(
      error_of("price = {value = 1, unit = \"EUR\", bands = [{value = 2, from_hour = 24}]}\n"),
      HasSubstr("/price/bands/0/to_hour: begins and ends"));
  for (const char* text : {"", "-1", "1e99", "12kr", "nan", "0.2 EURO"})
    EXPECT_FALSE(calendar_of(text, CalendarKind::kPrice)) << text;
  EXPECT_EQ(calendar_of("0.21 EUR", CalendarKind::kPrice)->unit, "EUR");
  EXPECT_EQ(calendar_of("korea-grid", CalendarKind::kCarbon)->value, 0.4173);
  EXPECT_FALSE(calendar_of("11", CalendarKind::kCarbon));
}

TEST(Account, SweepsVaryPrices) {
  auto file = parse_experiment(kFlat);
  ASSERT_TRUE(file);
  file->start = "2026-03-01";
  auto runs = run_sweep({.base = *file,
                         .axes = {{"price.use", {"korea-industrial", "korea-industrial-tou"}}},
                         .threads = 2});
  ASSERT_TRUE(runs) << runs.error().message;
  EXPECT_NEAR(*runs->at(0).report.cost, 5 * 178, 1e-6);
  EXPECT_NEAR(*runs->at(1).report.cost, 5 * 95.7, 1e-6);
}

TEST(Account, ProgressGoesToTheEnd) {
  auto file = parse_experiment(kFlat);
  std::vector<double> shares;
  ASSERT_TRUE(run_experiment({.file = *file, .progress = [&](double s) { shares.push_back(s); }}));
  EXPECT_TRUE(std::ranges::is_sorted(shares));
  EXPECT_EQ(shares.back(), 1);
}

}  // namespace
}  // namespace chorok::sim::datacenter
