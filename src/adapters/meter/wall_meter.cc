#include "adapters/meter/wall_meter.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace chorok::adapters::meter {

namespace {

// Half of a pair's weight is gone after 700: two hours at one pair in ten seconds.
constexpr double kFade = 0.999;
// Where the load has not varied there is no slope to see: what losses of converters and power
// supply add to each watt of a processor.
constexpr double kUsualSlope = 1.25;
// A watt at the processors takes at least itself from the wall; with fans at full speed up to
// twice.
constexpr double kSlopeMin = 1;
constexpr double kSlopeMax = 2.5;
// Of the processors' watts, as a fraction of their mean, before a slope is believed.
constexpr double kSpreadMin = 0.05;

class WallMeter final : public power::MeterDriver {
 public:
  WallMeter(std::unique_ptr<power::MeterDriver> processors,
            std::unique_ptr<power::MeterDriver> wall, WallOptions options)
      : processors_(std::move(processors)), wall_(std::move(wall)), options_(std::move(options)) {
    since_ = std::chrono::system_clock::now();
  }

  Result<model::PowerReading> read() override {
    const Duration now = options_.clock();
    model::PowerReading reading = TRY(processors_->read());
    std::optional<model::PowerReading> wall;
    if (!asked_ || now - *asked_ >= options_.wall_every) wall = ask_wall(now, reading);
    const bool known = heard_ && now - *heard_ <= options_.wall_old;
    if (!known) return reading;
    if (!reading.watts) {
      begin_counter();  // the processors' counter began anew: there is a gap
      return wall ? Result<model::PowerReading>(*wall) : Result<model::PowerReading>(reading);
    }
    auto scaled = scale_.wall(*reading.watts);
    if (!scaled) return reading;
    energy_ += *scaled * reading.window;
    reading.watts = *scaled;
    reading.energy = energy_;
    reading.energy_since = since_;
    reading.scope = model::MeterScope::kWall;
    reading.error = std::min(0.99, wall_error_ + scale_.scatter());
    return reading;
  }

  void stop() override {
    processors_->stop();
    wall_->stop();
  }

 private:
  std::optional<model::PowerReading> ask_wall(Duration now, const model::PowerReading& processors) {
    asked_ = now;
    auto wall = wall_->read();
    if (!wall || !wall->watts || wall->scope != model::MeterScope::kWall) return std::nullopt;
    heard_ = now;
    wall_error_ = wall->error;
    if (processors.watts) scale_.add(*processors.watts, *wall->watts);
    return *wall;
  }
  void begin_counter() {
    energy_ = Joules(0);
    since_ = std::chrono::system_clock::now();
  }

  std::unique_ptr<power::MeterDriver> processors_;
  std::unique_ptr<power::MeterDriver> wall_;
  WallOptions options_;
  WallScale scale_;
  std::optional<Duration> asked_;
  std::optional<Duration> heard_;
  double wall_error_ = 0;
  Joules energy_{};
  Time since_{};
};

}  // namespace

void WallScale::add(Watts processors, Watts wall) {
  const double x = processors.value;
  const double y = wall.value;
  for (double* sum : {&n_, &x_, &y_, &xx_, &xy_, &yy_}) *sum *= kFade;
  n_ += 1;
  x_ += x;
  y_ += y;
  xx_ += x * x;
  xy_ += x * y;
  yy_ += y * y;
}

double WallScale::slope() const {
  if (n_ == 0) return kUsualSlope;
  const double mean = x_ / n_;
  const double variance = (xx_ / n_) - (mean * mean);
  if (variance <= 0 || std::sqrt(variance) < kSpreadMin * mean) return kUsualSlope;
  const double covariance = (xy_ / n_) - (mean * y_ / n_);
  return std::clamp(covariance / variance, kSlopeMin, kSlopeMax);
}

double WallScale::base() const {
  return n_ == 0 ? 0 : (y_ - (slope() * x_)) / n_;
}

std::optional<Watts> WallScale::wall(Watts processors) const {
  if (n_ == 0) return std::nullopt;
  return Watts(std::max(processors.value, base() + (slope() * processors.value)));
}

double WallScale::scatter() const {
  if (n_ == 0 || y_ <= 0) return 0;
  const double a = base();
  const double b = slope();
  const double square =
      (yy_ - (2 * a * y_) - (2 * b * xy_) + (n_ * a * a) + (2 * a * b * x_) + (b * b * xx_)) / n_;
  return std::sqrt(std::max(0.0, square)) / (y_ / n_);
}

std::unique_ptr<power::MeterDriver> make_wall_meter(std::unique_ptr<power::MeterDriver> processors,
                                                    std::unique_ptr<power::MeterDriver> wall,
                                                    WallOptions options) {
  return std::make_unique<WallMeter>(std::move(processors), std::move(wall), std::move(options));
}

}  // namespace chorok::adapters::meter
