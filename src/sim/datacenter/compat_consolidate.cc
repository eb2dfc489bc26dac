#include "sim/datacenter/compat_consolidate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace chorok::sim::datacenter {

#pragma STDC FP_CONTRACT OFF

namespace {

constexpr std::size_t kLinePoints = 10;     // of the history that kLr fits its line through
constexpr std::size_t kSpreadPoints = 12;   // that kIqr and kMad need at least
constexpr double kFallbackThreshold = 0.7;  // until there is history enough
// A forecast farther than this from the limit may be made of sums in another order.
constexpr double kRounding = 1e-9;

// commons-math's SimpleRegression over (1, y1) ... (10, y10), its updating formulas in their order:
// intercept and slope, then the value at `x`.
double line_at(const double* newest_first, double x) {
  double xbar = 0;
  double ybar = 0;
  double sum_xx = 0;
  double sum_xy = 0;
  double sum_x = 0;
  double sum_y = 0;
  for (std::size_t i = 0; i < kLinePoints; ++i) {
    const double xi = static_cast<double>(i) + 1;
    const double yi = newest_first[kLinePoints - 1 - i];
    const auto n = static_cast<double>(i);
    if (i == 0) {
      xbar = xi;
      ybar = yi;
    } else {
      const double dx = xi - xbar;
      const double dy = yi - ybar;
      const double weight = n / (1.0 + n);
      sum_xx += dx * dx * weight;
      sum_xy += dx * dy * weight;
      xbar += dx / (1.0 + n);
      ybar += dy / (1.0 + n);
    }
    sum_x += xi;
    sum_y += yi;
  }
  const double slope = sum_xy / sum_xx;
  const double intercept = (sum_y - slope * sum_x) / static_cast<double>(kLinePoints);
  return intercept + slope * x;
}

// commons-math's Percentile(50), on a sorted sample.
double median_of_sorted(const double* sorted, std::size_t n) {
  if (n == 1) return sorted[0];
  const double position = 50.0 * (static_cast<double>(n) + 1) / 100;
  const double floor = std::floor(position);
  const auto i = static_cast<std::size_t>(floor);
  return sorted[i - 1] + (position - floor) * (sorted[i] - sorted[i - 1]);
}

double median_absolute_deviation(double* values, std::size_t n) {
  std::sort(values, values + n);
  const double median = median_of_sorted(values, n);
  for (std::size_t i = 0; i < n; ++i) values[i] = std::abs(median - values[i]);
  std::sort(values, values + n);
  return median_of_sorted(values, n);
}

double interquartile_range(double* values, std::size_t n) {
  std::sort(values, values + n);
  const double count = static_cast<double>(n) + 1;
  const auto q1 = static_cast<std::size_t>(std::floor(0.25 * count + 0.5)) - 1;
  const auto q3 = static_cast<std::size_t>(std::floor(0.75 * count + 0.5)) - 1;
  return values[q3] - values[q1];
}

}  // namespace

Consolidation::Consolidation(const CompatWorld& world, const PolicyName& policy)
    : world_(world), policy_(policy) {
  const std::size_t hosts = world.hosts();
  if (policy.policy == CompatPolicy::kIqr || policy.policy == CompatPolicy::kMad)
    points_kept_ = CompatWorld::kHistory;
  planned_.resize(hosts);
  if (points_kept_ > 0) points_.resize(hosts);
  list_.resize(hosts);
  for (auto& vms : list_) vms.reserve(64);
  line_of_.assign(world.vms() * world.capacity.size(), 0);
  closed_.assign(hosts, 0);
  is_target_.assign(hosts, 0);
  memory_left_.resize(hosts);
  bandwidth_left_.assign(hosts, world.settings.host_bandwidth);
  for (HostId h = 0; h < hosts; ++h) {
    memory_left_[h] = world.settings.host_types[world.type_of(h)].memory_mib;
    planned_[h].left = world.capacity[world.type_of(h)];
  }
}

// ---- The initial placement ----

HostId Consolidation::first_host(VmId v) {
  const double asked = world_.size[v];
  double least = std::numeric_limits<double>::max();
  HostId best = kNoHost;
  const bool fits_only =
      policy_.policy == CompatPolicy::kNpa || policy_.policy == CompatPolicy::kDvfs;
  for (HostId h = 0; h < world_.hosts(); ++h) {
    const std::size_t type = world_.type_of(h);
    if (world_.core[type] < asked || planned_[h].left < asked ||
        memory_left_[h] < world_.memory[v] || bandwidth_left_[h] < world_.settings.vm_bandwidth)
      continue;
    if (fits_only) return h;  // PowerVmAllocationPolicySimple
    const SpecPower& power = world_.power_of_type[type];
    const double more =
        power.at((planned_[h].used + asked) / world_.capacity[type]) - world_.watts[h];
    if (more < least) {
      least = more;
      best = h;
    }
  }
  return best;
}

void Consolidation::placed(VmId v, HostId h) {
  planned_[h].left -= world_.size[v];
  planned_[h].used += world_.size[v];
  memory_left_[h] -= world_.memory[v];
  bandwidth_left_[h] -= world_.settings.vm_bandwidth;
}

// ---- What is known of a host ----

// PowerHostUtilizationHistory: the sum of its VMs' own histories.
void Consolidation::add_points(VmId v, std::size_t type, std::size_t count, Points& points) const {
  const double* ring = world_.history.data() + std::size_t{v} * CompatWorld::kRing;
  for (std::size_t age = 0; age < count; ++age) {
    const std::size_t slot = (world_.newest + CompatWorld::kRing - age) % CompatWorld::kRing;
    points[age] += ring[slot] * world_.size[v] / world_.capacity[type];
  }
}

std::size_t Consolidation::length(std::uint32_t asked) const {
  return static_cast<std::size_t>(32 - std::countl_zero(asked));
}

// The line's value one step ahead is linear in the points: 1/10 + (x - 5.5)(11 - 5.5)/82.5 of each.
void Consolidation::learn() {
  if (policy_.policy != CompatPolicy::kLr) return;
  const std::size_t types = world_.capacity.size();
  for (VmId v = 0; v < world_.vms(); ++v) {
    if (world_.host[v] == kNoHost) continue;
    const double* ring = world_.history.data() + std::size_t{v} * CompatWorld::kRing;
    double ahead = 0;
    for (std::size_t age = 0; age < kLinePoints; ++age) {
      const std::size_t slot = (world_.newest + CompatWorld::kRing - age) % CompatWorld::kRing;
      ahead += ring[slot] * (0.1 + (4.5 - static_cast<double>(age)) / 15);
    }
    for (std::size_t type = 0; type < types; ++type)
      line_of_[v * types + type] = ahead * world_.size[v] / world_.capacity[type];
  }
}

void Consolidation::append(HostId h, VmId v) {
  const std::size_t type = world_.type_of(h);
  Planned& p = planned_[h];
  const double capped = std::min(world_.requested[v], world_.core[type]);
  p.requested += world_.requested[v];
  p.left -= capped;
  p.used += capped;
  p.line += line_of_[std::size_t{v} * world_.capacity.size() + type];
  p.asked |= world_.asked[v];
  if (points_kept_ > 0) add_points(v, type, points_kept_, points_[h]);
}

// From the list. A host that cannot give all it is asked for has nothing left, and gives whole MHz.
void Consolidation::learn_host(HostId h) {
  const std::size_t type = world_.type_of(h);
  Planned& p = planned_[h];
  p = {.left = world_.capacity[type]};
  if (points_kept_ > 0) points_[h].fill(0);
  for (VmId v : list_[h]) append(h, v);
  if (p.left >= 0) return;
  const double scale = world_.capacity[type] / p.used;
  p.left = 0;
  p.used = 0;
  for (VmId v : list_[h])
    p.used += std::floor(std::min(world_.requested[v], world_.core[type]) * scale);
}

// ---- isHostOverUtilized, with one VM more or as it is ----

bool Consolidation::above_threshold(HostId h, const VmId* more, double threshold) const {
  const double requested = planned_[h].requested + (more ? world_.requested[*more] : 0);
  return requested / world_.capacity[world_.type_of(h)] > threshold;
}

bool Consolidation::line_reaches(HostId h, const VmId* more) const {
  const std::size_t type = world_.type_of(h);
  const double line =
      planned_[h].line + (more ? line_of_[std::size_t{*more} * world_.capacity.size() + type] : 0);
  const double near = policy_.parameter * line;
  if (near < 1 - kRounding) return false;
  if (near > 1 + kRounding) return true;
  Points points{};
  for (VmId v : list_[h]) add_points(v, type, kLinePoints, points);
  if (more) add_points(*more, type, kLinePoints, points);
  return line_at(points.data(), kLinePoints + 1.0) * policy_.parameter >= 1;
}

double Consolidation::spread(HostId h, const VmId* more, std::size_t count) const {
  Points points = points_[h];
  if (more) add_points(*more, world_.type_of(h), count, points);
  return policy_.policy == CompatPolicy::kIqr ? interquartile_range(points.data(), count)
                                              : median_absolute_deviation(points.data(), count);
}

bool Consolidation::overloaded_with(HostId h, const VmId* more) const {
  if (policy_.policy == CompatPolicy::kThr) return above_threshold(h, more, policy_.parameter);
  const std::size_t known = length(planned_[h].asked | (more ? world_.asked[*more] : 0));
  if (policy_.policy == CompatPolicy::kLr)
    return known < kLinePoints ? above_threshold(h, more, kFallbackThreshold)
                               : line_reaches(h, more);
  if (known < kSpreadPoints) return above_threshold(h, more, kFallbackThreshold);
  return above_threshold(h, more, 1 - policy_.parameter * spread(h, more, known));
}

// ---- optimizeAllocation ----

const std::vector<Move>& Consolidation::decide() {
  moves_.clear();
  learn();
  for (HostId h = 0; h < world_.hosts(); ++h) {
    list_[h].assign(world_.list[h].begin(), world_.list[h].end());
    learn_host(h);
  }
  find_overloaded();
  pick_from_overloaded();
  spread_picked();
  evacuate_idle();
  return moves_;
}

void Consolidation::find_overloaded() {
  overloaded_.clear();
  for (HostId h = 0; h < world_.hosts(); ++h) {
    closed_[h] = !list_[h].empty() && overloaded(h);
    if (closed_[h]) overloaded_.push_back(h);
  }
}

// Minimum migration time: the VM with the least memory, the first of them.
void Consolidation::pick_from_overloaded() {
  picked_.clear();
  for (HostId h : overloaded_) {
    do {
      auto least = std::ranges::min_element(list_[h], {}, [&](VmId v) { return world_.memory[v]; });
      if (least == list_[h].end()) break;
      picked_.push_back(*least);
      list_[h].erase(least);
      learn_host(h);
    } while (overloaded(h));
  }
}

// Largest first; VMs alike stay as they stand.
void Consolidation::sort_by_demand(std::vector<VmId>& vms) {
  keyed_.clear();
  for (std::uint32_t i = 0; i < vms.size(); ++i)
    keyed_.push_back({world_.requested[vms[i]], i, vms[i]});
  std::ranges::sort(keyed_, [](const Keyed& a, const Keyed& b) {
    return a.demand != b.demand ? a.demand > b.demand : a.place < b.place;
  });
  for (std::size_t i = 0; i < vms.size(); ++i) vms[i] = keyed_[i].vm;
}

void Consolidation::spread_picked() {
  open_.clear();
  for (HostId h = 0; h < world_.hosts(); ++h)
    if (!closed_[h] && !list_[h].empty()) open_.push_back(h);
  sort_by_demand(picked_);
  for (VmId v : picked_) {
    const HostId to = find_host(v, true);
    if (to == kNoHost) continue;
    if (list_[to].empty()) open_.push_back(to);
    list_[to].push_back(v);
    append(to, v);
    moves_.push_back({v, to});
  }
}

// getMigrationMapFromUnderUtilizedHosts: least loaded first, all VMs or none. Hosts that took VMs
// from overloaded ones are not spared, so a VM can be sent on in the same tick.
void Consolidation::evacuate_idle() {
  order_.clear();
  std::erase_if(open_, [&](HostId h) { return !world_.is_active(h); });
  for (HostId h : open_)
    if (world_.load(h) < 1) order_.push_back(h);
  std::ranges::sort(order_, [&](HostId a, HostId b) {
    const double la = world_.load(a);
    const double lb = world_.load(b);
    return la != lb ? la < lb : a < b;
  });
  std::ranges::fill(is_target_, 0);
  for (HostId h : order_) {
    if (is_target_[h]) continue;
    std::erase(open_, h);
    if (!evacuate(h)) continue;
  }
}

bool Consolidation::evacuate(HostId h) {
  picked_.assign(list_[h].begin(), list_[h].end());
  sort_by_demand(picked_);
  const std::size_t moves_before = moves_.size();
  undo_.clear();
  undo_points_.clear();
  for (VmId v : picked_) {
    const HostId to = find_host(v, false);
    if (to == kNoHost) {
      while (!undo_.empty()) {
        planned_[undo_.back().first] = undo_.back().second;
        list_[undo_.back().first].pop_back();
        undo_.pop_back();
      }
      for (; !undo_points_.empty(); undo_points_.pop_back())
        points_[undo_points_.back().first] = undo_points_.back().second;
      moves_.resize(moves_before);
      return false;
    }
    undo_.emplace_back(to, planned_[to]);
    if (points_kept_ > 0) undo_points_.emplace_back(to, points_[to]);
    list_[to].push_back(v);
    append(to, v);
    moves_.push_back({v, to});
  }
  for (std::size_t i = moves_before; i < moves_.size(); ++i) is_target_[moves_[i].to] = 1;
  return true;
}

// findHostForVm: the least added power, the first host on a tie. The overload test is CloudSim's
// dearest part and has no effect of its own, so it is asked last.
void Consolidation::weigh(VmId v, HostId h, double& least, HostId& best) const {
  const std::size_t type = world_.type_of(h);
  const double asked = world_.requested[v];
  const Planned& p = planned_[h];
  if (world_.core[type] < asked || p.left < asked) return;
  const double more =
      world_.power_of_type[type].at((p.used + asked) / world_.capacity[type]) - world_.watts[h];
  if (more > least || (more == least && h > best)) return;
  if (world_.is_active(h) && overloaded_with(h, &v)) return;
  least = more;
  best = h;
}

HostId Consolidation::find_host(VmId v, bool off_too) {
  double least = std::numeric_limits<double>::max();
  HostId best = kNoHost;
  for (HostId h : open_) weigh(v, h, least, best);
  if (!off_too) return best;
  // Hosts that are off and empty differ by type alone: the first of each stands for all.
  std::size_t types_left = world_.capacity.size();
  std::uint32_t seen = 0;
  for (HostId h = 0; h < world_.hosts() && types_left > 0; ++h) {
    const std::uint32_t bit = 1U << world_.type_of(h);
    if ((seen & bit) || closed_[h] || !list_[h].empty()) continue;
    seen |= bit;
    --types_left;
    weigh(v, h, least, best);
  }
  return best;
}

}  // namespace chorok::sim::datacenter
