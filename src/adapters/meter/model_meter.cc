#include "adapters/meter/model_meter.h"

#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "adapters/meter/sysfs.h"

namespace chorok::adapters::meter {

namespace {

class ModelMeter final : public power::MeterDriver {
 public:
  explicit ModelMeter(ModelOptions options)
      : options_(std::move(options)), since_(std::chrono::system_clock::now()) {}

  Result<model::PowerReading> read() override {
    const Duration cpu = TRY(options_.cpu_time());
    const Duration now = options_.clock();
    model::PowerReading reading;
    const Duration passed = now - read_at_;
    if (known_ && passed > Duration{}) {
      const double used = seconds(cpu >= cpu_ ? cpu - cpu_ : cpu);
      reading.watts = Watts(options_.curve.at(used / options_.cores / seconds(passed)));
      reading.window = passed;
      energy_ += *reading.watts * passed;
    }
    known_ = true;
    cpu_ = cpu;
    read_at_ = now;
    reading.energy = energy_;
    reading.energy_since = since_;
    reading.source = options_.source;
    reading.method = model::MeterMethod::kModel;
    reading.error = options_.error;
    return reading;
  }
  void stop() override {}

 private:
  ModelOptions options_;
  bool known_ = false;
  Duration cpu_{};
  Duration read_at_{};
  Joules energy_{};
  Time since_;
};

}  // namespace

Result<std::unique_ptr<power::MeterDriver>> make_model_meter(ModelOptions options) {
  double before = 0;
  for (double watts : options.curve.watts) {
    if (!std::isfinite(watts) || watts < before || watts <= 0)
      return fail(Code::kInvalid, "a power curve rises from idle to full load", "/curve");
    before = watts;
  }
  if (!(options.cores > 0)) return fail(Code::kInvalid, "a host has cores", "/cores");
  return std::make_unique<ModelMeter>(std::move(options));
}

Result<Duration> busy_time(const std::string& proc_stat) {
  const std::string line = TRY(read_line(proc_stat));
  // user nice system idle iowait irq softirq steal; a guest's time is in user's.
  std::array<unsigned long long, 8> t{};
  if (std::sscanf(line.c_str(), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", t.data(), &t[1],
                  &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) < 5)
    return fail(Code::kUnavailable, proc_stat + " says nothing of the processors");
  const unsigned long long ticks = t[0] + t[1] + t[2] + t[5] + t[6] + t[7];
  return from_seconds(static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK)));
}

}  // namespace chorok::adapters::meter
