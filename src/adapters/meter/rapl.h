// The processors' own energy counters (RAPL), through the kernel's powercap files: what packages
// and their memory took, which is a part of what the host draws.
// https://docs.kernel.org/power/powercap/powercap.html
//
// Counters wrap; which are added up so that nothing counts twice is in zones() (rapl.cc).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "adapters/power/driver.h"
#include "base/units.h"

namespace chorok::adapters::meter {

struct RaplOptions {
  std::string root = "/sys/class/powercap";
  // Of a clock that never goes back; tests give their own.
  std::function<Duration()> clock = [] {
    return Duration(std::chrono::steady_clock::now().time_since_epoch());
  };
  double error = 0.05;  // against external meters: Khan et al., "RAPL in Action", TOMPECS 2018
};

// kUnsupported: no zone there (another maker's processor, a virtual machine).
Result<std::unique_ptr<power::MeterDriver>> make_rapl_meter(RaplOptions options = {});

}  // namespace chorok::adapters::meter
