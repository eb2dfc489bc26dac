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
  add_pending(3.6e6, 3.6e6, 0, 0, tariff, out);
  EXPECT_DOUBLE_EQ(out.kwh, 5);
  EXPECT_DOUBLE_EQ(out.measured, 0.6);
  EXPECT_DOUBLE_EQ(out.facility.kwh, 7.5);
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
  auto tariff = book.tariff({.price = "korea-industrial", .carbon = "file:grid", .pue = 1.4});
  ASSERT_TRUE(tariff) << tariff.error().message;
  EXPECT_EQ(tariff->price->unit, "KRW");
  EXPECT_DOUBLE_EQ(tariff->pue, 1.4);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace chorok::manager
