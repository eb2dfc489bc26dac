#include "policy/replace.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/text.h"
#include "policy/named_plan.h"

namespace chorok::policy {

using model::RuleKind;
using model::SnapshotRule;
using model::SnapshotVm;

namespace {

constexpr double kSoftRule = 10;         // full hosts
constexpr double kStraddle = 1;          // the same, for each NUMA node beyond one
constexpr std::size_t kHostsTried = 64;  // for making room: those with most of it
constexpr std::size_t kMovesTried = 64;  // VMs of each

double unit_memory(const WhatIf& world, const std::vector<Index>& unit) {
  double sum = 0;
  for (const Index vm : unit) sum += world.vm_load(vm).size.memory;
  return sum;
}

}  // namespace

Why Refusals::main() const {
  Why best = Why::kHostNotReady;
  std::int32_t most = 0;
  for (std::size_t i = 0; i < kWhyCount; ++i) {
    const Why why = static_cast<Why>(i);
    if (why == Why::kHostNotReady || count[i] <= most) continue;
    most = count[i];
    best = why;
  }
  return best;
}

std::string Refusals::text() const {
  std::string out;
  for (std::size_t i = 0; i < kWhyCount; ++i)
    if (count[i] > 0)
      out += fmt::format("{}{}: {}", out.empty() ? "" : "; ", counted(count[i], "host"),
                         sentence(static_cast<Why>(i)));
  return out.empty() ? "there is no host" : out;
}

Replacer::Replacer(WhatIf& world, std::int64_t work_max) : world_(world), work_left_(work_max) {
  const Snapshot& s = world.snapshot();
  for (Index h = 0; h < s.hosts.size(); ++h)
    if (world.usable(h)) by_room_.push_back(h);
  auto room = [&](Index h) { return s.hosts[h].capacity.memory - world.load(h).size.memory; };
  std::ranges::sort(by_room_, {}, [&](Index h) { return std::pair(-room(h), h); });
  for (const SnapshotRule& rule : s.rules)
    if (rule.must && rule.kind == RuleKind::kTogether && rule.vms.size() > 1)
      together_.push_back(rule.vms);
}

// VMs tied by rules, transitively; each unit in the order of `vms`, units too.
std::vector<Replacer::Unit> Replacer::units_of(std::span<const Index> vms) {
  std::vector<Unit> units;
  if (together_.empty()) {
    for (const Index vm : vms) units.push_back({vm});
    return units;
  }
  constexpr auto kAbsent = static_cast<std::uint32_t>(-1);
  std::vector<std::uint32_t>& place = asked_;
  place.resize(world_.snapshot().vms.size(), kAbsent);
  for (std::uint32_t i = 0; i < vms.size(); ++i) place[vms[i]] = i;
  std::vector<std::uint32_t> root(vms.size());
  std::iota(root.begin(), root.end(), 0);
  auto find = [&](std::uint32_t i) {
    while (root[i] != i) i = root[i] = root[root[i]];
    return i;
  };
  for (const std::vector<Index>& rule : together_) {
    std::uint32_t first = kAbsent;
    for (const Index vm : rule) {
      if (place[vm] == kAbsent) continue;
      if (first == kAbsent) first = place[vm];
      // The smaller place is the root, so that a unit stands where its first VM stands.
      const std::uint32_t a = find(first);
      const std::uint32_t b = find(place[vm]);
      root[std::max(a, b)] = std::min(a, b);
    }
  }
  std::vector<std::uint32_t> unit_at(vms.size(), kAbsent);
  for (std::uint32_t i = 0; i < vms.size(); ++i) {
    std::uint32_t& at = unit_at[find(i)];
    if (at == kAbsent) {
      at = static_cast<std::uint32_t>(units.size());
      units.emplace_back();
    }
    units[at].push_back(vms[i]);
  }
  // All of it is cleared by what was asked, not by the cluster's size.
  for (const Index vm : vms) place[vm] = kAbsent;
  return units;
}

double Replacer::misfit(Index host, Index vm) const {
  return (kSoftRule * world_.soft_rules(vm, host)) + (kStraddle * world_.straddles(vm, host));
}

double Replacer::use_with(Index host, Index vm) const {
  const model::SnapshotHost& at = world_.snapshot().hosts[host];
  const HostLoad& load = world_.load(host);
  const VmLoad& add = world_.vm_load(vm);
  const double cpu = (std::max(load.mean, load.now.cpu) + std::max(add.mean, add.now.cpu)) /
                     std::max(1.0, at.capacity.cpu);
  const double memory = (load.size.memory + add.size.memory) / std::max(1.0, at.capacity.memory);
  return std::max(cpu, memory) + misfit(host, vm);
}

void Replacer::put(const Unit& unit, Index host) {
  for (const Index vm : unit) world_.move(vm, host);
}

// A unit's VMs are nowhere before and after.
bool Replacer::fits(const Unit& unit, Index host, Refusals* why) {
  for (std::size_t i = 0; i < unit.size(); ++i) {
    const auto refused = world_.forbids(unit[i], host);
    if (!refused) {
      if (unit.size() > 1) world_.move(unit[i], host);
      continue;
    }
    if (why != nullptr) why->add(*refused);
    for (std::size_t k = 0; k < i; ++k) world_.move(unit[k], kNone);
    return false;
  }
  if (unit.size() > 1) put(unit, kNone);
  return true;
}

Index Replacer::quick_host(const Unit& unit) {
  for (std::size_t i = 0; i < by_room_.size(); ++i) {
    const Index host = by_room_[(turn_ + i) % by_room_.size()];
    if (!world_.usable(host) || !fits(unit, host, nullptr)) continue;
    turn_ = (turn_ + i + 1) % by_room_.size();
    return host;
  }
  return kNone;
}

Index Replacer::best_host(const Unit& unit, bool tight, Refusals* why) {
  Index best = kNone;
  double best_use = 0;
  const Snapshot& s = world_.snapshot();
  for (Index host = 0; host < s.hosts.size(); ++host) {
    if (!world_.usable(host)) {
      if (why != nullptr) why->add(Why::kHostNotReady);
      continue;
    }
    if (!fits(unit, host, why)) continue;
    double use = use_with(host, unit.front());
    // Into the tightest gap: the least memory left, soft rules still counting against a host.
    if (tight)
      use = misfit(host, unit.front()) +
            ((s.hosts[host].capacity.memory - world_.load(host).size.memory) * 1e-9);
    if (best != kNone && use >= best_use) continue;
    best = host;
    best_use = use;
  }
  return best;
}

// Moves one running VM away from `host` so that the unit fits there.
bool Replacer::make_room_on(Index host, const Unit& unit, std::vector<Made>& made) {
  const Snapshot& s = world_.snapshot();
  const std::vector<Index> there = world_.vms_on(host);
  std::size_t tried = 0;
  for (const Index other : there) {
    const SnapshotVm& vm = s.vms[other];
    const bool may_move = vm.pinned.empty() && vm.automation == model::Automation::kFull &&
                          vm.host == host;  // not one that has just been placed here
    if (!may_move) continue;
    if (++tried > kMovesTried || --work_left_ <= 0) return false;
    world_.move(other, kNone);
    if (fits(unit, host, nullptr)) {
      put(unit, host);
      work_left_ -= static_cast<std::int64_t>(by_room_.size());
      const Index to = best_host({other}, true, nullptr);
      if (to != kNone && to != host) {
        world_.move(other, to);
        made.push_back({other, host, to, unit.front()});
        return true;
      }
      put(unit, kNone);
    }
    world_.move(other, host);
  }
  return false;
}

bool Replacer::make_room(const Unit& unit, std::vector<Made>& made) {
  std::size_t tried = 0;
  for (const Index host : by_room_) {
    if (!world_.usable(host)) continue;
    if (++tried > kHostsTried || work_left_ <= 0) break;
    if (world_.compatible(unit.front(), host)) continue;
    if (make_room_on(host, unit, made)) return true;
  }
  return false;
}

Replaced Replacer::place(std::span<const Index> vms, Fill fill) {
  Replaced result;
  for (const Index vm : vms) world_.move(vm, kNone);
  std::vector<Unit> units = units_of(vms);
  // Largest first, as a large one finds a gap hardest.
  std::vector<double> memory;
  std::vector<std::uint32_t> order(units.size());
  for (const Unit& unit : units) memory.push_back(unit_memory(world_, unit));
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](auto u) { return std::pair(-memory[u], u); });

  auto attempt = [&](auto&& host_for) {
    for (const std::uint32_t u : order) {
      const Index host = host_for(units[u]);
      if (host != kNone) {
        put(units[u], host);
        continue;
      }
      for (const Unit& unit : units) put(unit, kNone);
      return false;
    }
    return true;
  };
  auto quick = [&](const Unit& unit) { return quick_host(unit); };
  auto spread = [&](const Unit& unit) { return best_host(unit, false, nullptr); };
  auto tight = [&](const Unit& unit) { return best_host(unit, true, nullptr); };
  // Checks and plans differ in what they try first, not in what they find at last.
  turn_ = 0;
  const bool checks = fill == Fill::kQuick;
  for (result.attempt = 1; result.attempt < kAttempts; ++result.attempt) {
    const bool done = result.attempt == 3               ? attempt(tight)
                      : (result.attempt == 1) == checks ? attempt(quick)
                                                        : attempt(spread);
    if (done) return result;
  }

  // Not all find a place as things stand: by the order given, which is by importance, making room.
  for (const Unit& unit : units) {
    Refusals why;
    const Index host = best_host(unit, true, &why);
    if (host != kNone) {
      put(unit, host);
      continue;
    }
    if (make_room(unit, result.made_room)) continue;
    result.work_limit = result.work_limit || work_left_ <= 0;
    for (const Index vm : unit) result.unplaced.push_back({vm, why});
  }
  return result;
}

}  // namespace chorok::policy
