// What a VM is about to ask for, from what it asked for. One DemandHistory for each VM and resource
// holds recent slots and a profile of the day and the week in a fixed number of bytes; it takes
// samples at any pace, with gaps, and answers with the Demand that policies read.
//
// The idea: near ahead, a series is its recent level, pulled back from its last value as far as its
// own autocorrelation says; farther ahead, it moves as the same hours of earlier days moved. What
// is left over (the residual's deviation) is the uncertainty that the upper quantile pays for.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "model/snapshot.h"

namespace chorok::policy {

struct ForecastSettings {
  Duration slot = std::chrono::minutes(5);      // samples are averaged over it
  Duration horizon = std::chrono::minutes(10);  // how far ahead
  double quantile = 0.99;                       // of `upper`
  // A VM that is new has no deviation of its own: it starts with this share of its size, which
  // counts as much as `prior_slots` slots.
  double prior_deviation = 0.06;
  double prior_slots = 4;
};

class DemandHistory {
 public:
  static constexpr int kRecent = 36;    // three hours of five minutes
  static constexpr int kDaySlots = 48;  // half hours
  static constexpr int kWeekDays = 7;

  // A sample of the amount used at `at` (MHz or MiB). Older than the newest one: ignored. A gap of
  // more than kRecent slots forgets the recent slots; the profile stays. O(1).
  void add(Time at, double value, const ForecastSettings& settings);

  // Of a VM with this configured size, at `now`. O(kRecent).
  model::Demand demand(Time now, double size, const ForecastSettings& settings) const;

  bool empty() const { return count_ == 0; }
  Time newest() const { return newest_; }
  // Share of the recent window's slots that had no sample, 0..1.
  double gaps() const;

 private:
  void open_slots(std::int64_t slot);
  // A closed slot, by its number since the epoch, into the profile of the day and the week.
  void learn(std::int64_t slot, double value);
  // Relative to the level of the day.
  std::optional<double> profile(std::int64_t slot) const;
  double recent(int back) const;  // 0: the newest slot

  Time newest_{};
  std::int64_t slot_ = 0;                // number of the newest slot since the epoch
  double slot_sum_ = 0;                  // of the samples in it
  std::array<float, kRecent> recent_{};  // ring of slot means; a gap holds the value before it
  std::array<float, kDaySlots> day_{};  // mean of the half hour, by exponential smoothing over days
  std::array<float, kWeekDays> week_{};  // ratio of the weekday's mean to the mean of all days
  std::array<std::uint8_t, kDaySlots> day_weight_{};
  std::array<std::uint8_t, kWeekDays> week_weight_{};
  float last_ = 0;
  float day_mean_ = 0;
  std::uint32_t slot_samples_ = 0;
  std::uint64_t missing_ = 0;  // a bit a recent slot, newest lowest: it had no sample
  std::uint8_t count_ = 0;     // of recent_
  std::uint8_t head_ = 0;      // the newest slot
};

}  // namespace chorok::policy
