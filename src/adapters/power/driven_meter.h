// A PowerMeter over a MeterDriver.
#pragma once

#include <cmath>
#include <memory>

#include "adapters/power/driver.h"
#include "adapters/work/blocking.h"
#include "ports/power_meter.h"

namespace chorok::adapters::power {

// Lives on the loop's thread and is destroyed there. One reading at a time, in the order asked:
// counters are differences between them.
class DrivenMeter final : public ports::PowerMeter {
 public:
  DrivenMeter(Loop& loop, work::WorkerPool& pool, std::unique_ptr<MeterDriver> driver)
      : loop_(loop), driver_(std::move(driver)), blocking_(loop, pool) {}
  ~DrivenMeter() override { driver_->stop(); }

  void read(Done<Result<model::PowerReading>> done) override {
    // A lane of its own: the driver's address is this meter's alone while it lives.
    const std::string lane = std::to_string(reinterpret_cast<std::uintptr_t>(driver_.get()));
    blocking_.run<model::PowerReading>(
        lane, [driver = driver_] { return driver->read(); },
        [this, done = std::move(done)](Result<model::PowerReading> reading) mutable {
          done(checked(std::move(reading)));
        });
  }

 private:
  // A BMC that says a million watts would be believed by whoever adds up.
  Result<model::PowerReading> checked(Result<model::PowerReading> reading) const {
    if (!reading) return reading;
    auto bad = [](double value, double most) {
      return !std::isfinite(value) || value < 0 || value > most;
    };
    if (reading->watts && bad(reading->watts->value, ports::kWattsMax.value))
      return fail(Code::kInvalid, "the meter says what no host can draw: " +
                                      std::to_string(reading->watts->value) + " W");
    if (reading->energy && bad(reading->energy->value, 1e18))
      return fail(Code::kInvalid, "the meter's counter is no energy");
    reading->at = loop_.now();
    return reading;
  }

  Loop& loop_;
  std::shared_ptr<MeterDriver> driver_;
  work::Blocking blocking_;
};

}  // namespace chorok::adapters::power
