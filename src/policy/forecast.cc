#include "policy/forecast.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/result.h"
#include "policy/normal.h"

namespace chorok::policy {

namespace {

// A day is so many slots: where slots are shorter than five minutes (a time scale), so is the day.
constexpr std::int64_t kSlotsOfDay = 288;
constexpr std::int64_t kSlotsOfDaySlot = kSlotsOfDay / DemandHistory::kDaySlots;
constexpr double kSmoothing = 0.3;  // a new day's part of the profile
constexpr int kWeightMax = 200;
// Loads have longer tails than the normal distribution: of the PlanetLab days, 2.5 % of samples lay
// above its 99 % quantile.
constexpr double kTail = 1.5;

std::size_t day_slot(std::int64_t slot) {
  return static_cast<std::size_t>(std::max<std::int64_t>(slot, 0) % kSlotsOfDay / kSlotsOfDaySlot);
}
std::size_t week_day(std::int64_t slot) {
  return static_cast<std::size_t>(std::max<std::int64_t>(slot, 0) / kSlotsOfDay %
                                  DemandHistory::kWeekDays);
}

}  // namespace

double DemandHistory::recent(int back) const {
  return static_cast<double>(recent_[static_cast<std::size_t>((head_ + kRecent - back) % kRecent)]);
}

void DemandHistory::add(Time at, double value, const ForecastSettings& settings) {
  if (!(value >= 0) || !std::isfinite(value)) return;  // a broken sample is a missing one
  if (count_ > 0 && at < newest_) return;
  const std::int64_t slot = at.time_since_epoch() / settings.slot;
  if (count_ == 0 || slot != slot_) open_slots(slot);
  newest_ = at;
  last_ = static_cast<float>(value);
  slot_sum_ += value;
  ++slot_samples_;
  recent_[head_] = static_cast<float>(slot_sum_ / slot_samples_);
}

// Makes `slot` the newest one; the slots between it and the one before hold that one's value.
void DemandHistory::open_slots(std::int64_t slot) {
  if (count_ > 0) {
    learn(slot_, recent(0));
    const std::int64_t skipped = slot - slot_ - 1;
    if (skipped >= kRecent) {
      count_ = 0;
      missing_ = 0;
    } else {
      for (std::int64_t i = 0; i < skipped; ++i) {
        const float held = recent_[head_];
        head_ = static_cast<std::uint8_t>((head_ + 1) % kRecent);
        recent_[head_] = held;
        count_ = static_cast<std::uint8_t>(std::min(count_ + 1, kRecent));
        missing_ = (missing_ << 1U) | 1U;
      }
    }
  }
  head_ = static_cast<std::uint8_t>((head_ + 1) % kRecent);
  count_ = static_cast<std::uint8_t>(std::min(count_ + 1, kRecent));
  missing_ = (missing_ << 1U) & ((std::uint64_t{1} << kRecent) - 1);
  slot_ = slot;
  slot_sum_ = 0;
  slot_samples_ = 0;
}

void DemandHistory::learn(std::int64_t at, double value) {
  auto blend = [](float& into, std::uint8_t& weight, double sample) {
    const double part = weight == 0 ? 1 : std::max(kSmoothing / 6, 1.0 / (weight + 1));
    into = static_cast<float>(static_cast<double>(into) * (1 - part) + sample * part);
    weight = static_cast<std::uint8_t>(std::min(weight + 1, kWeightMax));
  };
  const std::size_t slot = day_slot(at);
  blend(day_[slot], day_weight_[slot], value);
  const bool known = day_mean_ > 0;
  day_mean_ += static_cast<float>((value - static_cast<double>(day_mean_)) / (known ? 288 : 1));
  const double level = static_cast<double>(day_[slot]);
  if (level > 0) {
    const std::size_t day = week_day(at);
    blend(week_[day], week_weight_[day], std::min(4.0, value / level));
  }
}

// How far the half hour of `at` lies above or below the day's level, in the series' unit. Nothing
// is known of a half hour that was seen on fewer than two days.
std::optional<double> DemandHistory::profile(std::int64_t at) const {
  const std::size_t slot = day_slot(at);
  if (day_weight_[slot] <= kSlotsOfDaySlot) return std::nullopt;
  const std::size_t day = week_day(at);
  const double ratio = week_weight_[day] > 48 ? static_cast<double>(week_[day]) : 1.0;
  return static_cast<double>(day_[slot]) * ratio - static_cast<double>(day_mean_);
}

double DemandHistory::gaps() const {
  return count_ == 0 ? 1.0 : static_cast<double>(std::popcount(missing_)) / count_;
}

model::Demand DemandHistory::demand(Time now, double size, const ForecastSettings& settings) const {
  model::Demand out;
  const double prior = settings.prior_deviation * size;
  if (count_ == 0) {
    out.deviation = prior;
    return out;
  }
  double sum = 0;
  for (int i = 0; i < count_; ++i) {
    sum += recent(i);
    out.peak = std::max(out.peak, recent(i));
  }
  out.now = std::min(static_cast<double>(last_), size);
  out.mean = sum / count_;
  double squares = 0;
  double lagged = 0;
  for (int i = 0; i < count_; ++i) {
    const double off = recent(i) - out.mean;
    squares += off * off;
    if (i + 1 < count_) lagged += off * (recent(i + 1) - out.mean);
  }
  const double weight = settings.prior_slots;
  out.deviation = std::sqrt((squares + weight * prior * prior) / (count_ + weight));
  // Autocorrelation at one slot, drawn towards nothing while the series is short.
  const double phi =
      squares > 0 ? std::clamp(lagged / squares, 0.0, 0.98) * count_ / (count_ + weight) : 0;
  const Duration ahead = now.time_since_epoch() + settings.horizon;
  const double steps = std::max(1.0, seconds(settings.horizon) / seconds(settings.slot));
  const double pull = std::pow(phi, steps);
  const auto from = profile(now.time_since_epoch() / settings.slot);
  const auto to = profile(ahead / settings.slot);
  const double turn = from && to ? *to - *from : 0;
  out.expected = std::clamp(out.mean + pull * (out.now - out.mean) + turn, 0.0, size);
  const double residual = out.deviation * std::sqrt(1 - pull * pull);
  out.upper = std::min(
      size,
      std::max(out.peak, out.expected + kTail * normal_quantile(settings.quantile) * residual));
  return out;
}

}  // namespace chorok::policy
