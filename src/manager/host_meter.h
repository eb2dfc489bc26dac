// What one host draws, from whatever says it: the best of its meters at each time, and a model
// where none speaks. What the better ones say teaches the others: how far the curve of the model is
// from this host, how the processors' counters lie to the wall, what it draws idle. So a meter that
// fails leaves an estimate behind that is of this host and not of a book.
//
//   1 the wall, by the BMC (DCMI, Redfish): the integral of its readings (watts_line.h)
//   2 the wall, by a sensor that the host reads itself (hwmon)
//   3 the processors' counters (RAPL), scaled to the wall by the line learned while both spoke
//   4 the host's curve at its load, times the ratio learned likewise; of a host that is off its
//     standby watts. Never less than what RAPL alone counted.
//   5 nothing is known: what it drew last. That is an estimate, and counted as one.
//
// Pure.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "adapters/meter/wall_meter.h"
#include "manager/watts_line.h"
#include "model/power.h"
#include "model/snapshot.h"

namespace chorok::manager {

// All in joules but the last two: where most of it comes from.
struct Drawn {
  double joules = 0;
  double measured = 0;
  double estimated = 0;
  double error = 0;
  model::WattSource source = model::WattSource::kModelled;
  model::MeterMethod method = model::MeterMethod::kModel;
};

class HostMeter {
 public:
  struct Curve {
    model::PowerCurve watts;
    double error = 0.35;  // of a curve that is of another machine
    bool simulated = false;
  };
  struct Span {
    Time from{};
    Time to{};
    std::optional<double> load;  // 0..1
    bool off = false;
    const std::vector<model::PowerReading>* local = nullptr;  // of the host's own, at `to`
    bool whole = true;  // the host's counters counted from `from` on, and not longer
  };
  struct Counter {
    model::MeterMethod method{};
    double joules = 0;
    Time since{};
    static const Type& type();
  };
  // What must outlive the process.
  struct Cursor {
    WattsLine::Cursor wall;
    model::MeterMethod wall_method{};
    model::WattSource wall_source{};
    std::vector<Counter> counters;
    double ratio = 0;
    double ratio_spread = 0;
    double ratios = 0;
    double idle = 0;
    double watts = 0;
    static const Type& type();
  };

  void set_curve(Curve curve) { curve_ = std::move(curve); }
  void set_gap(Duration gap) { wall_.set_gap(gap); }
  // Of its BMC.
  void read(const model::PowerReading& reading);
  const WattsLine& wall() const { return wall_; }

  Drawn take(const Span& span);
  // The host's counters as they are, where nothing is to be taken.
  void see(const std::vector<model::PowerReading>& local);
  // What take() would answer, without the host's own meters.
  Drawn peek(const Span& span) const;
  // What it draws without load.
  double idle() const;
  // Its curve as meters have shown it: the ratio in steps of a twentieth, so that it changes
  // rarely, and standby as it was. None until they have spoken often enough.
  std::optional<model::PowerCurve> learned() const;

  Cursor cursor() const;
  void restore(const Cursor& cursor);

 private:
  struct Learned {  // a mean with fading weights
    double mean = 0;
    double spread = 0;
    double count = 0;
    void add(double value);
  };
  Drawn by_wall(const WattsLine::Account& account) const;
  std::optional<Drawn> by_sensor(const Span& span) const;
  std::optional<double> counted(const Span& span, model::MeterScope scope) const;
  std::optional<Drawn> by_processors(const Span& span) const;
  Drawn by_model(const Span& span) const;
  void learn(const Span& span, const Drawn& drawn);

  Curve curve_;
  WattsLine wall_;
  model::MeterMethod wall_method_ = model::MeterMethod::kIpmiDcmi;
  model::WattSource wall_source_ = model::WattSource::kMeasured;
  std::map<model::MeterMethod, Counter> counters_;
  adapters::meter::WallScale scale_;
  double scales_ = 0;
  Learned ratio_;
  double idle_ = 0;   // 0: not seen yet
  double watts_ = 0;  // mean of the last span
};

}  // namespace chorok::manager
