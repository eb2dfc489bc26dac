#include "manager/watts_line.h"

#include <algorithm>

namespace chorok::manager {
namespace {

// Of one host: hours at one in ten seconds. More wait only for an agent that is away.
constexpr std::size_t kReadingsMax = 4096;

double joules_between(const WattsLine::Reading& a, const WattsLine::Reading& b) {
  return (a.watts + b.watts) / 2 * seconds(b.at - a.at);
}

}  // namespace

const Type& WattsLine::Cursor::type() {
  static const Type kType = describe<Cursor>("WattsCursor", "")
                                .field("at", &Cursor::at, "")
                                .field("watts", &Cursor::watts, "")
                                .field("error", &Cursor::error, "")
                                .field("ahead", &Cursor::ahead, "");
  return kType;
}

void WattsLine::add(Reading reading) {
  if (!readings_.empty() && reading.at <= readings_.back().at) return;
  readings_.push_back(reading);
  if (readings_.size() <= kReadingsMax) return;
  // Of the older half, two become one between them, with the watts that keep the integral from the
  // one before them to the one after.
  std::deque<Reading> kept;
  for (std::size_t i = 0; i < readings_.size(); ++i) {
    const bool pair = i > 0 && i + 2 < kReadingsMax / 2;
    if (!pair) {
      kept.push_back(readings_[i]);
      continue;
    }
    const Reading& before = kept.back();
    const Reading& a = readings_[i];
    const Reading& b = readings_[++i];
    const Reading& after = readings_[i + 1];
    const Time middle = a.at + (b.at - a.at) / 2;
    const double area = joules_between(before, a) + joules_between(a, b) + joules_between(b, after);
    const double watts = (2 * area - before.watts * seconds(middle - before.at) -
                          after.watts * seconds(after.at - middle)) /
                         seconds(after.at - before.at);
    kept.push_back({middle, watts, std::max(a.error, b.error)});
  }
  readings_ = std::move(kept);
}

bool WattsLine::covers(Time at) const {
  if (readings_.empty()) return false;
  if (at - readings_.back().at > gap_) return false;
  return readings_.front().at - at <= gap_;
}

double WattsLine::at(Time time) const {
  auto after = std::ranges::lower_bound(readings_, time, {}, &Reading::at);
  if (after == readings_.begin()) return after->watts;
  auto before = std::prev(after);
  if (after == readings_.end()) return before->watts;
  const double part = seconds(time - before->at) / seconds(after->at - before->at);
  return before->watts + (after->watts - before->watts) * part;
}

WattsLine::Sum WattsLine::integral(Time from, Time to) const {
  Sum sum;
  if (readings_.empty() || to <= from) return sum;
  auto add = [&](Time begin, Time end, double error, bool gap) {
    begin = std::max(begin, from);
    end = std::min(end, to);
    if (end <= begin) return;
    const double joules = (at(begin) + at(end)) / 2 * seconds(end - begin);
    sum.joules += joules;
    sum.error += joules * error;
    if (gap) sum.estimated += joules;
  };
  const Reading& first = readings_.front();
  add(from, first.at, first.error, first.at - from > gap_);
  for (std::size_t i = 1; i < readings_.size(); ++i)
    add(readings_[i - 1].at, readings_[i].at, std::max(readings_[i - 1].error, readings_[i].error),
        readings_[i].at - readings_[i - 1].at > gap_);
  const Reading& last = readings_.back();
  add(last.at, to, last.error, to - last.at > gap_);
  return sum;
}

// The last reading up to there.
Time WattsLine::settled_of(Time to) const {
  auto after = std::ranges::upper_bound(readings_, to, {}, &Reading::at);
  return after == readings_.begin() ? to : std::prev(after)->at;
}

WattsLine::Account WattsLine::peek(Time from, Time to) const {
  const Sum all = integral(settled_.value_or(from), to);
  Account out;
  out.joules = std::max(0.0, all.joules - ahead_);
  const double share = all.joules > 0 ? std::min(1.0, out.joules / all.joules) : 0;
  out.estimated = all.estimated * share;
  out.error = all.error * share;
  return out;
}

WattsLine::Account WattsLine::take(Time from, Time to) {
  const Account out = peek(from, to);
  const Time begin = settled_.value_or(from);
  const Time settled = std::max(begin, settled_of(to));
  ahead_ = ahead_ + out.joules - integral(begin, settled).joules;
  settled_ = settled;
  while (readings_.size() > 1 && readings_[1].at <= settled) readings_.pop_front();
  return out;
}

void WattsLine::skip(Time to) {
  settled_ = to;
  ahead_ = 0;
  while (readings_.size() > 1 && readings_[1].at <= to) readings_.pop_front();
}

WattsLine::Cursor WattsLine::cursor() const {
  if (!settled_ || readings_.empty()) return {};
  // Where the account ended between two readings, the line there.
  return {*settled_, at(*settled_), readings_.front().error, ahead_};
}

void WattsLine::restore(const Cursor& cursor) {
  readings_.clear();
  settled_.reset();
  ahead_ = 0;
  if (cursor.at == Time{}) return;
  readings_.push_back({cursor.at, cursor.watts, cursor.error});
  settled_ = cursor.at;
  ahead_ = cursor.ahead;
}

}  // namespace chorok::manager
