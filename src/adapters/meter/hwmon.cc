#include "adapters/meter/hwmon.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "adapters/meter/sysfs.h"

namespace chorok::adapters::meter {

namespace {

// One file with microwatts. `average` where there is one: the moment's value jumps.
struct Sensor {
  std::string path;
  std::string accuracy_path;
};

std::string reading_path(const std::string& device, const std::string& power) {
  const std::string average = device + "/" + power + "_average";
  return read_line(average) ? average : device + "/" + power + "_input";
}

// The ACPI meter sees the whole host; without one, all power supplies' inputs do.
std::vector<Sensor> sensors(const std::string& root) {
  std::vector<Sensor> supplies;
  for (const std::string& entry : list(root, "hwmon")) {
    const std::string device = root + "/" + entry;
    if (read_line(device + "/name").value_or("") == "power_meter")
      return {{reading_path(device, "power1"), device + "/power1_accuracy"}};
    for (const std::string& label : list(device, "power")) {
      if (!label.ends_with("_label") ||
          !read_line(device + "/" + label).value_or("").starts_with("pin"))
        continue;
      const std::string power = label.substr(0, label.size() - std::string("_label").size());
      supplies.push_back({reading_path(device, power), device + "/" + power + "_accuracy"});
    }
  }
  return supplies;
}

// "95.00%" is an error of 5 %.
double error_of(const Sensor& sensor, double otherwise) {
  auto line = read_line(sensor.accuracy_path);
  if (!line) return otherwise;
  const double percent = std::strtod(line->c_str(), nullptr);
  return percent > 0 && percent < 100 ? 1 - (percent / 100) : otherwise;
}

class HwmonMeter final : public power::MeterDriver {
 public:
  explicit HwmonMeter(HwmonOptions options) : options_(std::move(options)) {}

  Result<model::PowerReading> read() override {
    std::vector<Sensor> found = sensors(options_.root);
    if (found.empty()) return fail(Code::kUnavailable, "the power sensor is gone");
    model::PowerReading reading;
    double microwatts = 0;
    for (const Sensor& sensor : found) {
      auto value = read_number(sensor.path);
      if (!value) return fail(Code::kUnavailable, value.error().message);
      microwatts += static_cast<double>(*value);
      reading.error = std::max(reading.error, error_of(sensor, options_.error));
    }
    reading.watts = Watts(microwatts * 1e-6);
    reading.source = model::WattSource::kMeasured;
    reading.method = model::MeterMethod::kHwmon;
    return reading;
  }
  void stop() override {}

 private:
  HwmonOptions options_;
};

}  // namespace

Result<std::unique_ptr<power::MeterDriver>> make_hwmon_meter(HwmonOptions options) {
  if (sensors(options.root).empty())
    return fail(Code::kUnsupported,
                fmt::format("no sensor of the host's input power below {}", options.root));
  return std::make_unique<HwmonMeter>(std::move(options));
}

}  // namespace chorok::adapters::meter
