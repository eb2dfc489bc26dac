// What a run looked like over time, small enough to be drawn whatever its length: it is thinned out
// while it is recorded. A Recording is a run's own and is filled on its thread.
#pragma once

#include <string>
#include <vector>

#include "sim/datacenter/metrics.h"

namespace chorok::sim::datacenter {

struct Recording {
  static constexpr std::size_t kPointsMax = 600;  // of a line: more than a screen's half shows
  static constexpr std::size_t kRowsMax = 200;
  static constexpr std::size_t kColumnsMax = 300;

  struct Point {  // means over a part of the time
    double time_s = 0;
    double hosts_on = 0;
    double watts = 0;
    double demand_mhz = 0;
    double capacity_mhz = 0;  // of hosts that are on
    double bound_watts = 0;   // of LB2
  };
  // One set of hosts: rows of the map that are its own.
  struct Band {
    std::string name;
    std::size_t rows = 0;
    std::size_t hosts = 0;
  };

  std::vector<Point> points;
  std::vector<Band> bands;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::vector<float> map;  // by row; mean load of hosts that were on, negative: none was
  double end_s = 0;
  std::string experiment_json;  // as it was run
};

class Recorder {
 public:
  // `set_of_host` says to which band a host belongs. `ticks` and `end_s` are what is expected.
  Recorder(Recording& out, const std::vector<std::size_t>& set_of_host, std::size_t ticks,
           double end_s);
  void take(const TickRow& row);
  // With the bound's watts from each of these times on.
  void finish(const std::vector<double>& time_s, const std::vector<double>& bound_watts);

 private:
  std::size_t bin(double time, std::size_t count) const;

  Recording& out_;
  std::vector<std::size_t> row_of_host_;
  std::vector<float> on_;        // by cell: samples of hosts that were on
  std::vector<double> weights_;  // by point: seconds
  double last_s_ = 0;
  double last_kwh_ = 0;
  bool is_first_ = true;
};

}  // namespace chorok::sim::datacenter
