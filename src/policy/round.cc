#include "policy/round.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/result.h"
#include "policy/recommend.h"

namespace chorok::policy {

using model::Automation;
using model::HostPower;
using model::SnapshotHost;
using model::SnapshotVm;
using model::VmRun;

namespace {

// Of its size, that a VM's demand must have changed by for it to move back early.
constexpr double kChangedShare = 0.05;

// Hosts that are tried for VMs that have to be together.
constexpr std::size_t kUnitTargets = 8;

// For how many times as long as its memory took to copy a VM makes good what it could not do
// meanwhile, and at most for which share of the stability window. Measured on the lab's hosts at
// nine tenths of their CPU, where there is little to catch up with (./dev bench live).
constexpr double kCatchUp = 10;
constexpr double kCatchUpMost = 0.5;

// MiB/s that one migration to or from the host is copied at, if it is the only one.
double of_one_migration(const model::SnapshotHost& host) {
  const double each = host.migration_bandwidth_each;
  return each > 0 ? std::min(each, host.migration_bandwidth) : host.migration_bandwidth;
}

// Of a core, at each end, while memory is copied at `bandwidth` MiB/s: 0.3 on 1 GbE, 1 on 10 GbE
// (Gulati et al., VMware Distributed Resource Management, 2012), linear between.
double copy_cores(double bandwidth) {
  constexpr double kGigabit = 119;  // MiB/s
  return std::clamp(0.3 + 0.7 * (bandwidth - kGigabit) / (9 * kGigabit), 0.1, 1.0);
}

}  // namespace

Round::Round(const Snapshot& snapshot, For whom)
    : what(snapshot),
      whom_(whom),
      origin_(snapshot.vms.size()),
      why_(snapshot.vms.size()),
      gain_(snapshot.vms.size()),
      closed_(snapshot.hosts.size()),
      host_moves_(snapshot.hosts.size()),
      power_(snapshot.hosts.size()),
      in_flight_(snapshot.vms.size()),
      leaving_(snapshot.vms.size()),
      settling_(snapshot.hosts.size()) {
  for (Index v = 0; v < snapshot.vms.size(); ++v) origin_[v] = what.host_of(v);
  stability_s_ = seconds(snapshot.settings.balance.stability);
  worth_ = snapshot.settings.balance.performance_worth;
  rate_hosts();
  for (const model::SnapshotOperation& operation : snapshot.operations) {
    if (operation.vm != kNone) in_flight_[operation.vm] = true;
    if (operation.vm != kNone && operation.kind == model::SnapshotOperation::Kind::kMigrate)
      leaving_[operation.vm] = operation.to != origin_[operation.vm];
    for (const Index host : {operation.from, operation.to}) {
      if (host != kNone && operation.kind == model::SnapshotOperation::Kind::kMigrate) {
        ++host_moves_[host];
        settling_[host] = true;
      }
    }
  }
  see_settling();
}

void Round::see_settling() {
  for (Index v = 0; v < snapshot().vms.size(); ++v) {
    const SnapshotVm& vm = snapshot().vms[v];
    if (vm.last_moved == Time{} || vm.host == kNone || settling_[vm.host]) continue;
    if (vm.moved_from == vm.host) continue;  // its disks alone: it never stood still
    const double most = std::min(kCatchUp * copy_seconds(v, vm.host), kCatchUpMost * stability_s_);
    settling_[vm.host] = seconds(snapshot().now - vm.last_moved) < most;
  }
}

void Round::rate_hosts() {
  Amounts average;
  double count = 0;
  for (Index v = 0; v < snapshot().vms.size(); ++v) {
    if (snapshot().vms[v].run == VmRun::kOff) continue;
    average.cpu += what.vm_load(v).mean;
    average.memory += what.vm_load(v).size.memory;
    ++count;
  }
  average = average * (1 / std::max(count, 1.0));
  for (const SnapshotHost& host : snapshot().hosts) {
    const model::PowerCurve& curve = snapshot().curves[host.curve];
    double vms = average.cpu > 0 ? host.capacity.cpu / average.cpu : 1e9;
    if (average.memory > 0) vms = std::min(vms, host.capacity.memory / average.memory);
    vms = std::max(vms, 1e-9);
    const double load = host.capacity.cpu > 0 ? vms * average.cpu / host.capacity.cpu : 0;
    watts_per_vm_.push_back(curve.at(load) / vms);
    joules_per_mhz_.push_back(curve.watts[10] / std::max(host.capacity.cpu, 1.0));
    copy_watts_.push_back(2 * copy_cores(of_one_migration(host)) * host.core_mhz *
                          joules_per_mhz_.back());
  }
}

std::optional<Why> Round::stays(Index vm, bool others_too) const {
  const SnapshotVm& it = snapshot().vms[vm];
  if (!it.pinned.empty()) return Why::kPinned;
  if (in_flight_[vm]) return Why::kInFlight;
  const bool moves =
      is_for_people() ? others_too || policy::asks_first(it) : it.automation == Automation::kFull;
  const bool may = moves && it.automation != Automation::kOff;
  if (!may && it.run == VmRun::kOn) return Why::kAutomation;
  return std::nullopt;
}

bool Round::asks_first(Index host) const {
  return std::ranges::any_of(what.vms_on(host), [&](Index vm) {
    return policy::asks_first(snapshot().vms[vm]) && !stays(vm, false);
  });
}

struct Round::Landed {
  explicit Landed(const Snapshot& now) : snapshot(now) {
    for (const model::SnapshotOperation& operation : now.operations)
      if (operation.kind == model::SnapshotOperation::Kind::kMigrate && operation.to != kNone)
        snapshot.vms[operation.vm].host = operation.to;
    snapshot.operations.clear();
    what.emplace(snapshot);
  }
  Snapshot snapshot;
  std::optional<WhatIf> what;
};

bool Round::waits_for_moves(Index vm, const Wanted& wanted) {
  if (std::ranges::find(leaving_, true) == leaving_.end()) return false;
  if (landed_ == nullptr) landed_ = std::make_shared<const Landed>(snapshot());
  const WhatIf& then = *landed_->what;
  for (Index h = 0; h < snapshot().hosts.size(); ++h) {
    if (h == wanted.except || h == then.host_of(vm) || closed_[h] || !then.usable(h)) continue;
    if (!then.forbids(vm, h) && has_room(vm, h, wanted, then.with(then.load(h), vm))) return true;
  }
  return false;
}

bool Round::would_return(Index vm, Index host) const {
  const SnapshotVm& it = snapshot().vms[vm];
  // Where it came from may have been removed.
  if (host == kNone || it.moved_from != host || it.last_moved == Time{}) return false;
  const Time enabled = snapshot().hosts[host].enabled_since;
  if (enabled != Time{} && enabled >= it.last_moved) return false;
  const model::BalanceSettings& settings = snapshot().settings.balance;
  if (snapshot().now - it.last_moved >= settings.stability) return false;
  const double now = it.cpu_demand.now;
  const double then = it.cpu_when_moved;
  // Of a VM that hardly does anything any factor is noise.
  if (std::abs(now - then) < kChangedShare * it.size.cpu) return true;
  return now <= then * settings.changed_load && now * settings.changed_load >= then;
}

bool Round::came_back(Index host) const {
  const SnapshotHost& at = snapshot().hosts[host];
  const model::PolicySettings& settings = snapshot().settings;
  if (at.enabled_since == Time{} || !what.usable(host)) return false;
  if (snapshot().now - at.enabled_since >= settings.balance.stability) return false;
  return settings.power.automation == Automation::kOff || !at.keep_on.empty();
}

bool Round::within_limits(Index vm, Index to) const {
  const model::BalanceSettings& settings = snapshot().settings.balance;
  const Index origin = origin_[vm];
  if (to == origin) return true;
  // A VM that is elsewhere already is counted.
  const std::int32_t more = what.host_of(vm) == origin ? 1 : 0;
  if (settings.moves_max > 0 && moved_ + more > settings.moves_max) return false;
  if (settings.moves_per_host <= 0) return true;
  if (host_moves_[to] + 1 > settings.moves_per_host) return false;
  return origin == kNone || host_moves_[origin] + more <= settings.moves_per_host;
}

bool Round::beyond_limits(Index from, Index to) const {
  const model::BalanceSettings& settings = snapshot().settings.balance;
  if (settings.moves_max > 0 && moved_ > settings.moves_max) return true;
  if (settings.moves_per_host <= 0) return false;
  // A third host, where a VM of these came from, is touched only by a VM that leaves or returns.
  return std::max(host_moves_[from], host_moves_[to]) > settings.moves_per_host;
}

// Moves the VM and keeps the counts of what the plan will hold.
void Round::place(Index vm, Index to) {
  const Index from = what.host_of(vm);
  const Index origin = origin_[vm];
  auto count = [&](Index at, std::int32_t by) {
    if (at == origin) return;
    moved_ += by;
    if (at != kNone) host_moves_[at] += by;
    if (origin != kNone) host_moves_[origin] += by;
  };
  count(from, -1);
  what.move(vm, to);
  count(to, 1);
}

void Round::move(Index vm, Index to, Why why, double gain) {
  journal_.push_back({vm, what.host_of(vm), why_[vm], gain_[vm]});
  place(vm, to);
  if (to == origin_[vm]) {
    why_[vm].reset();
  } else if (!why_[vm]) {
    why_[vm] = why;
  }
  gain_[vm] = gain;
  if (weighed_for_ == vm) alternatives_[vm] = weighed_;
}

// Keeps one host for each reason, the first: what a person asks is what stood against the others.
void Round::weigh(Index host, Why why, double value) {
  turn_down(why);
  for (const Alternative& known : weighed_) {
    if (known.why == why) return;
  }
  weighed_.push_back({host, why, value});
}

void Round::undo_to(std::size_t mark) {
  while (journal_.size() > mark) {
    const Moved last = journal_.back();
    journal_.pop_back();
    place(last.vm, last.from);
    why_[last.vm] = last.before;
    gain_[last.vm] = last.gain_before;
  }
}

bool Round::has_room(Index vm, Index host, const Wanted& wanted) const {
  return has_room(vm, host, wanted, what.with(what.load(host), vm));
}

bool Round::has_room(Index vm, Index host, const Wanted& wanted, const HostLoad& after) const {
  const SnapshotHost& at = snapshot().hosts[host];
  const double room = wanted.target * at.capacity.cpu;
  if (after.now.cpu > room) return false;
  if (what.upper(after, wanted.deviations) > room) return false;
  if (at.core_mhz <= 0) return true;
  // No vCPU gets more than a core, however idle the host is; and no VM asks for more than its size.
  const VmLoad& load = what.vm_load(vm);
  const double asked =
      std::min(std::max(load.now.cpu, load.mean + load.deviation), snapshot().vms[vm].size.cpu);
  return at.core_mhz >= wanted.core_mhz && asked <= at.core_mhz * snapshot().vms[vm].vcpus;
}

bool Round::spend(std::int64_t candidates) {
  work_ += candidates;
  return work_ <= snapshot().settings.balance.work_max;
}

Index Round::best_target(Index vm, const Wanted& wanted) {
  struct Rank {
    int soft_rules;  // broken by it
    int straddles;   // NUMA nodes beyond one
    bool wakes;      // it would be empty, or off, without this VM
    double watts;    // more; of a host that would be empty, a VM when it is full
    double room;     // left, as shares of the host
    auto operator<=>(const Rank&) const = default;
  };
  Index best = kNone;
  Rank best_rank{};
  weighed_.clear();
  weighed_for_ = vm;
  const bool empty_ones_sleep = snapshot().settings.power.automation != Automation::kOff;
  const auto hosts = static_cast<Index>(snapshot().hosts.size());
  const Index now_on = what.host_of(vm);
  const int straddles_now = now_on == kNone ? 0 : what.straddles(vm, now_on);
  Index straddled = kNone;  // the first host that would have it on several NUMA nodes
  work_ += hosts;
  for (Index h = 0; h < hosts; ++h) {
    if (h == wanted.except || closed_[h] || h == now_on) continue;
    const HostLoad& load = what.load(h);
    const bool running = what.usable(h);
    if (!running && (wanted.running_only || !what.could_run(h))) continue;
    // A host that may not be switched off runs anyway: it is as good as one that carries VMs.
    const bool sleeps = empty_ones_sleep && snapshot().hosts[h].keep_on.empty();
    if (load.vms == 0 && sleeps && !wanted.empty_too) continue;
    if (!wanted.back && would_return(vm, h)) {
      weigh(h, Why::kTooSoon, 0);
      continue;
    }
    const HostLoad after = what.with(load, vm);
    if (!has_room(vm, h, wanted, after)) {
      weigh(
          h, Why::kNoCpu,
          what.upper(after, wanted.deviations) - wanted.target * snapshot().hosts[h].capacity.cpu);
      continue;
    }
    if (const auto why = what.forbids(vm, h)) {
      weigh(h, *why, 0);
      continue;
    }
    if (!within_limits(vm, h)) {
      weigh(h, Why::kMovesLimit, 0);
      continue;
    }
    const SnapshotHost& at = snapshot().hosts[h];
    Rank rank{};
    rank.soft_rules = what.soft_rules(vm, h);
    rank.straddles = what.straddles(vm, h);
    if (wanted.for_gain && rank.soft_rules > 0) {
      weigh(h, Why::kRuleForbids, rank.soft_rules);
      continue;
    }
    if (rank.straddles > 0) {
      if (straddled == kNone) straddled = h;
      if (wanted.for_gain && rank.straddles > straddles_now) {
        weigh(h, Why::kNoNuma, rank.straddles);
        continue;
      }
    }
    rank.wakes = load.vms == 0 && (!running || sleeps);
    // Marginal watts differ by the steps of a curve that mean nothing: to the watt they are equal.
    rank.watts =
        rank.wakes ? watts_per_vm_[h] : std::round(what.watts(h, after) - what.watts(h, load));
    const double cpu = wanted.target * at.capacity.cpu - what.upper(after, wanted.deviations);
    rank.room = cpu / std::max(at.capacity.cpu, 1.0);
    if (at.capacity.memory > 0) rank.room += 1 - (after.size.memory / at.capacity.memory);
    if (best == kNone || rank < best_rank) {
      best = h;
      best_rank = rank;
    }
  }
  if (best != kNone && best_rank.straddles == 0 && straddled != kNone && !wanted.for_gain)
    weigh(straddled, Why::kNoNuma, what.straddles(vm, straddled));
  return best;
}

void Round::violate(Why why, Index vm, Index host, std::string text) {
  violations_.push_back({why, vm, host, std::move(text)});
}

void Round::power(Index host, bool on, Why why, double gain, double cost, std::string reason) {
  power_[host] = Switch{on, why, gain, cost, std::move(reason)};
  what.set_usable(host, on);
}

void Round::wake(Index host, Why why, std::string reason, double gain) {
  const SnapshotHost& at = snapshot().hosts[host];
  if (powered_on(host) || at.power == HostPower::kWaking) return;
  // Those that are still missing are woken in the rounds to come.
  const std::int32_t most = snapshot().settings.power.changes_max;
  if (most > 0 && woken_ >= most) return turn_down(Why::kMovesLimit);
  ++woken_;
  power(host, true, why, gain, at.boot_energy, std::move(reason));
  what.set_usable(host, at.time_on <= Duration::zero());
}

// Whether all but the first of the unit, which is there, come to `host` as well.
bool Round::fits_with(const std::vector<Index>& unit, Index host, const Wanted& wanted, Why why) {
  for (std::size_t i = 1; i < unit.size(); ++i) {
    const Index vm = unit[i];
    if (!wanted.back && would_return(vm, host)) return false;
    if (!has_room(vm, host, wanted) || what.forbids(vm, host) || !within_limits(vm, host))
      return false;
    if (wanted.for_gain && (what.soft_rules(vm, host) > 0 || what.straddles(vm, host) > 0))
      return false;
    move(vm, host, why);
  }
  return true;
}

Index Round::move_together(const std::vector<Index>& unit, const Wanted& wanted, Why why,
                           double gain) {
  // With one that people move goes what has to be with it.
  const bool others_too =
      others_too_ || (is_for_people() && std::ranges::any_of(unit, [&](Index vm) {
                        return policy::asks_first(snapshot().vms[vm]);
                      }));
  for (const Index vm : unit) {
    const auto stay = stays(vm, others_too);
    if (stay) turn_down(*stay);
    if (stay) return kNone;
  }
  if (unit.size() == 1) {
    const Index to = best_target(unit.front(), wanted);
    if (to != kNone) move(unit.front(), to, why, gain);
    return to;
  }
  const std::size_t mark = this->mark();
  for (const Index vm : unit) move(vm, kNone, why);
  std::vector<Index> tried;
  Index to = kNone;
  while (tried.size() < kUnitTargets) {
    to = best_target(unit.front(), wanted);
    if (to == kNone) break;
    const std::size_t before = this->mark();
    move(unit.front(), to, why, gain);
    if (fits_with(unit, to, wanted, why)) break;
    undo_to(before);
    close(to);
    tried.push_back(to);
    to = kNone;
  }
  for (const Index host : tried) open(host);
  if (to == kNone) undo_to(mark);
  return to;
}

Settled Round::settle(Index vm, const Wanted& wanted, Why why, double gain) {
  const Settled alone = settle_alone(vm, wanted, why, gain);
  if (alone != Settled::kNowhere) return alone;
  const std::vector<Index> unit = what.together_with(vm);
  return unit.size() < 2 ? alone : settle_together(unit, wanted, why, gain);
}

Settled Round::settle_together(const std::vector<Index>& unit, Wanted wanted, Why why,
                               double gain) {
  const auto moved = [&] { return move_together(unit, wanted, why, gain) != kNone; };
  if (moved()) return Settled::kThere;
  if (snapshot().settings.power.automation != Automation::kOff) {
    const std::size_t before = mark();
    wanted.running_only = false;
    const Index to = move_together(unit, wanted, why, gain);
    if (to != kNone) {
      wake(to, Why::kWakeDemand,
           fmt::format("{} and what has to be with it find room on no running host",
                       snapshot().vms[unit.front()].name));
      if (what.usable(to)) return Settled::kThere;
      undo_to(before);
      return Settled::kLater;
    }
  }
  wanted.running_only = true;
  wanted.deviations = 0;
  wanted.back = true;
  return moved() ? Settled::kThere : Settled::kNowhere;
}

Settled Round::settle_alone(Index vm, const Wanted& wanted, Why why, double gain) {
  Wanted place = wanted;
  Index to = best_target(vm, place);
  if (to == kNone && snapshot().settings.power.automation != Automation::kOff) {
    place.running_only = false;
    to = best_target(vm, place);
    if (to != kNone) {
      wake(to, Why::kWakeDemand,
           fmt::format("{} finds room on no running host", snapshot().vms[vm].name));
      if (!what.usable(to)) return Settled::kLater;
    }
  }
  if (to == kNone) {
    place.running_only = true;
    place.deviations = 0;
    place.back = true;
    to = best_target(vm, place);
  }
  if (to == kNone) return Settled::kNowhere;
  move(vm, to, why, gain);
  return Settled::kThere;
}

void Round::undo_power(Index host) {
  if (!power_[host]) return;
  what.set_usable(host, !power_[host]->on);
  power_[host].reset();
}

double Round::copy_bandwidth(Index vm, Index to) const {
  double bandwidth = of_one_migration(snapshot().hosts[to]);
  if (origin_[vm] != kNone)
    bandwidth = std::min(bandwidth, of_one_migration(snapshot().hosts[origin_[vm]]));
  return std::max(bandwidth, 1.0);
}

double Round::copy_seconds_at(Index vm, double bandwidth) const {
  const SnapshotVm& it = snapshot().vms[vm];
  const double memory = std::max(it.consumed, it.memory_demand.now) + it.overhead;
  // Each round copies what was written during the one before: a geometric series.
  const double dirty = std::min(0.8, it.dirty_rate / bandwidth);
  return memory / bandwidth / (1 - dirty);
}

double Round::copy_seconds(Index vm, Index to) const {
  return copy_seconds_at(vm, copy_bandwidth(vm, to));
}

double Round::move_cost(Index vm, Index to) const {
  return move_cost_of(vm, to, copy_seconds(vm, to));
}

}  // namespace chorok::policy
