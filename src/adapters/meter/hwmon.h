// Sensors of the board and its power supplies that the kernel shows (hwmon): the ACPI power meter,
// and power supplies that say what goes in (PMBus, label "pin"). Sensors of a part of the host,
// such as a graphics card's, are not its power and are left out.
// https://docs.kernel.org/hwmon/sysfs-interface.html
#pragma once

#include <memory>
#include <string>

#include "adapters/power/driver.h"

namespace chorok::adapters::meter {

struct HwmonOptions {
  std::string root = "/sys/class/hwmon";
  double error = 0.05;  // where the sensor does not say its accuracy
};

// kUnsupported: no sensor of the host's input power there.
Result<std::unique_ptr<power::MeterDriver>> make_hwmon_meter(HwmonOptions options = {});

}  // namespace chorok::adapters::meter
