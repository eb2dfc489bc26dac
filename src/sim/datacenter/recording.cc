#include "sim/datacenter/recording.h"

#include <algorithm>
#include <cmath>

#include "base/result.h"

namespace chorok::sim::datacenter {

Recorder::Recorder(Recording& out, const std::vector<std::size_t>& set_of_host, std::size_t ticks,
                   double end_s)
    : out_(out) {
  const std::size_t hosts = set_of_host.size();
  out_.end_s = std::max(end_s, 1.0);
  ticks = std::max<std::size_t>(ticks, 1);
  out_.points.resize(std::min(Recording::kPointsMax, ticks));
  out_.columns = std::min(Recording::kColumnsMax, ticks);
  // Each band gets rows by its share of hosts, one at least.
  out_.bands.resize(*std::ranges::max_element(set_of_host) + 1);
  CHOROK_ASSERT(out_.bands.size() <= Recording::kRowsMax / 2);
  for (std::size_t set : set_of_host) ++out_.bands[set].hosts;
  const double rows_left = static_cast<double>(Recording::kRowsMax - out_.bands.size());
  std::vector<std::size_t> first_row;
  for (Recording::Band& band : out_.bands) {
    const double part = static_cast<double>(band.hosts) / static_cast<double>(hosts);
    band.rows =
        hosts <= Recording::kRowsMax ? band.hosts : 1 + static_cast<std::size_t>(rows_left * part);
    band.rows = std::max<std::size_t>(1, std::min(band.rows, band.hosts));
    first_row.push_back(out_.rows);
    out_.rows += band.rows;
  }
  std::vector<std::size_t> seen(out_.bands.size(), 0);
  for (std::size_t set : set_of_host) {
    const Recording::Band& band = out_.bands[set];
    row_of_host_.push_back(first_row[set] +
                           seen[set]++ * band.rows / std::max<std::size_t>(band.hosts, 1));
  }
  out_.map.assign(out_.rows * out_.columns, 0);
  on_.assign(out_.map.size(), 0);
  weights_.assign(out_.points.size(), 0);
}

std::size_t Recorder::bin(double time, std::size_t count) const {
  // A row tells of the time before it.
  const double at = (time - 1e-6) / out_.end_s * static_cast<double>(count);
  return std::min(count - 1, static_cast<std::size_t>(std::max(at, 0.0)));
}

void Recorder::take(const TickRow& row) {
  const double span = row.time_s - last_s_;
  const double joules = (row.energy_kwh - last_kwh_) * 3.6e6;
  last_s_ = row.time_s;
  last_kwh_ = row.energy_kwh;
  // The first row has nothing before it that was metered; several may stand at one time.
  const bool counts = !is_first_ && span > 0;
  is_first_ = false;
  if (!counts) return;
  const std::size_t k = bin(row.time_s, out_.points.size());
  Recording::Point& p = out_.points[k];
  p.hosts_on += span * row.active_hosts;
  p.watts += joules;
  p.demand_mhz += span * row.requested_mhz;
  p.capacity_mhz += span * row.capacity_mhz;
  weights_[k] += span;
  const std::size_t column = bin(row.time_s, out_.columns);
  for (std::size_t h = 0; h < std::min(row.host_load.size(), row_of_host_.size()); ++h) {
    if (row.host_load[h] < 0) continue;
    const std::size_t cell = row_of_host_[h] * out_.columns + column;
    out_.map[cell] += row.host_load[h];
    on_[cell] += 1;
  }
}

void Recorder::finish(const std::vector<double>& time_s, const std::vector<double>& bound_watts) {
  std::vector<double> bound(out_.points.size(), 0);
  std::vector<double> bound_s(out_.points.size(), 0);
  for (std::size_t k = 0; k < time_s.size() && k < bound_watts.size(); ++k) {
    const double until = k + 1 < time_s.size() ? time_s[k + 1] : out_.end_s;
    const double span = until - time_s[k];
    if (span <= 0) continue;
    bound[bin(until, bound.size())] += span * bound_watts[k];
    bound_s[bin(until, bound.size())] += span;
  }
  std::vector<Recording::Point> kept;
  for (std::size_t k = 0; k < out_.points.size(); ++k) {
    if (weights_[k] <= 0) continue;
    Recording::Point p = out_.points[k];
    p.time_s = out_.end_s * (static_cast<double>(k) + 1) / static_cast<double>(weights_.size());
    for (double* sum : {&p.hosts_on, &p.watts, &p.demand_mhz, &p.capacity_mhz}) *sum /= weights_[k];
    p.bound_watts = bound_s[k] > 0 ? bound[k] / bound_s[k]
                    : kept.empty() ? 0
                                   : kept.back().bound_watts;
    kept.push_back(p);
  }
  out_.points = std::move(kept);
  for (std::size_t i = 0; i < out_.map.size(); ++i)
    out_.map[i] = on_[i] > 0 ? out_.map[i] / on_[i] : -1;
}

}  // namespace chorok::sim::datacenter
