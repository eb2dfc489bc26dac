#include "sim/datacenter/bounds.h"

#include <algorithm>
#include <cmath>

#include "sim/datacenter/bounds_fleet.h"

namespace chorok::sim::datacenter {

namespace {

constexpr double kJoulesPerKwh = 3.6e6;

// Seconds that a tick's watts count for: until the next, or by the trapezoid rule.
std::vector<double> weights(std::span<const double> time, bool steps) {
  std::vector<double> weight(time.size(), 0);
  for (std::size_t k = 0; k + 1 < time.size(); ++k) {
    if (steps) {
      weight[k] = time[k + 1] - time[k];
      continue;
    }
    const double half = (time[k + 1] - time[k]) / 2;
    weight[k] += half;
    weight[k + 1] += half;
  }
  return weight;
}

// V(n) = watts(n) + min over m of V'(m) + boot * hosts switched on, where n counts the hosts of
// each type. The minimum is two passes along each axis: fewer hosts cost nothing, one more costs a
// boot.
class BootTable {
 public:
  BootTable(const Fleet& fleet, const std::vector<std::int32_t>& most, double boot_j)
      : fleet_(fleet), most_(most), boot_(boot_j) {
    std::size_t cells = 1;
    for (std::int32_t each : most) cells *= static_cast<std::size_t>(each) + 1;
    value_.assign(cells, 0);
  }
  void switch_hosts() {
    std::size_t step = 1;  // the last type is next to itself
    for (std::size_t type = most_.size(); type-- > 0;) {
      const std::size_t count = static_cast<std::size_t>(most_[type]) + 1;
      for (std::size_t block = 0; block < value_.size(); block += step * count)
        for (std::size_t first = block; first < block + step; ++first) pass(first, step, count);
      step *= count;
    }
  }
  void serve(double demand, double seconds) {
    if (seconds == 0) return;
    std::vector<std::int32_t> n(most_.size(), 0);
    for (double& value : value_) {
      value += seconds * fleet_.watts(n, demand);
      for (std::size_t type = n.size(); type-- > 0;) {
        if (++n[type] <= most_[type]) break;
        n[type] = 0;
      }
    }
  }
  double least() const { return *std::ranges::min_element(value_); }

 private:
  void pass(std::size_t first, std::size_t step, std::size_t count) {
    for (std::size_t i = count - 1; i-- > 0;)
      value_[first + i * step] = std::min(value_[first + i * step], value_[first + (i + 1) * step]);
    for (std::size_t i = 1; i < count; ++i)
      value_[first + i * step] =
          std::min(value_[first + i * step], value_[first + (i - 1) * step] + boot_);
  }

  const Fleet& fleet_;
  const std::vector<std::int32_t>& most_;
  double boot_;
  std::vector<double> value_;
};

// Three sets of the same servers are one type: what is alike makes many combinations that are
// alike.
BoundInput merged(const BoundInput& input) {
  if (input.types.size() <= 2) return input;
  BoundInput out = input;
  out.types.clear();
  out.counts.clear();
  for (std::size_t i = 0; i < input.types.size(); ++i) {
    const HostType& type = input.types[i];
    const auto same = std::ranges::find_if(out.types, [&](const HostType& other) {
      return other.mhz() == type.mhz() && other.memory_mib == type.memory_mib &&
             other.curve.watts == type.curve.watts;
    });
    if (same == out.types.end()) {
      out.types.push_back(type);
      out.counts.push_back(input.counts[i]);
    } else {
      out.counts[static_cast<std::size_t>(same - out.types.begin())] += input.counts[i];
    }
  }
  return out;
}

// Cells of the table over all ticks: half a second of work. Larger data centres get LB1 for LB3.
constexpr double kCellsMax = 50e6;

double with_boots(const Fleet& fleet, const BoundInput& input, std::span<const double> weight) {
  const double peak = *std::ranges::max_element(input.demand_mhz);
  std::vector<std::int32_t> most;
  double cells = static_cast<double>(weight.size());
  for (std::size_t type = 0; type < fleet.types(); ++type) {
    most.push_back(fleet.useful(type, peak));
    cells *= most.back() + 1.0;
  }
  if (cells > kCellsMax) return kInfinity;
  BootTable table(fleet, most, input.boot_j);
  for (std::size_t k = 0; k < weight.size(); ++k) {
    if (k > 0) table.switch_hosts();
    table.serve(input.demand_mhz[k], weight[k]);
  }
  return table.least();
}

}  // namespace

std::vector<double> least_watts(const BoundInput& every) {
  const BoundInput input = merged(every);
  double fluid = kInfinity;
  for (const HostType& type : input.types) fluid = std::min(fluid, best_load(type).watts_per_mhz);
  std::vector<double> watts;
  for (double demand : input.demand_mhz) watts.push_back(demand * fluid);
  if (input.types.empty()) return watts;
  const Fleet fleet(input.types, input.counts);
  for (std::size_t k = 0; k < watts.size(); ++k) {
    const double memory = input.memory_mib.empty() ? 0 : input.memory_mib[k];
    const double least = fleet.least_watts(input.demand_mhz[k], memory);
    if (std::isfinite(least)) watts[k] = least;
  }
  return watts;
}

Bounds lower_bounds(const BoundInput& every) {
  const BoundInput input = merged(every);
  const std::vector<double> weight = weights(input.time_s, input.steps);
  double fluid = kInfinity;
  for (const HostType& type : input.types) fluid = std::min(fluid, best_load(type).watts_per_mhz);
  Bounds bounds;
  for (std::size_t k = 0; k < weight.size(); ++k)
    bounds.lb0_kwh += weight[k] * input.demand_mhz[k] * fluid / kJoulesPerKwh;
  bounds.lb1_kwh = bounds.lb2_kwh = bounds.lb3_kwh = bounds.lb0_kwh;
  if (input.types.empty() || weight.empty()) return bounds;

  const Fleet fleet(input.types, input.counts);
  double lb1 = 0;
  double lb2 = 0;
  for (std::size_t k = 0; k < weight.size(); ++k) {
    const double memory = input.memory_mib.empty() ? 0 : input.memory_mib[k];
    lb1 += weight[k] * fleet.least_watts(input.demand_mhz[k], 0);
    lb2 += weight[k] * fleet.least_watts(input.demand_mhz[k], memory);
  }
  if (!std::isfinite(lb1)) return bounds;  // more demand than hosts: the fluid bound stands
  const double lb3 = with_boots(fleet, input, weight);
  bounds.lb1_kwh = lb1 / kJoulesPerKwh;
  bounds.lb2_kwh = std::isfinite(lb2) ? lb2 / kJoulesPerKwh : bounds.lb1_kwh;
  bounds.lb3_kwh = std::isfinite(lb3) ? lb3 / kJoulesPerKwh : bounds.lb1_kwh;
  return bounds;
}

}  // namespace chorok::sim::datacenter
