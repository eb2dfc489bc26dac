#include "policy/whatif.h"

#include <algorithm>

#include "base/result.h"

namespace chorok::policy {

using model::HostAdmin;
using model::HostLink;
using model::HostPower;
using model::Offer;
using model::Requirement;
using model::RuleKind;
using model::SnapshotHost;
using model::SnapshotRule;
using model::SnapshotVm;
using model::VmRun;

namespace {

bool holds_all(const std::vector<std::string>& has, const std::vector<std::string>& needs) {
  return std::ranges::all_of(
      needs, [&](const std::string& need) { return std::ranges::find(has, need) != has.end(); });
}

std::optional<Why> match(const Requirement& needs, const Offer& offer) {
  if (!needs.cpu.empty() && std::ranges::find(offer.cpus, needs.cpu) == offer.cpus.end()) {
    return Why::kNoCpuModel;
  }
  if (!holds_all(offer.datastores, needs.datastores)) return Why::kNoDatastore;
  if (!holds_all(offer.networks, needs.networks)) return Why::kNoNetwork;
  return std::nullopt;
}

bool contains(const std::vector<Index>& list, Index item) {
  return std::ranges::find(list, item) != list.end();
}

// MHz or MiB: the rounding of sums that VMs were added to and taken from, not a shortage.
constexpr double kDust = 1e-6;

// Of its size, that a VM without history is taken to ask for.
constexpr double kUnknownDemand = 0.25;

VmLoad load_of(const SnapshotVm& vm, const Snapshot& snapshot) {
  VmLoad load;
  load.reserved = {vm.cpu.reservation,
                   std::min(vm.memory.reservation, vm.size.memory) + vm.overhead};
  load.size = {vm.size.cpu, vm.size.memory + vm.overhead};
  const double top = std::min(vm.size.cpu, vm.cpu.limit);
  load.now.cpu = std::min(vm.cpu_demand.now, top);
  const double used = snapshot.settings.balance.memory_by_consumed
                          ? std::max(0.0, vm.consumed - vm.reclaimable)
                          : std::max(vm.memory_demand.now, vm.memory_demand.expected);
  load.now.memory =
      std::min(std::max(used, load.reserved.memory - vm.overhead), vm.size.memory) + vm.overhead;
  load.mean = std::min(vm.cpu_demand.mean, top);
  load.deviation = vm.cpu_demand.deviation;
  if (vm.run == VmRun::kWaiting && load.deviation <= 0 && load.mean <= 0) {
    // Nobody has seen it run: a quarter of its size, give or take as much again.
    load.mean = std::max(load.mean, kUnknownDemand * top);
    load.now.cpu = std::max(load.now.cpu, load.mean);
    load.deviation = kUnknownDemand * top;
  }
  return load;
}

}  // namespace

WhatIf::WhatIf(const Snapshot& snapshot)
    : snapshot_(&snapshot),
      loads_(snapshot.hosts.size()),
      vm_loads_(snapshot.vms.size()),
      host_of_(snapshot.vms.size(), kNone),
      place_of_(snapshot.vms.size(), kNone),
      vms_on_(snapshot.hosts.size()),
      usable_(snapshot.hosts.size()),
      could_run_(snapshot.hosts.size()),
      rules_of_(snapshot.rules.empty() ? 0 : snapshot.vms.size()),
      numa_(snapshot) {
  for (const Requirement& needs : snapshot.requirements) {
    for (const Offer& offer : snapshot.offers) matches_.push_back(match(needs, offer));
  }
  for (Index h = 0; h < snapshot.hosts.size(); ++h) {
    const SnapshotHost& host = snapshot.hosts[h];
    const bool fit = host.admin == HostAdmin::kEnabled && host.recent_failures == 0;
    usable_[h] = fit && host.power == HostPower::kOn && host.link == HostLink::kConnected;
    const bool asleep = host.power == HostPower::kOff || host.power == HostPower::kStandby;
    could_run_[h] =
        usable_[h] ||
        (fit && (host.power == HostPower::kWaking || (asleep && host.keep_off.empty())));
  }
  for (Index r = 0; r < snapshot.rules.size(); ++r) {
    for (const Index vm : snapshot.rules[r].vms) rules_of_[vm].push_back(r);
  }
  for (Index v = 0; v < snapshot.vms.size(); ++v) {
    const SnapshotVm& vm = snapshot.vms[v];
    vm_loads_[v] = load_of(vm, snapshot);
    if (vm.run == VmRun::kOn && vm.host != kNone) move(v, vm.host);
  }
  // Onto nodes largest first, in whatever order they are listed.
  if (numa_.any()) {
    std::vector<Index> running;
    for (Index v = 0; v < snapshot.vms.size(); ++v)
      if (host_of_[v] != kNone) running.push_back(v);
    std::ranges::sort(running, {},
                      [&](Index v) { return std::pair(-vm_loads_[v].size.memory, v); });
    for (const Index v : running) numa_.take(v, host_of_[v]);
    for (const Index v : running) numa_.put(v, host_of_[v], vm_loads_[v].size.memory);
  }
  // What starts is there already. What arrives needs its room at both ends.
  for (const model::SnapshotOperation& operation : snapshot.operations) {
    using enum model::SnapshotOperation::Kind;
    if (operation.vm == kNone || operation.to == kNone) continue;
    if (operation.kind == kStart && host_of_[operation.vm] == kNone)
      move(operation.vm, operation.to);
    else if (operation.kind == kMigrate && host_of_[operation.vm] != operation.to) {
      going_to_.resize(snapshot.vms.size(), kNone);
      leaving_.resize(snapshot.hosts.size());
      going_to_[operation.vm] = operation.to;
      if (const Index from = host_of_[operation.vm]; from != kNone)
        leaving_[from].push_back(operation.vm);
      loads_[operation.to] = with(loads_[operation.to], operation.vm);
      numa_.hold(operation.vm, operation.to, vm_loads_[operation.vm].size.memory);
    }
  }
}

void WhatIf::move(Index vm, Index to) {
  const Index from = host_of_[vm];
  if (from == to) return;
  if (from != kNone) {
    std::vector<Index>& list = vms_on_[from];
    const Index place = place_of_[vm];
    list[place] = list.back();
    place_of_[list[place]] = place;
    list.pop_back();
    loads_[from] = without(loads_[from], vm);
    numa_.take(vm, from);
  }
  host_of_[vm] = to;
  if (to != kNone) {
    place_of_[vm] = static_cast<Index>(vms_on_[to].size());
    vms_on_[to].push_back(vm);
    loads_[to] = with(loads_[to], vm);
    numa_.put(vm, to, vm_loads_[vm].size.memory);
  }
}

HostLoad WhatIf::settled_load(Index host) const {
  HostLoad load = loads_[host];
  if (leaving_.empty()) return load;
  for (const Index vm : leaving_[host])
    if (host_of_[vm] == host && heading(vm) != host) load = without(load, vm);
  return load;
}

std::optional<Why> WhatIf::compatible(Index vm, Index host) const {
  const std::size_t offers = snapshot_->offers.size();
  return matches_[(snapshot_->vms[vm].requirement * offers) + snapshot_->hosts[host].offer];
}

// Sizes that fit together need no judgement. Beyond that memory is overcommitted: what is used must
// leave the reserve that memory_target asks for, and sizes may not exceed the factor.
bool WhatIf::memory_fits(Index vm, Index host) const {
  const model::PowerSettings& settings = snapshot_->settings.power;
  const double capacity = snapshot_->hosts[host].capacity.memory;
  const double sizes = loads_[host].size.memory + vm_loads_[vm].size.memory - kDust;
  if (sizes <= capacity) return true;
  if (sizes > capacity * settings.memory_overcommit) return false;
  return loads_[host].now.memory + vm_loads_[vm].now.memory <= capacity * settings.memory_target;
}

bool WhatIf::runs_by(const SnapshotRule& rule, Index vm, Index host, bool at_both_ends) const {
  switch (rule.kind) {
    case RuleKind::kTogether:
      return std::ranges::all_of(rule.vms, [&](Index other) {
        return other == vm || host_of_[other] == kNone || heading(other) == host;
      });
    case RuleKind::kApart:
      return std::ranges::all_of(rule.vms, [&](Index other) {
        return other == vm ||
               (heading(other) != host && !(at_both_ends && host_of_[other] == host));
      });
    case RuleKind::kHostsOnly:
      return contains(rule.hosts, host);
    case RuleKind::kHostsNever:
      return !contains(rule.hosts, host);
  }
  return true;
}

bool WhatIf::rule_holds(const SnapshotRule& rule, Index vm, Index host) const {
  return runs_by(rule, vm, host, true);
}

bool WhatIf::breaks(const SnapshotRule& rule, Index vm) const {
  return host_of_[vm] != kNone && !runs_by(rule, vm, heading(vm), false);
}

std::optional<Why> WhatIf::rules_forbid(Index vm, Index host, bool arriving) const {
  if (rules_of_.empty()) return std::nullopt;
  for (const Index r : rules_of_[vm]) {
    const SnapshotRule& rule = snapshot_->rules[r];
    if (!rule.must || (arriving && rule.kind == RuleKind::kTogether)) continue;
    if (!rule_holds(rule, vm, host)) return Why::kRuleForbids;
  }
  return std::nullopt;
}

std::vector<Index> WhatIf::together_with(Index vm) const {
  std::vector<Index> all = {vm};
  if (rules_of_.empty()) return all;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (const Index r : rules_of_[all[i]]) {
      const SnapshotRule& rule = snapshot_->rules[r];
      if (!rule.must || rule.kind != RuleKind::kTogether) continue;
      for (const Index other : rule.vms)
        if (host_of_[other] != kNone && !contains(all, other)) all.push_back(other);
    }
  }
  return all;
}

int WhatIf::soft_rules(Index vm, Index host) const {
  if (rules_of_.empty()) return 0;
  int change = 0;
  for (const Index r : rules_of_[vm]) {
    const SnapshotRule& rule = snapshot_->rules[r];
    if (rule.must) continue;
    if (!rule_holds(rule, vm, host)) ++change;
    if (breaks(rule, vm)) --change;
  }
  return change;
}

int WhatIf::straddles(Index vm, Index host) const {
  if (!numa_.any() || snapshot_->vms[vm].numa_nodes > 0) return 0;
  return (host == host_of_[vm] ? numa_.nodes_of(vm)
                               : numa_.nodes_for(vm, host, vm_loads_[vm].size.memory)) -
         1;
}

bool WhatIf::breaks_a_rule(Index vm) const {
  if (rules_of_.empty()) return false;
  return std::ranges::any_of(rules_of_[vm],
                             [&](Index r) { return breaks(snapshot_->rules[r], vm); });
}

std::optional<Why> WhatIf::forbids(Index vm, Index host) const {
  if (const auto why = room_forbids(vm, host)) return why;
  return rules_forbid(vm, host, false);
}

std::optional<Why> WhatIf::forbids_arrival(Index vm, Index host) const {
  if (const auto why = room_forbids(vm, host)) return why;
  return rules_forbid(vm, host, true);
}

bool WhatIf::could_hold(Index vm, Index host) const {
  if (compatible(vm, host)) return false;
  const SnapshotHost& at = snapshot_->hosts[host];
  const VmLoad& needs = vm_loads_[vm];
  const double memory = at.capacity.memory * snapshot_->settings.power.memory_overcommit;
  if (needs.reserved.cpu > at.capacity.cpu || needs.reserved.memory > at.capacity.memory ||
      needs.size.memory > memory || (at.cores > 0 && snapshot_->vms[vm].vcpus > at.cores))
    return false;
  if (rules_of_.empty()) return true;
  return std::ranges::all_of(rules_of_[vm], [&](Index r) {
    const SnapshotRule& rule = snapshot_->rules[r];
    const bool of_hosts = rule.kind == RuleKind::kHostsOnly || rule.kind == RuleKind::kHostsNever;
    return !rule.must || !of_hosts || rule_holds(rule, vm, host);
  });
}

std::optional<Why> WhatIf::room_forbids(Index vm, Index host) const {
  if (const auto why = compatible(vm, host)) return why;
  const SnapshotHost& target = snapshot_->hosts[host];
  const HostLoad& load = loads_[host];
  const VmLoad& add = vm_loads_[vm];
  if (load.reserved.cpu + add.reserved.cpu > target.capacity.cpu + kDust) return Why::kNoCpu;
  if (load.reserved.memory + add.reserved.memory > target.capacity.memory + kDust ||
      !memory_fits(vm, host)) {
    return Why::kNoMemory;
  }
  if (target.vms_max > 0 && load.vms >= target.vms_max) return Why::kNoCpu;
  const SnapshotVm& what = snapshot_->vms[vm];
  if (target.cores > 0 && what.vcpus > target.cores) return Why::kNoCpu;
  if (what.numa_nodes > 0 && !numa_.meets(vm, host, add.size.memory)) return Why::kNoNuma;
  return std::nullopt;
}

std::optional<Why> WhatIf::broken(Index host) const {
  const SnapshotHost& at = snapshot_->hosts[host];
  const HostLoad load = settled_load(host);
  if (load.vms == 0) return std::nullopt;
  if (!usable_[host]) return Why::kMaintenance;
  if (load.reserved.cpu > at.capacity.cpu + kDust ||
      load.reserved.memory > at.capacity.memory + kDust) {
    return Why::kReservation;
  }
  if (load.now.cpu > at.capacity.cpu || load.now.memory > at.capacity.memory) return Why::kOverload;
  return std::nullopt;
}

double WhatIf::upper(const HostLoad& load, double z) const {
  return load.mean + z * deviation(load);
}

double WhatIf::watts(Index host, const HostLoad& load) const {
  const SnapshotHost& at = snapshot_->hosts[host];
  const model::PowerCurve& curve = snapshot_->curves[at.curve];
  if (at.capacity.cpu <= 0) return curve.watts[0];
  return curve.at(load.now.cpu / at.capacity.cpu);
}

}  // namespace chorok::policy
