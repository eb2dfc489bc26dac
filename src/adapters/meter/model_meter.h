// Watts by a power curve from the load, for hosts without an instrument. Says so in every reading.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "adapters/power/driver.h"
#include "base/units.h"
#include "model/snapshot.h"

namespace chorok::adapters::meter {

struct ModelOptions {
  model::PowerCurve curve;
  double cores = 1;  // that can be busy
  // CPU time of everything on the host, counting up; below its last value it began anew.
  std::function<Result<Duration>()> cpu_time;
  std::function<Duration()> clock = [] {
    return Duration(std::chrono::steady_clock::now().time_since_epoch());
  };
  model::WattSource source = model::WattSource::kModelled;  // kSimulated: a slice of a machine
  // A published curve of another machine of the kind, at another temperature, with other disks.
  double error = 0.2;
};

Result<std::unique_ptr<power::MeterDriver>> make_model_meter(ModelOptions options);

// Of /proc/stat: everything but idle and waiting.
Result<Duration> busy_time(const std::string& proc_stat = "/proc/stat");

}  // namespace chorok::adapters::meter
