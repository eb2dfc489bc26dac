#include "sim/datacenter/bounds.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace chorok::sim::datacenter {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kJoulesPerKwh = 3.6e6;
constexpr double kSlack = 1e-9;  // of rounding when demand is exactly what hosts have

struct Segment {
  double watts_per_mhz = 0;
  double mhz = 0;  // of one host
  std::size_t type = 0;
};

// The lower convex envelope of a curve's eleven points, as segments of growing slope.
void add_envelope(const HostType& host, std::size_t type, std::vector<Segment>& out) {
  std::size_t at = 0;
  while (at < 10) {
    std::size_t best = at + 1;
    double slope = kInfinity;
    for (std::size_t to = at + 1; to <= 10; ++to) {
      const double s = (host.curve.watts[to] - host.curve.watts[at]) / static_cast<double>(to - at);
      if (s <= slope) {
        slope = s;
        best = to;
      }
    }
    const double tenth = host.mhz() / 10;
    out.push_back({slope / tenth, tenth * static_cast<double>(best - at), type});
    at = best;
  }
}

// Where on its curve a MHz costs a host the fewest watts.
struct BestLoad {
  double mhz = 0;
  double watts_per_mhz = kInfinity;
};
BestLoad best_load(const HostType& host) {
  BestLoad best;
  for (std::size_t step = 1; step <= 10; ++step) {
    const double mhz = host.mhz() * static_cast<double>(step) / 10;
    if (host.curve.watts[step] / mhz < best.watts_per_mhz)
      best = {mhz, host.curve.watts[step] / mhz};
  }
  return best;
}

// One or two types; the second may have no hosts.
class Fleet {
 public:
  using Count = std::array<std::int32_t, 2>;

  explicit Fleet(const BoundInput& input) {
    for (std::size_t type = 0; type < input.types.size(); ++type) {
      add_envelope(input.types[type], type, segments_);
      most_[type] = input.counts[type];
      mhz_[type] = input.types[type].mhz();
      memory_[type] = input.types[type].memory_mib;
      idle_[type] = input.types[type].curve.watts[0];
      best_mhz_[type] = best_load(input.types[type]).mhz;
    }
    std::ranges::sort(segments_, {}, &Segment::watts_per_mhz);
  }

  // Infinite when they cannot serve it.
  double watts(Count n, double demand) const {
    double watts = n[0] * idle_[0] + n[1] * idle_[1];
    double left = demand;
    for (const Segment& s : segments_) {
      const double here = std::min(left, s.mhz * n[s.type]);
      watts += here * s.watts_per_mhz;
      left -= here;
      if (left <= 0) return watts;
    }
    return left > kSlack * demand ? kInfinity : watts;
  }

  // The least hosts of type 1 that n0 hosts of type 0 need beside them; may be more than there are.
  std::int32_t least_second(std::int32_t n0, double demand, double memory) const {
    auto needed = [&](double want, double first, double second) {
      const double left = want - n0 * first;
      if (left <= kSlack * want) return 0.0;
      return second > 0 ? std::ceil(left / second - kSlack) : kInfinity;
    };
    const double n1 =
        std::max(needed(demand, mhz_[0], mhz_[1]), needed(memory, memory_[0], memory_[1]));
    return n1 > most_[1] ? most_[1] + 1 : static_cast<std::int32_t>(n1);
  }

  // Cheapest numbers of hosts. Watts are convex along n1, so the search goes up while it pays.
  double least_watts(double demand, double memory) const {
    double least = kInfinity;
    for (std::int32_t n0 = 0; n0 <= most_[0]; ++n0) {
      for (std::int32_t n1 = least_second(n0, demand, memory); n1 <= most_[1]; ++n1) {
        if (n0 * idle_[0] + n1 * idle_[1] >= least) break;
        const double w = watts({n0, n1}, demand);
        if (w >= least) break;
        least = w;
      }
    }
    return least;
  }

  // More hosts of a type than this only draw idle power: at the load where a MHz costs least they
  // carry all of the demand alone.
  std::int32_t useful(std::size_t type, double demand) const {
    if (most_[type] == 0) return 0;
    return std::min(most_[type], static_cast<std::int32_t>(std::ceil(demand / best_mhz_[type])));
  }

 private:
  std::vector<Segment> segments_;
  Count most_{};
  std::array<double, 2> mhz_{};
  std::array<double, 2> memory_{};
  std::array<double, 2> idle_{};
  std::array<double, 2> best_mhz_{};  // of one host, at its best watts per MHz
};

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

// V(n0, n1) = watts(n0, n1) + min over (m0, m1) of V'(m0, m1) + boot * hosts switched on. The
// minimum is two passes along each axis: fewer hosts cost nothing, one more costs a boot.
class BootTable {
 public:
  BootTable(const Fleet& fleet, std::int32_t most0, std::int32_t most1, double boot_j)
      : fleet_(fleet), rows_(most0 + 1), columns_(most1 + 1), boot_(boot_j) {
    value_.assign(static_cast<std::size_t>(rows_) * static_cast<std::size_t>(columns_), 0);
  }
  void switch_hosts() {
    for (std::int32_t row = 0; row < rows_; ++row) pass(row * columns_, 1, columns_);
    for (std::int32_t column = 0; column < columns_; ++column) pass(column, columns_, rows_);
  }
  void serve(double demand, double seconds) {
    if (seconds == 0) return;
    for (std::int32_t n0 = 0; n0 < rows_; ++n0)
      for (std::int32_t n1 = 0; n1 < columns_; ++n1)
        at(n0 * columns_ + n1) += seconds * fleet_.watts({n0, n1}, demand);
  }
  double least() const { return *std::ranges::min_element(value_); }

 private:
  double& at(std::int32_t i) { return value_[static_cast<std::size_t>(i)]; }
  void pass(std::int32_t first, std::int32_t step, std::int32_t count) {
    for (std::int32_t i = count - 2; i >= 0; --i)
      at(first + i * step) = std::min(at(first + i * step), at(first + (i + 1) * step));
    for (std::int32_t i = 1; i < count; ++i)
      at(first + i * step) = std::min(at(first + i * step), at(first + (i - 1) * step) + boot_);
  }

  const Fleet& fleet_;
  std::int32_t rows_;
  std::int32_t columns_;
  double boot_;
  std::vector<double> value_;
};

// Cells of the table over all ticks: half a second of work. Larger data centres get LB1 for LB3.
constexpr double kCellsMax = 50e6;

double with_boots(const Fleet& fleet, const BoundInput& input, std::span<const double> weight) {
  const double peak = *std::ranges::max_element(input.demand_mhz);
  const std::int32_t most0 = fleet.useful(0, peak);
  const std::int32_t most1 = fleet.useful(1, peak);
  if ((most0 + 1.0) * (most1 + 1.0) * static_cast<double>(weight.size()) > kCellsMax)
    return kInfinity;
  BootTable table(fleet, most0, most1, input.boot_j);
  for (std::size_t k = 0; k < weight.size(); ++k) {
    if (k > 0) table.switch_hosts();
    table.serve(input.demand_mhz[k], weight[k]);
  }
  return table.least();
}

}  // namespace

std::vector<double> least_watts(const BoundInput& input) {
  double fluid = kInfinity;
  for (const HostType& type : input.types) fluid = std::min(fluid, best_load(type).watts_per_mhz);
  std::vector<double> watts;
  for (double demand : input.demand_mhz) watts.push_back(demand * fluid);
  if (input.types.empty() || input.types.size() > 2) return watts;
  const Fleet fleet(input);
  for (std::size_t k = 0; k < watts.size(); ++k) {
    const double memory = input.memory_mib.empty() ? 0 : input.memory_mib[k];
    const double least = fleet.least_watts(input.demand_mhz[k], memory);
    if (std::isfinite(least)) watts[k] = least;
  }
  return watts;
}

Bounds lower_bounds(const BoundInput& input) {
  const std::vector<double> weight = weights(input.time_s, input.steps);
  double fluid = kInfinity;
  for (const HostType& type : input.types) fluid = std::min(fluid, best_load(type).watts_per_mhz);
  Bounds bounds;
  for (std::size_t k = 0; k < weight.size(); ++k)
    bounds.lb0_kwh += weight[k] * input.demand_mhz[k] * fluid / kJoulesPerKwh;
  bounds.lb1_kwh = bounds.lb2_kwh = bounds.lb3_kwh = bounds.lb0_kwh;
  if (input.types.empty() || input.types.size() > 2 || weight.empty()) return bounds;

  const Fleet fleet(input);
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
