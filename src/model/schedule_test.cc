#include "model/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "model/calendar.h"
#include "model/host.h"

namespace chorok::model {
namespace {

Schedule read(std::string_view text) {
  auto schedule = json::decode<Schedule>(text);
  EXPECT_TRUE(schedule) << schedule.error().message;
  return schedule ? *schedule : Schedule{};
}

Time at(std::string_view when) {
  return parse_when(when, 0).value();
}

std::string band(const Schedule& schedule, std::string_view when) {
  const ScheduleBand* found = band_at(schedule, at(when));
  return found == nullptr ? "" : found->name;
}

constexpr std::string_view kNights = R"({"utc_offset_h": 9, "bands": [
  {"name": "weekend", "days": ["sat", "sun"], "dpm": "full", "dpm_target": 0.9},
  {"name": "night", "from_hour": 20, "to_hour": 7.5, "dpm": "full", "drs_level": 1},
  {"name": "day", "from_hour": 7.5, "to_hour": 20, "days": ["mon", "tue", "wed", "thu", "fri"],
   "dpm": "off", "drs": "full", "drs_level": 4}]})";

// 2026-11-23 is a Monday.
TEST(Schedule, TheFirstBandThatHoldsByItsOwnClock) {
  const Schedule schedule = read(kNights);
  EXPECT_TRUE(check(schedule));
  EXPECT_EQ(band(schedule, "2026-11-23T09:00+09:00"), "day");
  EXPECT_EQ(band(schedule, "2026-11-23T07:29+09:00"), "night");
  EXPECT_EQ(band(schedule, "2026-11-23T07:30+09:00"), "day");
  EXPECT_EQ(band(schedule, "2026-11-23T19:59:59+09:00"), "day");
  EXPECT_EQ(band(schedule, "2026-11-23T20:00+09:00"), "night");
  EXPECT_EQ(band(schedule, "2026-11-22T15:30Z"), "night") << "Monday, half past midnight there";
  EXPECT_EQ(band(schedule, "2026-11-22T14:30Z"), "weekend") << "Sunday, half past eleven";
}

TEST(Schedule, WhatItDoesNotSayIsAsTheClusterHasIt) {
  PolicySettings settings;
  settings.balance.level = 2;
  settings.power.target = 0.7;
  const Schedule schedule = read(kNights);
  const PolicySettings night = in_force(settings, schedule, at("2026-11-23T23:00+09:00"));
  EXPECT_EQ(night.power.automation, Automation::kFull);
  EXPECT_EQ(night.balance.level, 1);
  EXPECT_EQ(night.balance.automation, settings.balance.automation);
  EXPECT_EQ(night.power.target, 0.7);
  const PolicySettings sunday = in_force(settings, schedule, at("2026-11-22T12:00+09:00"));
  EXPECT_EQ(sunday.power.target, 0.9);
  EXPECT_EQ(sunday.balance.level, 2);
  EXPECT_EQ(in_force(settings, {}, at("2026-11-23")).balance.level, 2);
}

std::string refusal(std::string_view text) {
  const Result<> checked = check(read(text));
  return checked ? "" : checked.error().field + ": " + checked.error().message;
}

TEST(Schedule, BandsThatMakeNoSenseAreRefused) {
  using ::testing::HasSubstr;
  EXPECT_THAT(refusal(R"({"bands": [{"name": "a", "from_hour": 3, "to_hour": 3, "dpm": "off"}]})"),
              HasSubstr("/bands/0/to_hour"));
  EXPECT_THAT(refusal(R"({"bands": [{"name": "a"}]})"), HasSubstr("says nothing"));
  EXPECT_THAT(refusal(R"({"bands": [{"name": "a", "dpm": "off"}, {"name": "a", "drs": "off"}]})"),
              HasSubstr("/bands/1/name"));
  EXPECT_FALSE(json::decode<Schedule>(R"({"bands": [{"name": "a", "from_hour": 25}]})"));
  EXPECT_FALSE(json::decode<Schedule>(R"({"bands": [{"name": "a", "days": ["noday"]}]})"));
}

TEST(Schedule, IsKeptWithItsCluster) {
  Cluster cluster;
  cluster.meta.name = "lab";
  cluster.schedule = read(kNights);
  const auto again = json::decode<Cluster>(json::encode(cluster));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(equal(*again, cluster));
  EXPECT_EQ(again->schedule.bands[1].drs_level, 1);
  EXPECT_FALSE(again->schedule.bands[1].drs);
}

}  // namespace
}  // namespace chorok::model
