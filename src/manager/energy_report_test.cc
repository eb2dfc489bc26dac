#include "manager/energy_report.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace chorok::manager {
namespace {

using ports::EnergyMeasure;
using ports::HistoryPoint;
using std::chrono::hours;
using std::chrono::minutes;

// Midnight in UTC.
constexpr Time kMidnight{std::chrono::sys_days(std::chrono::year(2026) / 11 / 1)};

HistoryPoint point(Time at, double kwh, double saved_kwh = 0) {
  HistoryPoint out{.at = at, .measured = hours(1)};
  out.amounts[EnergyMeasure::kTotal] = kwh * 3.6e6;
  out.amounts[EnergyMeasure::kMeasured] = kwh * 3.6e6 / 2;
  out.amounts[EnergyMeasure::kError] = kwh * 3.6e6 * 0.1;
  out.amounts[EnergyMeasure::kUnused] = kwh * 3.6e6 / 4;
  out.amounts[EnergyMeasure::kSaved] = saved_kwh * 3.6e6;
  return out;
}

TEST(EnergyReport, CostsWhatTheHourCosts) {
  Tariff tariff;
  tariff.price = model::Calendar{.value = 100, .unit = "KRW", .source = "a contract"};
  tariff.price->bands.push_back({.value = 200, .from_hour = 1, .to_hour = 2});
  tariff.carbon = model::Calendar{.value = 0.4, .unit = "kg"};
  tariff.pue = 1.5;
  SeriesInput input{.from = kMidnight,
                    .to = kMidnight + hours(4),
                    .step = hours(2),
                    .points = {},
                    .points_step = hours(1)};
  for (int i = 0; i < 4; ++i) input.points.push_back(point(kMidnight + hours(i), 1, i == 1));
  model::EnergySeries out;
  summarize(input, tariff, out);
  EXPECT_DOUBLE_EQ(out.kwh, 4);
  EXPECT_DOUBLE_EQ(out.watts, 1000);
  EXPECT_DOUBLE_EQ(out.it.money, 500);
  EXPECT_DOUBLE_EQ(out.it.co2_kg, 1.6);
  EXPECT_DOUBLE_EQ(out.facility.kwh, 6);
  EXPECT_DOUBLE_EQ(out.facility.money, 750);
  EXPECT_DOUBLE_EQ(out.saved.money, 200) << "at the price of its hour";
  EXPECT_DOUBLE_EQ(out.measured, 0.5);
  EXPECT_DOUBLE_EQ(out.error, 0.1);
  EXPECT_DOUBLE_EQ(out.unused_joules, 3.6e6);
  ASSERT_EQ(out.points.size(), 2u);
  EXPECT_DOUBLE_EQ(out.points[1].watts, 1000);
  EXPECT_DOUBLE_EQ(out.points[1].unused_watts, 250);
  EXPECT_EQ(out.currency, "KRW");
  const Time end = input.to;
  add_pending({end - hours(1), end, 3.6e6, 3.6e6, 0, 0}, tariff, out);
  EXPECT_DOUBLE_EQ(out.kwh, 5);
  EXPECT_DOUBLE_EQ(out.measured, 0.6);
  EXPECT_DOUBLE_EQ(out.facility.kwh, 7.5);
}

SeriesInput quarter(std::vector<HistoryPoint> points) {
  return {.from = kMidnight,
          .to = kMidnight + minutes(4),
          .step = minutes(1),
          .points = std::move(points),
          .points_step = minutes(1)};
}
HistoryPoint watts(Time at, double watts, Duration measured) {
  HistoryPoint out{.at = at, .measured = measured};
  out.amounts[EnergyMeasure::kTotal] = watts * seconds(measured);
  out.amounts[EnergyMeasure::kUnused] = watts * seconds(measured) / 2;
  out.amounts[EnergyMeasure::kError] = watts * seconds(measured) * 0.2;
  return out;
}

TEST(EnergyReport, AMeanIsOfTheTimeThatWasMeasured) {
  model::EnergySeries out;
  summarize(quarter({watts(kMidnight + minutes(2), 100, std::chrono::seconds(30)),
                     watts(kMidnight + minutes(3), 200, minutes(1))}),
            {}, out);
  EXPECT_EQ(out.measured_for, std::chrono::seconds(90));
  EXPECT_DOUBLE_EQ(out.watts, (30 * 100 + 60 * 200) / 90.0);
  EXPECT_DOUBLE_EQ(out.points.at(0).watts, 100);
  EXPECT_DOUBLE_EQ(out.peak_watts, 200);
}

TEST(EnergyReport, StepsAreScaledByEachHostsOwnTime) {
  model::EnergySeries out;
  // Three hosts of 100 W: one was measured through the first minute, two for 20 s of it.
  summarize(quarter({watts(kMidnight, 100, std::chrono::seconds(100)),
                     watts(kMidnight + minutes(1), 100, minutes(3))}),
            {}, out);
  EXPECT_TRUE(is_partial(out, out.points[0]));
  EXPECT_FALSE(is_partial(out, out.points[1]));
  refine({{6000, 3000, 60}, {2000, 1000, 20}, {2000, 1000, 20}, {}}, out.points[0]);
  conclude(out);
  EXPECT_DOUBLE_EQ(out.points[0].watts, 300);
  EXPECT_DOUBLE_EQ(out.points[0].unused_watts, 150);
  EXPECT_EQ(out.points[0].covered, minutes(1));
  EXPECT_DOUBLE_EQ(out.points[1].watts, 300);
  EXPECT_DOUBLE_EQ(out.peak_watts, 300);
}

TEST(EnergyReport, WhatIsPendingFillsTheLastSteps) {
  model::EnergySeries out;
  summarize(quarter({watts(kMidnight + minutes(2), 100, std::chrono::seconds(30))}), {}, out);
  add_pending({.from = kMidnight + minutes(2) + std::chrono::seconds(30),
               .to = kMidnight + minutes(4),
               .joules = 9000,
               .measured = 0,
               .estimated = 0,
               .error = 0},
              {}, out);
  ASSERT_EQ(out.points.size(), 2u);
  EXPECT_DOUBLE_EQ(out.points[0].joules, 6000);
  EXPECT_DOUBLE_EQ(out.points[0].unused_watts, 25) << "what is pending is nobody's yet";
  EXPECT_DOUBLE_EQ(out.points[0].error, 0.1);
  EXPECT_DOUBLE_EQ(out.points[1].joules, 6000);
  EXPECT_DOUBLE_EQ(out.points[1].watts, 100);
  EXPECT_DOUBLE_EQ(out.joules, 12'000);
  EXPECT_DOUBLE_EQ(out.pending_joules, 9000);
}

TEST(EnergyReport, WhatAVmDrewIsKnownAsItsClusterIs) {
  model::EnergySeries cluster, vm;
  summarize(
      quarter({watts(kMidnight, 100, minutes(1)), watts(kMidnight + minutes(1), 100, minutes(1))}),
      {}, cluster);
  cluster.points[1].error = 0.4;
  cluster.sources = sources_of(
      by_source(model::WattSource::kMeasured, model::MeterMethod::kRedfish, 12'000, 3000));
  SeriesInput input = quarter({watts(kMidnight, 100, minutes(1)),
                               watts(kMidnight + minutes(1), 100, std::chrono::seconds(120))});
  for (HistoryPoint& point : input.points) point.amounts[ports::Measure::kEnergy] = 1200;
  input.is_share = true;
  summarize(input, {}, vm);
  take_from_cluster(cluster, true, vm);
  EXPECT_DOUBLE_EQ(vm.points[0].error, 0.2);
  EXPECT_DOUBLE_EQ(vm.points[1].error, 0.4);
  EXPECT_DOUBLE_EQ(vm.points[1].watts, 20);
  EXPECT_DOUBLE_EQ(vm.error, 0.2);
  ASSERT_EQ(vm.sources.size(), 2u);
  EXPECT_EQ(vm.sources[0].method, model::MeterMethod::kRedfish);
  EXPECT_DOUBLE_EQ(vm.sources[0].share, 0.75);
  EXPECT_DOUBLE_EQ(vm.sources[0].joules, 1800);
  EXPECT_TRUE(vm.sources[1].estimated);
}

TEST(EnergyReport, JoulesKeepTheirSources) {
  auto kept = by_source(model::WattSource::kSimulated, model::MeterMethod::kRedfish, 10, 0);
  const auto more = by_source(model::WattSource::kModelled, model::MeterMethod::kModel, 30, 30);
  for (std::size_t i = 0; i < ports::kMeasures; ++i) kept.values[i] += more.values[i];
  const auto sources = sources_of(kept);
  ASSERT_EQ(sources.size(), 2u);
  EXPECT_TRUE(sources[0].estimated);
  EXPECT_DOUBLE_EQ(sources[0].share, 0.75);
  EXPECT_EQ(sources[1].source, model::WattSource::kSimulated);
  EXPECT_DOUBLE_EQ(sources[1].joules, 10);
  EXPECT_TRUE(sources_of({}).empty());
}

TEST(EnergyReport, ACalendarInAFileIsLookedAtWhenItIsNamed) {
  int asked = 0;
  const FindCalendar none = [&](const std::string&, bool is_carbon) -> Result<> {
    ++asked;
    return fail(Code::kNotFound, is_carbon ? "no carbon" : "no price");
  };
  model::EnergySettings settings{.price = "korea-industrial", .carbon = "file:nosuch"};
  auto refused = check_energy(settings, nullptr, none);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "/energy/carbon");
  EXPECT_EQ(refused.error().message, "no carbon");
  EXPECT_TRUE(check_energy(settings, &settings, none)) << "it was named before";
  EXPECT_EQ(asked, 1);
  const model::EnergySettings other{.carbon = "file:old"};
  EXPECT_FALSE(check_energy(settings, &other, none));
  EXPECT_TRUE(check_energy(settings));
}

TEST(EnergyReport, AMonthIsThatOfTheClock) {
  auto month = month_of("2026-11", 9);
  ASSERT_TRUE(month);
  EXPECT_EQ(month->first, kMidnight - hours(9));
  EXPECT_EQ(month->second - month->first, hours(24 * 30));
  EXPECT_EQ(month_of("2026-12", 0)->second,
            Time(std::chrono::sys_days(std::chrono::year(2027) / 1 / 1)));
  for (const char* bad : {"", "2026", "2026-13", "2026-00", "26-11", "2026/11", "2026-11-01"})
    EXPECT_FALSE(month_of(bad, 0)) << bad;
}

TEST(CalendarBook, KnowsNamesAndFiles) {
  const std::string folder = testing::TempDir() + "calendars-" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  CalendarBook book(folder);
  EXPECT_TRUE(book.find("korea-grid", true));
  EXPECT_FALSE(book.find("korea-nothing", true));
  EXPECT_EQ(book.find("file:grid", true).error().code, Code::kNotFound);
  EXPECT_EQ(book.find("file:../secret", true).error().code, Code::kInvalid);
  std::ofstream(folder + "/grid.csv")
      << "time,value\n2026-11-01T00:00Z,0.5\n2026-11-01T01:00Z,0.1\n";
  auto grid = book.find("file:grid", true);
  ASSERT_TRUE(grid) << grid.error().message;
  EXPECT_DOUBLE_EQ(grid->mean(kMidnight + minutes(30), kMidnight + minutes(90)), 0.3);
  std::ofstream(folder + "/bad.csv") << "time,value\nnever,x\n";
  EXPECT_FALSE(book.find("file:bad", true));
  std::vector<std::string> notes;
  auto tariff =
      book.tariff({.price = "korea-industrial", .carbon = "file:grid", .pue = 1.4}, notes);
  EXPECT_EQ(tariff.price->unit, "KRW");
  EXPECT_TRUE(tariff.carbon);
  EXPECT_DOUBLE_EQ(tariff.pue, 1.4);
  EXPECT_TRUE(notes.empty());
  // A file that goes away later costs its figures and says so.
  std::filesystem::remove(folder + "/grid.csv");
  tariff = book.tariff({.price = "korea-industrial", .carbon = "file:grid"}, notes);
  EXPECT_TRUE(tariff.price);
  EXPECT_FALSE(tariff.carbon);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0],
            "no CO2: there is no calendars/grid.csv on the manager (energy.carbon is file:grid)");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace chorok::manager
