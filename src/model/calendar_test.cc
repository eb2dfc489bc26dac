#include "model/calendar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace chorok::model {
namespace {

using ::testing::HasSubstr;

Time when(std::string_view text, double offset = 0) {
  auto time = parse_when(text, offset);
  EXPECT_TRUE(time) << text;
  return time.value_or(Time{});
}

// Summer days 200, other weekdays by day 150, nights 100 everywhere; on Korea's clock.
Calendar tariff() {
  return {.value = 120,
          .unit = "KRW",
          .source = "by hand",
          .as_of = "2026",
          .utc_offset_h = 9,
          .bands = {{.value = 100, .from_hour = 23, .to_hour = 9},
                    {.value = 200,
                     .from_hour = 9,
                     .to_hour = 23,
                     .days = Weekdays::kWeekday,
                     .from_month = 6,
                     .to_month = 8},
                    {.value = 150,
                     .from_hour = 9.5,
                     .to_hour = 12,
                     .days = Weekdays::kWeekday,
                     .from_month = 11,
                     .to_month = 2}}};
}

TEST(Calendar, FindsTheBandByHourDayAndMonth) {
  const Calendar c = tariff();
  EXPECT_EQ(c.at(when("2026-07-01T09:00", 9)), 200);     // a Wednesday
  EXPECT_EQ(c.at(when("2026-07-01T08:59:59", 9)), 100);  // the second before
  EXPECT_EQ(c.at(when("2026-07-01T22:59:59.9", 9)), 200);
  EXPECT_EQ(c.at(when("2026-07-01T23:00", 9)), 100);
  EXPECT_EQ(c.at(when("2026-07-04T12:00", 9)), 120);  // Saturday
  EXPECT_EQ(c.at(when("2026-12-31T10:00", 9)), 150);  // months over the new year
  EXPECT_EQ(c.at(when("2027-01-01T09:29", 9)), 120);
  EXPECT_EQ(c.at(when("2026-10-30T10:00", 9)), 120);
  // The same moment said in UTC: Korea is nine hours ahead, and already in July.
  EXPECT_EQ(c.at(when("2026-06-30T15:00:00Z")), 100);
  EXPECT_EQ(c.at(when("2026-05-31T23:59Z")), 100);
  EXPECT_EQ(c.at(when("2026-06-01T00:00Z")), 200);  // 09:00 on Monday the first
}

TEST(Calendar, MeansAreExactOverEdges) {
  const Calendar c = tariff();
  // Half an hour of night, half of a summer's morning.
  EXPECT_DOUBLE_EQ(c.mean(when("2026-07-01T08:30", 9), when("2026-07-01T09:30", 9)), 150);
  // A summer Friday and Saturday: 10 h at 100, 14 h at 200, then 10 h at 100 and 14 h at 120.
  EXPECT_NEAR(c.mean(when("2026-07-03", 9), when("2026-07-05", 9)),
              (10 * 100 + 14 * 200 + 10 * 100 + 14 * 120) / 48.0, 1e-9);
  // August ends at midnight: 200 until 23:00 on Monday, then nights, then 120 from 9 on Tuesday.
  EXPECT_NEAR(c.mean(when("2026-08-31T22:00", 9), when("2026-09-01T10:00", 9)),
              (1 * 200 + 10 * 100 + 1 * 120) / 12.0, 1e-9);
  EXPECT_EQ(c.mean(when("2026-07-01T09:00", 9), when("2026-07-01T09:00", 9)), 200);
  EXPECT_EQ(Calendar{.value = 7}.mean(Time{}, Time::max()), 7);
}

TEST(Calendar, AYearIsTheSumOfItsHours) {
  const Calendar c = tariff();
  const Time from = when("2026-01-01", 9);
  double sum = 0;
  for (int quarter = 0; quarter < 365 * 96; ++quarter)
    sum += c.at(from + std::chrono::minutes(15 * quarter));
  EXPECT_NEAR(c.mean(from, when("2027-01-01", 9)), sum / (365 * 96), 1e-9);
  // 2025 has another weekday at its ends, no more.
  EXPECT_NEAR(c.mean(), sum / (365 * 96), 0.2);
  EXPECT_EQ(Calendar{.value = 7}.mean(), 7);
  const Calendar nights{.value = 3, .utc_offset_h = 9, .bands = {{.value = 1, .to_hour = 6}}};
  EXPECT_NEAR(nights.mean(), (6 * 1 + 18 * 3) / 24.0, 1e-9);
}

TEST(Calendar, DaylightSavingIsNotModelled) {
  // The clock in Paris went from 02:00 to 03:00 on 2026-03-29; this one has 24 hours that day.
  Calendar c{.value = 1, .utc_offset_h = 1, .bands = {{.value = 5, .from_hour = 2, .to_hour = 3}}};
  EXPECT_NEAR(c.mean(when("2026-03-29", 1), when("2026-03-30", 1)), (23 + 5) / 24.0, 1e-12);
}

TEST(Calendar, SeriesHoldUntilTheNextPoint) {
  auto series = parse_series(
      "time,value\n2026-03-01T00:00:00Z,1\n2026-03-01T01:00:00Z,3\r\n\n1772330400,5\n", "c.csv", 0);
  ASSERT_TRUE(series) << series.error().message;
  const Calendar c{.unit = "kg", .series = *series};
  EXPECT_EQ(c.at(when("2026-03-01T00:59:59Z")), 1);
  EXPECT_EQ(c.at(when("2026-03-01T01:00:00Z")), 3);
  EXPECT_EQ(c.at(when("2026-03-01T02:00:00Z")), 5);  // 1772330400
  EXPECT_DOUBLE_EQ(c.mean(when("2026-03-01T00:45Z"), when("2026-03-01T01:15Z")), 2);
  // 15 min at 1, an hour at 3, 45 min at 5.
  EXPECT_DOUBLE_EQ(c.mean(when("2026-03-01T00:45Z"), when("2026-03-01T02:45Z")),
                   (0.25 * 1 + 3 + 0.75 * 5) / 2);
  EXPECT_DOUBLE_EQ(c.mean(), 3);  // an hour each
  EXPECT_TRUE(c.covers(when("2026-03-01T00:00Z"), when("2026-03-01T03:00Z")));
  EXPECT_FALSE(c.covers(when("2026-03-01T00:00Z"), when("2026-03-01T03:01Z")));
  EXPECT_FALSE(c.covers(when("2026-02-28T23:59Z"), when("2026-03-01T03:00Z")));
}

TEST(Calendar, TheLastMomentsDoNotOverflow) {
  const auto series = parse_series("0,1\n4100000000,2\n", "c.csv", 0);
  ASSERT_TRUE(series);
  const Calendar c{.series = *series};
  EXPECT_TRUE(c.covers(Time{}, when("2099-12-31")));
  EXPECT_FALSE(c.covers(Time(std::chrono::hours(-1)), when("2099-12-31")));
}

TEST(Calendar, SeriesWithoutAZoneAreOnTheCalendarsClock) {
  const auto series = parse_series("time,value\n2026-03-01 09:00,1\n", "c.csv", 9);
  ASSERT_TRUE(series);
  EXPECT_EQ(series->at(0).from, when("2026-03-01T00:00Z"));
}

TEST(Calendar, SaysWhatIsWrongWithASeries) {
  const auto error = [](std::string_view csv, const CalendarLimits& limits = {}) {
    auto series = parse_series(csv, "c.csv", 0, limits);
    EXPECT_FALSE(series);
    return series ? std::string() : series.error().message;
  };
  EXPECT_THAT(error("time,value\n2026-03-01,1\n2026-03-01,2\n"),
              HasSubstr("c.csv:3:1: time: not later"));
  EXPECT_THAT(error("time,value\nyesterday,1\n"), HasSubstr("c.csv:2:1: time: 'yesterday'"));
  EXPECT_THAT(error("2026-03-01,-1\n"), HasSubstr("c.csv:1:2: value: '-1'"));
  EXPECT_THAT(error("2026-03-01,nan\n"), HasSubstr("value: 'nan'"));
  EXPECT_THAT(error("2026-03-01\n"), HasSubstr("not two columns"));
  EXPECT_THAT(error("2026-03-01,1,2\n"), HasSubstr("not two columns"));
  EXPECT_THAT(error("time,value\n"), HasSubstr("no points"));
  EXPECT_THAT(error("1,1\n2,1\n3,1\n", {.points_max = 2}), HasSubstr("c.csv:3:1: more than 2"));
  EXPECT_THAT(error("1,1\n", {.bytes_max = 2}), HasSubstr("more than 0 MiB"));
}

TEST(Calendar, ReadsTimes) {
  EXPECT_EQ(when("1970-01-02"), Time(std::chrono::hours(24)));
  EXPECT_EQ(when("1970-01-02T00:00:01.5+00:30"), Time(std::chrono::milliseconds(84601500)));
  EXPECT_EQ(when("1970-01-02T00:00-0100"), Time(std::chrono::hours(25)));
  EXPECT_EQ(when("90.5"), Time(std::chrono::milliseconds(90500)));
  for (const char* text :
       {"", "-1", "2026-02-30", "2026-13-01", "2026-03-01T", "2026-03-01T24:00", "2026-03-01T09:60",
        "2026-03-01T09:00:60", "2026-03-01T09:00+15:00", "2026-03-01T09:00Z ", "26-03-01", "1e30",
        "4200000000", "2100-01-01", "2026-03-01T9:00"})
    EXPECT_FALSE(parse_when(text, 0)) << text;
}

TEST(Calendar, WhatIsBuiltInHasASourceAndADate) {
  for (const KnownCalendar& known : known_calendars()) {
    EXPECT_FALSE(known.calendar.source.empty()) << known.name;
    EXPECT_FALSE(known.calendar.as_of.empty()) << known.name;
    EXPECT_TRUE(check(known.calendar)) << known.name;
    EXPECT_GT(known.calendar.value, 0) << known.name;
  }
  EXPECT_EQ(find_calendar("korea-grid", true)->value, 0.4173);
  const Calendar tou = find_calendar("korea-industrial-tou", false).value();
  EXPECT_EQ(tou.at(when("2026-03-01T22:59", 9)), 155.0);
  EXPECT_EQ(tou.at(when("2026-03-01T08:59", 9)), 95.7);
  EXPECT_THAT(find_calendar("korea-grid", false).error().message, HasSubstr("korea-industrial"));
}

TEST(Calendar, ReadsAndIsRead) {
  const Calendar c = tariff();
  EXPECT_EQ(json::decode<Calendar>(json::encode(c)).value(), c);
  EXPECT_FALSE(json::decode<Calendar>(R"({"bands": [{"from_hour": 3}]})"));
  EXPECT_FALSE(json::decode<Calendar>(R"({"bands": [{"value": 1, "from_hour": 25}]})"));
  const Calendar same{.bands = {{.value = 1, .from_hour = 3, .to_hour = 3}}};
  EXPECT_EQ(check(same).error().field, "/bands/0/to_hour");
}

}  // namespace
}  // namespace chorok::model
