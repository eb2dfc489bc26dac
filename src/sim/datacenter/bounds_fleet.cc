#include "sim/datacenter/bounds_fleet.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace chorok::sim::datacenter {

namespace {

constexpr double kSlack = 1e-9;  // of rounding when demand is exactly what hosts have
constexpr int kHalvings = 40;    // of a multiplier's range

}  // namespace

BestLoad best_load(const HostType& host) {
  BestLoad best;
  for (std::size_t step = 1; step <= 10; ++step) {
    const double mhz = host.mhz() * static_cast<double>(step) / 10;
    if (host.curve.watts[step] / mhz < best.watts_per_mhz)
      best = {mhz, host.curve.watts[step] / mhz};
  }
  return best;
}

Fleet::Fleet(std::span<const HostType> types, std::span<const std::int32_t> counts)
    : most_(counts.begin(), counts.end()) {
  for (std::size_t type = 0; type < types.size(); ++type) {
    add_envelope(types[type], type);
    mhz_.push_back(types[type].mhz());
    memory_.push_back(types[type].memory_mib);
    idle_.push_back(types[type].curve.watts[0]);
    best_mhz_.push_back(best_load(types[type]).mhz);
  }
  // A type that is not there: the search is over two at least.
  for (; most_.size() < 2; most_.push_back(0)) {
    envelope_.push_back({{0, 0}});
    for (auto* of_type : {&mhz_, &memory_, &idle_}) of_type->push_back(0);
    best_mhz_.push_back(1);
  }
  std::ranges::sort(segments_, {}, &Segment::watts_per_mhz);
}

// The lower convex envelope of a curve's eleven points, as segments of growing slope.
void Fleet::add_envelope(const HostType& host, std::size_t type) {
  std::vector<Vertex>& vertices = envelope_.emplace_back();
  vertices.push_back({0, host.curve.watts[0]});
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
    segments_.push_back({slope / tenth, tenth * static_cast<double>(best - at), type});
    vertices.push_back({tenth * static_cast<double>(best), host.curve.watts[best]});
    at = best;
  }
}

double Fleet::idle_of(Counts n) const {
  double watts = 0;
  for (std::size_t type = 0; type < n.size(); ++type) watts += n[type] * idle_[type];
  return watts;
}

double Fleet::watts(Counts n, double demand) const {
  double watts = idle_of(n);
  double left = demand;
  for (const Segment& s : segments_) {
    const double here = std::min(left, s.mhz * n[s.type]);
    watts += here * s.watts_per_mhz;
    left -= here;
    if (left <= 0) return watts;
  }
  return left > kSlack * demand ? kInfinity : watts;
}

std::int32_t Fleet::least_last(Counts n, double demand, double memory) const {
  const std::size_t last = types() - 1;
  auto needed = [&](double want, const std::vector<double>& each) {
    double left = want;
    for (std::size_t type = 0; type < last; ++type) left -= n[type] * each[type];
    if (left <= kSlack * want) return 0.0;
    return each[last] > 0 ? std::ceil(left / each[last] - kSlack) : kInfinity;
  };
  const double count = std::max(needed(demand, mhz_), needed(memory, memory_));
  return count > most_[last] ? most_[last] + 1 : static_cast<std::int32_t>(count);
}

void Fleet::try_last(std::vector<std::int32_t>& n, double demand, double memory,
                     double& least) const {
  const std::size_t last = types() - 1;
  double before = kInfinity;
  for (n[last] = least_last(n, demand, memory); n[last] <= most_[last]; ++n[last]) {
    if (idle_of(n) >= least) break;
    const double w = watts(n, demand);
    if (w >= before) break;
    before = w;
    least = std::min(least, w);
  }
}

double Fleet::least_of_two(double demand, double memory) const {
  double least = kInfinity;
  std::vector<std::int32_t> n(2, 0);
  for (n[0] = 0; n[0] <= most_[0]; ++n[0]) try_last(n, demand, memory, least);
  return least;
}

std::int32_t Fleet::useful(std::size_t type, double demand) const {
  if (most_[type] == 0) return 0;
  return std::min(most_[type], static_cast<std::int32_t>(std::ceil(demand / best_mhz_[type])));
}

// ---- More than two types ----

// For multipliers a >= 0 of demand and b >= 0 of memory, any numbers n that serve both draw at
// least
//   a * demand + b * memory + sum over types of n * r,
//   r = the least of (watts - a * MHz) over a host's envelope - b * its memory.
// The best multipliers make that a bound for all n; a number that makes it more than the best that
// is known cannot be in the optimum. What is left are few numbers of the types whose r is not near
// nothing, and those of at most two types that are free.
class CountSearch {
 public:
  CountSearch(const Fleet& fleet, double demand, double memory)
      : fleet_(fleet), demand_(demand), memory_(memory), reduced_(fleet.types()) {}

  double least() {
    if (!fits(fleet_.most_)) return kInfinity;
    find_multipliers();
    guess();
    order_.resize(fleet_.types());
    std::iota(order_.begin(), order_.end(), 0);
    std::ranges::sort(order_, [&](std::size_t a, std::size_t b) {
      const double size_a = std::abs(reduced_[a]);
      const double size_b = std::abs(reduced_[b]);
      return size_a != size_b ? size_a > size_b : a < b;
    });
    n_.assign(fleet_.types(), 0);
    walk(0, bound_);
    if (nodes_ <= Fleet::kNodesMost) return least_;
    return std::min(least_, bound_);
  }

 private:
  double value(double a, double b) {
    double sum = a * demand_ + b * memory_;
    served_mhz_ = 0;
    served_memory_ = 0;
    for (std::size_t type = 0; type < fleet_.types(); ++type) {
      double least = kInfinity;
      double mhz = 0;
      for (const Fleet::Vertex& v : fleet_.envelope_[type]) {
        if (v.watts - a * v.mhz >= least) continue;
        least = v.watts - a * v.mhz;
        mhz = v.mhz;
      }
      reduced_[type] = least - b * fleet_.memory_[type];
      if (reduced_[type] >= 0) continue;
      sum += fleet_.most_[type] * reduced_[type];
      served_mhz_ += fleet_.most_[type] * mhz;
      served_memory_ += fleet_.most_[type] * fleet_.memory_[type];
    }
    return sum;
  }
  // Both are where the bound stops to grow: what hosts would then serve meets what is asked.
  double best_demand_multiplier(double b) {
    double low = 0;
    double high = a_most_;
    for (int i = 0; i < kHalvings; ++i) {
      const double middle = (low + high) / 2;
      value(middle, b);
      (served_mhz_ < demand_ ? low : high) = middle;
    }
    return high;
  }
  void find_multipliers() {
    double b_most = 0;
    for (const Fleet::Segment& s : fleet_.segments_) a_most_ = std::max(a_most_, s.watts_per_mhz);
    for (std::size_t type = 0; type < fleet_.types(); ++type) {
      if (fleet_.mhz_[type] <= 0) continue;
      a_most_ = std::max(a_most_, fleet_.envelope_[type].back().watts / fleet_.mhz_[type]);
      if (fleet_.memory_[type] > 0)
        b_most = std::max(b_most, fleet_.envelope_[type].back().watts / fleet_.memory_[type]);
    }
    a_most_ *= 2;
    double low = 0;
    double high = memory_ > 0 ? 2 * b_most : 0;
    double best_a = 0;
    double best_b = 0;
    bound_ = -kInfinity;
    const auto look = [&](double b) {
      const double a = best_demand_multiplier(b);
      const double v = value(a, b);
      if (v <= bound_) return;
      bound_ = v;
      best_a = a;
      best_b = b;
    };
    look(0);
    for (int i = 0; i < kHalvings && high > 0; ++i) {
      const double middle = (low + high) / 2;
      look(middle);
      (served_memory_ < memory_ ? low : high) = middle;
    }
    bound_ = value(best_a, best_b);
  }

  // Some numbers that do: hosts by what they cost for what they give, then fewer while it pays.
  void guess() {
    std::vector<std::int32_t> n(fleet_.most_);
    least_ = fleet_.watts(n, demand_);
    std::vector<std::size_t> dear(fleet_.types());
    std::iota(dear.begin(), dear.end(), 0);
    std::ranges::sort(dear,
                      [&](std::size_t a, std::size_t b) { return reduced_[a] > reduced_[b]; });
    for (const std::size_t type : dear) {
      // As few as fit; then, from there, more while that pays.
      std::int32_t low = 0;
      std::int32_t high = n[type];
      while (low < high) {
        n[type] = low + (high - low) / 2;
        if (fits(n))
          high = n[type];
        else
          low = n[type] + 1;
      }
      n[type] = low;
    }
    least_ = std::min(least_, fleet_.watts(n, demand_));
    for (const std::size_t type : dear)
      for (; n[type] < fleet_.most_[type]; ++n[type]) {
        ++n[type];
        const double w = fleet_.watts(n, demand_);
        --n[type];
        if (w >= least_) break;
        least_ = w;
      }
  }
  bool fits(const std::vector<std::int32_t>& n) const {
    double mhz = 0;
    double memory = 0;
    for (std::size_t type = 0; type < n.size(); ++type) {
      mhz += n[type] * fleet_.mhz_[type];
      memory += n[type] * fleet_.memory_[type];
    }
    return mhz >= demand_ * (1 - kSlack) && memory >= memory_ * (1 - kSlack);
  }

  // Numbers for the type at `depth` of the order, `bound` being what those before it leave
  // possible. The last of the order is not walked: its numbers follow from the others.
  void walk(std::size_t depth, double bound) {
    if (++nodes_ > Fleet::kNodesMost) return;
    const std::size_t type = order_[depth];
    if (depth + 1 == order_.size()) {
      try_free(type);
      return;
    }
    const double each = std::abs(reduced_[type]);
    const std::int32_t most = fleet_.most_[type];
    const bool down = reduced_[type] < 0;  // from all of them, else from none
    for (std::int32_t off = 0; off <= most; ++off) {
      const double here = bound + off * each;
      if (here >= least_ * (1 + kSlack)) break;
      n_[type] = down ? most - off : off;
      walk(depth + 1, here);
    }
    n_[type] = 0;
  }
  void try_free(std::size_t type) {
    double demand = demand_;
    double memory = memory_;
    for (std::size_t other = 0; other < n_.size(); ++other) {
      if (other == type) continue;
      demand -= n_[other] * fleet_.mhz_[other];
      memory -= n_[other] * fleet_.memory_[other];
    }
    const auto needed = [&](double left, double want, double each) {
      if (left <= kSlack * want) return 0.0;
      return each > 0 ? std::ceil(left / each - kSlack) : kInfinity;
    };
    const double count = std::max(needed(demand, demand_, fleet_.mhz_[type]),
                                  needed(memory, memory_, fleet_.memory_[type]));
    if (count > fleet_.most_[type]) return;
    double before = kInfinity;
    for (auto k = static_cast<std::int32_t>(count); k <= fleet_.most_[type]; ++k) {
      n_[type] = k;
      const double w = fleet_.watts(n_, demand_);
      if (w >= before) break;
      before = w;
      least_ = std::min(least_, w);
    }
    n_[type] = 0;
  }

  const Fleet& fleet_;
  double demand_;
  double memory_;
  std::vector<double> reduced_;  // by type: r
  std::vector<std::size_t> order_;
  std::vector<std::int32_t> n_;
  std::size_t nodes_ = 0;
  double a_most_ = 0;
  double bound_ = 0;  // for all numbers
  double least_ = kInfinity;
  double served_mhz_ = 0;
  double served_memory_ = 0;
};

double Fleet::least_watts(double demand, double memory) const {
  if (types() == 2) return least_of_two(demand, memory);
  return CountSearch(*this, demand, memory).least();
}

}  // namespace chorok::sim::datacenter
