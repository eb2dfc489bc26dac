#include "manager/host_meter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ports/power_meter.h"

namespace chorok::manager {
namespace {

using model::MeterMethod;
using model::MeterScope;
using model::WattSource;

constexpr double kIdleLoad = 0.05;  // below it a host idles
constexpr double kIdleSeconds = 120;
constexpr double kFade = 0.02;   // of a new pair, once there are many
constexpr double kPairsMin = 6;  // before what was learned is used
constexpr double kRatioSteps = 20;
// What is further off than this is a meter that stumbled, unless it goes on.
constexpr double kOutlier = 0.3;
constexpr double kHoldError = 0.5;
constexpr Duration kLearnMax = std::chrono::minutes(3);  // means over longer teach little

// No host can draw more: who says so is not believed.
double most(const HostMeter::Span& span) {
  return ports::kWattsMax.value * seconds(span.to - span.from);
}

}  // namespace

const Type& HostMeter::Counter::type() {
  static const Type kType = describe<Counter>("MeterCounter", "")
                                .field("method", &Counter::method, "")
                                .field("joules", &Counter::joules, "")
                                .field("since", &Counter::since, "");
  return kType;
}

const Type& HostMeter::Cursor::type() {
  static const Type kType = describe<Cursor>("MeterCursor", "")
                                .field("wall", &Cursor::wall, "")
                                .field("wall_method", &Cursor::wall_method, "")
                                .field("wall_source", &Cursor::wall_source, "")
                                .field("counters", &Cursor::counters, "")
                                .field("ratio", &Cursor::ratio, "")
                                .field("ratio_spread", &Cursor::ratio_spread, "")
                                .field("ratios", &Cursor::ratios, "")
                                .field("idle", &Cursor::idle, "")
                                .field("watts", &Cursor::watts, "");
  return kType;
}

// Robust: once something is known, one value moves it by no more than an outlier's part.
void HostMeter::Learned::add(double value) {
  if (!std::isfinite(value) || value <= 0) return;
  if (count >= kPairsMin) value = std::clamp(value, mean * (1 - kOutlier), mean * (1 + kOutlier));
  const double weight = std::max(kFade, 1 / (count + 1));
  const double off = std::abs(value - mean);
  mean += (value - mean) * weight;
  spread += (count > 0 ? off - spread : 0) * weight;
  count = std::min(count + 1, 1e6);
}

void HostMeter::read(const model::PowerReading& reading) {
  if (!reading.watts) return;
  // A mean over some time before it stands for the middle of that.
  wall_.add({reading.at - reading.window / 2, reading.watts->value, reading.error});
  wall_method_ = reading.method;
  wall_source_ = reading.source;
}

Drawn HostMeter::by_wall(const WattsLine::Account& account) const {
  Drawn out{.joules = account.joules,
            .measured = 0,
            .estimated = account.estimated,
            .error = account.error,
            .source = wall_source_,
            .method = wall_method_};
  if (wall_source_ == WattSource::kMeasured) out.measured = account.joules - account.estimated;
  return out;
}

// Of a counter that goes on from the sample before.
std::optional<double> HostMeter::counted(const Span& span, MeterScope scope) const {
  if (span.local == nullptr || !span.whole) return std::nullopt;
  for (const model::PowerReading& each : *span.local) {
    if (each.scope != scope || each.source != WattSource::kMeasured || !each.energy) continue;
    auto before = counters_.find(each.method);
    if (before == counters_.end() || before->second.since != each.energy_since) continue;
    const double joules = each.energy->value - before->second.joules;
    if (joules >= 0 && joules <= most(span)) return joules;
  }
  return std::nullopt;
}

std::optional<Drawn> HostMeter::by_sensor(const Span& span) const {
  if (span.local == nullptr) return std::nullopt;
  for (const model::PowerReading& each : *span.local) {
    if (each.scope != MeterScope::kWall || each.source != WattSource::kMeasured) continue;
    std::optional<double> joules = counted(span, MeterScope::kWall);
    if (!joules && each.watts) joules = each.watts->value * seconds(span.to - span.from);
    if (!joules || *joules > most(span)) continue;
    return Drawn{*joules, *joules, 0, *joules * each.error, WattSource::kMeasured, each.method};
  }
  return std::nullopt;
}

std::optional<Drawn> HostMeter::by_processors(const Span& span) const {
  const auto joules = counted(span, MeterScope::kProcessors);
  const double elapsed = seconds(span.to - span.from);
  if (!joules || scales_ < kPairsMin || elapsed <= 0) return std::nullopt;
  const auto wall = scale_.wall(Watts(*joules / elapsed));
  if (!wall) return std::nullopt;
  const double all = wall->value * elapsed;
  return Drawn{all,
               all,
               0,
               all * std::min(0.9, 0.05 + scale_.scatter()),
               WattSource::kMeasured,
               MeterMethod::kRapl};
}

Drawn HostMeter::by_model(const Span& span) const {
  const double elapsed = seconds(span.to - span.from);
  const bool known = ratio_.count >= kPairsMin;
  Drawn out;
  out.source = curve_.simulated ? WattSource::kSimulated : WattSource::kModelled;
  if (span.off) {
    out.joules = curve_.watts.standby * elapsed;
    out.error = out.joules * curve_.error;
  } else if (span.load) {
    out.joules = curve_.watts.at(*span.load) * (known ? ratio_.mean : 1) * elapsed;
    const double learned = known ? 0.05 + ratio_.spread / ratio_.mean : 1;
    out.error = out.joules * std::min(curve_.error, learned);
    if (auto least = counted(span, MeterScope::kProcessors))
      out.joules = std::max(out.joules, *least);
  } else {
    out.joules = (watts_ > 0 ? watts_ : idle()) * elapsed;
    out.estimated = out.joules;
    out.error = out.joules * kHoldError;
  }
  return out;
}

Drawn HostMeter::take(const Span& span) {
  Drawn out;
  if (wall_.covers(span.to)) {
    out = by_wall(wall_.take(span.from, span.to));
    // A reading that is only held says nothing of this span's load.
    if (wall_.last()->at > span.from) learn(span, out);
  } else {
    wall_.skip(span.to);
    if (auto sensor = by_sensor(span)) {
      out = *sensor;
      learn(span, out);
    } else if (auto processors = by_processors(span)) {
      out = *processors;
    } else {
      out = by_model(span);
    }
  }
  const double elapsed = seconds(span.to - span.from);
  if (elapsed > 0) watts_ = out.joules / elapsed;
  if (span.local != nullptr) see(*span.local);
  return out;
}

Drawn HostMeter::peek(const Span& span) const {
  if (!wall_.covers(span.to)) return by_model(span);
  return by_wall(wall_.peek(span.from, span.to));
}

void HostMeter::learn(const Span& span, const Drawn& drawn) {
  const double elapsed = seconds(span.to - span.from);
  if (elapsed < 1 || span.to - span.from > kLearnMax || drawn.estimated > 0) return;
  const double watts = drawn.joules / elapsed;
  if (span.off) return;
  if (span.load) {
    const double modelled = curve_.watts.at(*span.load);
    if (modelled > 0) ratio_.add(watts / modelled);
    if (*span.load < kIdleLoad) {
      // Without the little that it does.
      const double own = (modelled - curve_.watts.at(0)) * (ratio_.count > 0 ? ratio_.mean : 1);
      const double now = std::max(0.0, watts - own);
      // The less it did the better is that known: of what it does only the curve's slope is.
      const double empty = 1 - *span.load / kIdleLoad;
      const double weight = (1 - std::exp(-elapsed / kIdleSeconds)) * empty * empty;
      idle_ = idle_ == 0 ? now : idle_ + (now - idle_) * weight;
    }
  }
  if (auto joules = counted(span, MeterScope::kProcessors)) {
    const Watts processors(*joules / elapsed);
    const auto expected = scale_.wall(processors);
    const bool odd = scales_ >= kPairsMin && expected &&
                     std::abs(watts - expected->value) > kOutlier * expected->value;
    // What goes on being odd is how it is now.
    if (odd) {
      scales_ = std::max(scales_ - 0.5, kPairsMin - 1);
    } else {
      scale_.add(processors, Watts(watts));
      scales_ = std::min(scales_ + 1, 60.0);
    }
  }
}

void HostMeter::see(const std::vector<model::PowerReading>& local) {
  counters_.clear();
  for (const model::PowerReading& each : local)
    if (each.energy) counters_[each.method] = {each.method, each.energy->value, each.energy_since};
}

double HostMeter::idle() const {
  if (idle_ > 0) return idle_;
  return curve_.watts.at(0) * (ratio_.count >= kPairsMin ? ratio_.mean : 1);
}

std::optional<model::PowerCurve> HostMeter::learned() const {
  const bool knows_its_curve = !curve_.watts.name.empty();
  if (ratio_.count < kPairsMin || !knows_its_curve) return std::nullopt;
  const double ratio = std::max(std::round(ratio_.mean * kRatioSteps), 1.0) / kRatioSteps;
  if (ratio == 1 && curve_.watts.measured) return std::nullopt;
  model::PowerCurve out = curve_.watts;
  for (double& watts : out.watts) watts *= ratio;
  out.measured = true;
  out.name += fmt::format(".x{:.2f}", ratio);
  return out;
}

HostMeter::Cursor HostMeter::cursor() const {
  Cursor out{.wall = wall_.cursor(),
             .wall_method = wall_method_,
             .wall_source = wall_source_,
             .counters = {}};
  for (const auto& [method, counter] : counters_) out.counters.push_back(counter);
  out.ratio = ratio_.mean;
  out.ratio_spread = ratio_.spread;
  out.ratios = ratio_.count;
  out.idle = idle_;
  out.watts = watts_;
  return out;
}

void HostMeter::restore(const Cursor& cursor) {
  wall_.restore(cursor.wall);
  wall_method_ = cursor.wall_method;
  wall_source_ = cursor.wall_source;
  counters_.clear();
  for (const Counter& each : cursor.counters) counters_[each.method] = each;
  ratio_ = {cursor.ratio, cursor.ratio_spread, cursor.ratios};
  idle_ = cursor.idle;
  watts_ = cursor.watts;
}

}  // namespace chorok::manager
