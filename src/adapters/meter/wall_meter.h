// A host with two meters: the processors' counters (exact, every moment, a part of the host) and
// the wall's (all of it, once in seconds, rounded). Together: the wall's watts at every moment.
// What lies between the two, fans, disks, losses of the power supply, is learned as a line
//
//   wall = base + slope * processors
//
// by least squares with weights that fade, so that it follows seasons and added disks.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "adapters/power/driver.h"
#include "base/units.h"

namespace chorok::adapters::meter {

// Pure.
class WallScale {
 public:
  void add(Watts processors, Watts wall);
  // Nothing before the first pair. Never below what the processors take.
  std::optional<Watts> wall(Watts processors) const;
  double slope() const;
  double base() const;
  // The scatter around the line, as a fraction of the mean.
  double scatter() const;

 private:
  // Sums of 1, x, y, xx, xy, yy, each pair worth kFade of the next.
  double n_ = 0, x_ = 0, y_ = 0, xx_ = 0, xy_ = 0, yy_ = 0;
};

struct WallOptions {
  Duration wall_every = std::chrono::seconds(10);  // a BMC takes 50 ms and more to answer
  // A wall meter that is gone for longer leaves the processors' counters alone, and says so.
  Duration wall_old = std::chrono::minutes(10);
  std::function<Duration()> clock = [] {
    return Duration(std::chrono::steady_clock::now().time_since_epoch());
  };
};

std::unique_ptr<power::MeterDriver> make_wall_meter(std::unique_ptr<power::MeterDriver> processors,
                                                    std::unique_ptr<power::MeterDriver> wall,
                                                    WallOptions options = {});

}  // namespace chorok::adapters::meter
