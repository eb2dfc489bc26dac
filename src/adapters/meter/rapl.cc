#include "adapters/meter/rapl.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "adapters/meter/sysfs.h"

namespace chorok::adapters::meter {

namespace {

// No zone takes more for long: the largest packages are rated at 500 W, and bursts end within
// milliseconds. A counter that seems to have taken more was set back.
constexpr double kZoneWattsMax = 2000;

struct Zone {
  std::string path;
  std::uint64_t range_uj = 0;
};

// Packages and their memory, or the platform where the processor counts it, never both: the
// platform's counter includes them. Cores and the graphics part are within their package. A package
// has a second interface on some (intel-rapl-mmio), with the same counter.
std::vector<Zone> zones(const std::string& root) {
  std::vector<Zone> platform;
  std::vector<Zone> parts;
  for (const std::string& entry : list(root, "intel-rapl:")) {
    const std::string path = root + "/" + entry;
    auto name = read_line(path + "/name");
    auto range = read_number(path + "/max_energy_range_uj");
    if (!name || !range || *range == 0) continue;
    const bool top = std::ranges::count(entry, ':') == 1;
    if (*name == "psys") platform.push_back({path, *range});
    if ((top && name->starts_with("package")) || (!top && *name == "dram"))
      parts.push_back({path, *range});
  }
  return platform.empty() ? parts : platform;
}

class RaplMeter final : public power::MeterDriver {
 public:
  explicit RaplMeter(RaplOptions options) : options_(std::move(options)) { begin_counter(); }

  Result<model::PowerReading> read() override {
    const Duration now = options_.clock();
    std::map<std::string, std::uint64_t> values;
    double taken_uj = 0;
    bool whole = true;
    const Duration passed = now - read_at_;
    for (const Zone& zone : zones(options_.root)) {
      const std::uint64_t value = TRY(value_of(zone));
      values[zone.path] = value;
      auto before = values_.find(zone.path);
      auto step =
          before == values_.end() ? std::nullopt : taken(zone, before->second, value, passed);
      if (step) taken_uj += *step;
      whole = whole && step.has_value();
    }
    if (values.empty()) return fail(Code::kUnsupported, "no energy counter of a processor here");
    // A processor that came or went, a counter that was set back: what was counted since stands
    // alone.
    whole = whole && values.size() == values_.size();
    const bool first = values_.empty();
    values_ = std::move(values);
    read_at_ = now;
    model::PowerReading reading;
    if (whole && passed > Duration{}) {
      energy_ += Joules(taken_uj * 1e-6);
      reading.watts = Watts(taken_uj * 1e-6 / seconds(passed));
      reading.window = passed;
    } else if (!first && !whole) {
      begin_counter();
    }
    reading.energy = energy_;
    reading.energy_since = since_;
    reading.source = model::WattSource::kMeasured;
    reading.method = model::MeterMethod::kRapl;
    reading.scope = model::MeterScope::kProcessors;
    reading.error = options_.error;
    return reading;
  }
  void stop() override {}

 private:
  static Result<std::uint64_t> value_of(const Zone& zone) {
    auto value = read_number(zone.path + "/energy_uj");
    if (!value && value.error().code == Code::kPermissionDenied)
      return fail(Code::kUnavailable,
                  "the processors' energy counters are for root alone: " + value.error().message);
    if (!value) return fail(Code::kUnavailable, value.error().message);
    return *value;
  }

  // Microjoules between two values; nothing where nobody can know: the counter was set back, or may
  // have wrapped more than once.
  static std::optional<double> taken(const Zone& zone, std::uint64_t before, std::uint64_t now,
                                     Duration passed) {
    const double most_uj = kZoneWattsMax * 1e6 * seconds(passed);
    const auto range = static_cast<double>(zone.range_uj);
    if (now > zone.range_uj || before > zone.range_uj) return std::nullopt;
    if (now >= before) {
      auto step = static_cast<double>(now - before);
      // One whole round more would still be likely.
      if (most_uj / 4 > range) return std::nullopt;
      return step;
    }
    double step = range - static_cast<double>(before) + static_cast<double>(now);
    if (step > most_uj || most_uj / 4 > range) return std::nullopt;
    return step;
  }

  void begin_counter() {
    energy_ = Joules(0);
    since_ = std::chrono::system_clock::now();
  }

  RaplOptions options_;
  std::map<std::string, std::uint64_t> values_;
  Duration read_at_{};
  Joules energy_{};
  Time since_{};
};

}  // namespace

Result<std::unique_ptr<power::MeterDriver>> make_rapl_meter(RaplOptions options) {
  if (zones(options.root).empty())
    return fail(Code::kUnsupported,
                fmt::format("no energy counter of a processor below {}", options.root));
  return std::make_unique<RaplMeter>(std::move(options));
}

}  // namespace chorok::adapters::meter
