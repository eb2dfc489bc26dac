#include "policy/forecast.h"

#include <gtest/gtest.h>

#include <cmath>

#include "policy/normal.h"

namespace chorok::policy {
namespace {

Time at_minute(double minute) {
  return Time(from_seconds(minute * 60));
}

TEST(Forecast, QuantilesOfTheNormalDistribution) {
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-9);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963985, 1e-8);
  EXPECT_NEAR(normal_quantile(0.999), 3.090232306, 1e-8);
  EXPECT_NEAR(normal_quantile(0.01), -2.326347874, 1e-8);
}

TEST(Forecast, TheMemoryOfAVmIsBounded) {
  EXPECT_LE(sizeof(DemandHistory), 640);
}

TEST(Forecast, ANewVmIsUncertain) {
  DemandHistory history;
  const ForecastSettings settings;
  history.add(at_minute(0), 100, settings);
  const model::Demand demand = history.demand(at_minute(0), 1000, settings);
  EXPECT_EQ(demand.now, 100);
  EXPECT_EQ(demand.expected, 100);
  EXPECT_NEAR(demand.deviation, 0.06 * 1000 * std::sqrt(4.0 / 5), 1e-9);
  EXPECT_GT(demand.upper, demand.expected);
}

TEST(Forecast, ASteadyVmIsCertain) {
  DemandHistory history;
  const ForecastSettings settings;
  for (int i = 0; i < 100; ++i) history.add(at_minute(5 * i), 500, settings);
  const model::Demand demand = history.demand(at_minute(500), 1000, settings);
  EXPECT_NEAR(demand.expected, 500, 1);
  EXPECT_LT(demand.deviation, 25);
  EXPECT_EQ(demand.peak, 500);
}

TEST(Forecast, APulseIsPulledBackAndALevelStays) {
  const ForecastSettings settings;
  DemandHistory pulse;
  for (int i = 0; i < 36; ++i) pulse.add(at_minute(5 * i), i % 6 == 0 ? 900 : 100, settings);
  pulse.add(at_minute(180), 900, settings);
  EXPECT_LT(pulse.demand(at_minute(180), 1000, settings).expected, 500);
  DemandHistory level;
  for (int i = 0; i < 36; ++i) level.add(at_minute(5 * i), i < 12 ? 100 : 900, settings);
  EXPECT_GT(level.demand(at_minute(180), 1000, settings).expected, 750);
}

TEST(Forecast, GapsAreCountedAndLongOnesForgotten) {
  DemandHistory history;
  const ForecastSettings settings;
  history.add(at_minute(0), 100, settings);
  history.add(at_minute(20), 100, settings);  // three slots missing of five
  EXPECT_NEAR(history.gaps(), 3.0 / 5, 1e-9);
  history.add(at_minute(20 + (5 * 60)), 700, settings);
  EXPECT_EQ(history.gaps(), 0);
  EXPECT_EQ(history.demand(at_minute(320), 1000, settings).mean, 700);
}

TEST(Forecast, BrokenAndLateSamplesAreLeftOut) {
  DemandHistory history;
  const ForecastSettings settings;
  history.add(at_minute(10), 100, settings);
  history.add(at_minute(5), 900, settings);
  history.add(at_minute(11), std::nan(""), settings);
  history.add(at_minute(11), -5, settings);
  EXPECT_EQ(history.demand(at_minute(11), 1000, settings).now, 100);
}

TEST(Forecast, TheMorningIsKnownAfterAFewDays) {
  DemandHistory history;
  ForecastSettings settings;
  settings.horizon = std::chrono::minutes(60);
  auto load = [](int minute) {
    const int hour = (minute / 60) % 24;
    return hour >= 8 && hour < 18 ? 800.0 : 200.0;
  };
  int minute = 0;
  for (; minute < 4 * 24 * 60 + (7 * 60) + 30; minute += 5) {
    history.add(at_minute(minute), load(minute), settings);
  }
  // 07:30 on the fifth day: the last three hours say 200, the earlier days say 800 in an hour.
  EXPECT_GT(history.demand(at_minute(minute), 1000, settings).expected, 600);
}

// The first half hour of a second day is known, what follows is not: nothing is turned by that.
TEST(Forecast, AnUnknownHalfHourAheadTurnsNothing) {
  DemandHistory history;
  const ForecastSettings settings;
  // A boot at full load, then little; a day's gap; and the boot's half hour once more.
  int minute = 0;
  for (; minute < 30; minute += 5) history.add(at_minute(minute), 1000, settings);
  minute = 24 * 60;
  for (; minute < 24 * 60 + 28; minute += 5) history.add(at_minute(minute), 100, settings);
  EXPECT_LT(history.demand(at_minute(minute), 1000, settings).expected, 200);
}

// Time scaled by twenty is a day of 72 minutes.
TEST(Forecast, ADayIsSoManySlots) {
  ForecastSettings settings;
  settings.slot = std::chrono::seconds(15);
  settings.horizon = std::chrono::minutes(3);
  DemandHistory history;
  const auto at = [](int quarter) { return Time(std::chrono::seconds(15) * quarter); };
  int quarter = 0;
  for (; quarter < 4 * 288 + 90; ++quarter)
    history.add(at(quarter), quarter % 288 >= 96 && quarter % 288 < 216 ? 800 : 200, settings);
  EXPECT_GT(history.demand(at(quarter), 1000, settings).expected, 600);
}

}  // namespace
}  // namespace chorok::policy
