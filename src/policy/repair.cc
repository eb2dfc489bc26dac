// What is broken now: hosts that are to be empty, rules, reservations, overload.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "policy/obstacle.h"
#include "policy/steps.h"

namespace chorok::policy {

using model::HostPower;
using model::SnapshotHost;
using model::SnapshotVm;

namespace {

Wanted target_for_repair(const Snapshot& snapshot, Index from) {
  const model::PolicySettings& settings = snapshot.settings;
  return {.deviations = settings.balance.deviations,
          .target = settings.power.target,
          .running_only = true,
          .empty_too = true,
          .except = from};
}

// A VM whose new host is on its way (kLater) leaves in a later round.
Settled send_away(Round& round, Index vm, Index from, Why why, double gain = 0) {
  return round.settle(vm, target_for_repair(round.snapshot(), from), why, gain);
}

// The same of one that is to leave whatever it costs: it waits for what is under way, too.
Settled must_leave(Round& round, Index vm, Index from, Why why) {
  const Settled settled = send_away(round, vm, from, why);
  if (settled != Settled::kNowhere) return settled;
  Wanted wanted = target_for_repair(round.snapshot(), from);
  wanted.deviations = 0;
  if (!round.waits_for_moves(vm, wanted)) return settled;
  round.turn_down(Why::kInFlight);
  return Settled::kLater;
}

std::vector<Index> largest_first(const Round& round, std::vector<Index> vms) {
  const Snapshot& snapshot = round.snapshot();
  std::ranges::sort(vms, [&](Index a, Index b) {
    const Amounts& left = snapshot.vms[a].size;
    const Amounts& right = snapshot.vms[b].size;
    if (left.memory != right.memory) return left.memory > right.memory;
    return left.cpu != right.cpu ? left.cpu > right.cpu : a < b;
  });
  return vms;
}

void evacuate(Round& round, Index host) {
  round.close(host);
  for (const Index vm : largest_first(round, round.what.vms_on(host))) {
    if (round.what.host_of(vm) != host) continue;  // it left with one that it has to be with
    if (round.leaves(vm)) {
      round.turn_down(Why::kInFlight);
      continue;
    }
    if (const auto why = round.immovable(vm)) {
      round.turn_down(*why);
      round.violate(*why, vm, host,
                    fmt::format("{} has to leave {} and may not be moved",
                                round.snapshot().vms[vm].name, round.snapshot().hosts[host].name));
      continue;
    }
    if (must_leave(round, vm, host, Why::kMaintenance) == Settled::kNowhere) {
      const Obstacle against = obstacle_of(round, vm);
      round.violate(against.why, vm, host,
                    fmt::format("{} has to leave {} and fits on no other host: {}",
                                round.snapshot().vms[vm].name, round.snapshot().hosts[host].name,
                                against.text));
    }
  }
}

// What must hold is mended wherever there is a place for it. What only the moves of others mended,
// or a host that is on its way will, is not wrong; nor is what goes somewhere already.
void mend_rule(Round& round, const model::SnapshotRule& rule) {
  std::vector<Index> stuck;
  for (const Index vm : rule.vms) {
    if (!round.what.breaks(rule, vm) || round.leaves(vm)) continue;
    const bool stays = round.immovable(vm).has_value();
    if (stays || must_leave(round, vm, round.what.host_of(vm), Why::kRule) == Settled::kNowhere)
      stuck.push_back(vm);
  }
  for (const Index vm : stuck) {
    if (!round.what.breaks(rule, vm)) continue;
    round.violate(
        Why::kRule, vm, round.what.host_of(vm),
        fmt::format("rule {}: {} can go nowhere else", rule.name, round.snapshot().vms[vm].name));
  }
}

// What should hold gave way to a need, and is mended when that can be had for nothing but a move.
void mend_soft_rule(Round& round, const model::SnapshotRule& rule) {
  for (const Index vm : rule.vms) {
    if (!round.what.breaks(rule, vm) || round.immovable(vm)) continue;
    Wanted wanted = target_for_repair(round.snapshot(), round.what.host_of(vm));
    wanted.for_gain = true;
    const Index to = round.best_target(vm, wanted);
    if (to != kNone && round.what.soft_rules(vm, to) < 0) round.move(vm, to, Why::kRule);
  }
}

// The VM whose leaving mends the excess with the least to copy; if none alone does, the one that
// takes away most. Not one of those that have found no other place.
Index to_leave(const Round& round, Index host, model::Resource of, double excess,
               const std::set<Index>& stuck) {
  Index pick = kNone;
  bool pick_fresh = false;
  bool pick_enough = false;
  double pick_copy = 0;
  double pick_amount = 0;
  for (const Index vm : round.what.vms_on(host)) {
    if (round.immovable(vm) || stuck.contains(vm)) continue;
    const double amount = round.what.vm_load(vm).now[of];
    if (amount <= 0) continue;
    const bool enough = amount >= excess;
    const SnapshotVm& it = round.snapshot().vms[vm];
    const double copy = std::max(it.consumed, it.memory_demand.now);
    // One that came a while ago, and is as it was then, leaves only if no other can.
    const bool fresh = round.would_return(vm, it.moved_from);
    const bool better =
        pick == kNone || (fresh != pick_fresh     ? pick_fresh
                          : enough != pick_enough ? enough
                          : enough ? (copy != pick_copy ? copy < pick_copy : amount < pick_amount)
                                   : amount > pick_amount);
    // Ties by index, so that the order of a host's list never shows.
    const bool tie = pick != kNone && fresh == pick_fresh && enough == pick_enough &&
                     amount == pick_amount && copy == pick_copy && vm < pick;
    if (better || tie) {
      pick = vm;
      pick_fresh = fresh;
      pick_enough = enough;
      pick_copy = copy;
      pick_amount = amount;
    }
  }
  return pick;
}

void relieve(Round& round, Index host) {
  const SnapshotHost& at = round.snapshot().hosts[host];
  std::set<Index> stuck;
  for (const model::Resource of : model::kResources) {
    // Each pass takes a VM away, or finds one that has to stay, or ends.
    for (std::int32_t left = round.what.load(host).vms; left > 0; --left) {
      const double excess = round.what.settled_load(host).now[of] - at.capacity[of];
      if (excess <= 0) break;
      round.close(host);
      const Index vm = to_leave(round, host, of, excess, stuck);
      if (vm == kNone) break;
      // What it gives back to the others, as long as placements are judged by; memory as the same
      // share of the CPU.
      const double back = std::min(excess, round.what.vm_load(vm).now[of]);
      const double gain =
          round.worth(host, back * at.capacity.cpu / std::max(at.capacity[of], 1.0));
      const Settled settled = send_away(round, vm, host, Why::kOverload, gain);
      if (settled == Settled::kLater || !round.spend(0)) break;
      if (settled == Settled::kNowhere) stuck.insert(vm);
    }
  }
  const HostLoad load = round.what.settled_load(host);
  if (load.now.cpu > at.capacity.cpu || load.now.memory > at.capacity.memory) {
    round.close(host);
    round.violate(
        Why::kOverload, kNone, host,
        fmt::format("{} is asked for {:.0f} of {:.0f} MHz and {:.0f} of {:.0f} MiB", at.name,
                    load.now.cpu, at.capacity.cpu, load.now.memory, at.capacity.memory));
  }
}

// The one that reserves most, of those that may leave and have not found that they cannot.
Index most_reserved(const Round& round, Index host, model::Resource of,
                    const std::set<Index>& stuck) {
  Index pick = kNone;
  double best = 0;
  for (const Index vm : round.what.vms_on(host)) {
    if (round.immovable(vm) || stuck.contains(vm)) continue;
    const double amount = round.what.vm_load(vm).reserved[of];
    if (amount < best || (amount == best && (pick == kNone || vm > pick))) continue;
    pick = vm;
    best = amount;
  }
  return pick;
}

void keep_reservations(Round& round, Index host) {
  const SnapshotHost& at = round.snapshot().hosts[host];
  std::set<Index> stuck;
  for (std::int32_t left = round.what.load(host).vms; left >= 0; --left) {
    const HostLoad load = round.what.settled_load(host);
    const bool cpu = load.reserved.cpu > at.capacity.cpu;
    const bool memory = load.reserved.memory > at.capacity.memory;
    if (!cpu && !memory) return;
    round.close(host);
    const model::Resource of = cpu ? model::Resource::kCpu : model::Resource::kMemory;
    const Index pick = round.spend(0) ? most_reserved(round, host, of, stuck) : kNone;
    const Settled settled =
        pick == kNone ? Settled::kLater : send_away(round, pick, host, Why::kReservation);
    if (settled == Settled::kNowhere) stuck.insert(pick);
    if (settled != Settled::kLater) continue;
    round.violate(Why::kReservation, kNone, host,
                  fmt::format("{} cannot keep the reservations of its VMs: {:.0f} of {:.0f} MHz, "
                              "{:.0f} of {:.0f} MiB",
                              at.name, load.reserved.cpu, at.capacity.cpu, load.reserved.memory,
                              at.capacity.memory));
    return;
  }
}

}  // namespace

void repair(Round& round) {
  const auto hosts = static_cast<Index>(round.snapshot().hosts.size());
  // Hosts in trouble take nothing in, whichever is mended first.
  for (Index h = 0; h < hosts; ++h) {
    if (round.what.broken(h)) round.close(h);
  }
  for (Index h = 0; h < hosts; ++h) {
    const SnapshotHost& host = round.snapshot().hosts[h];
    const bool reachable = host.power == HostPower::kOn && host.link == model::HostLink::kConnected;
    const bool leave =
        host.admin != model::HostAdmin::kEnabled || (host.recent_failures > 0 && reachable);
    if (round.what.load(h).vms > 0 && leave && reachable) evacuate(round, h);
  }
  for (const model::SnapshotRule& rule : round.snapshot().rules)
    if (rule.must) mend_rule(round, rule);
  for (const model::SnapshotRule& rule : round.snapshot().rules)
    if (!rule.must) mend_soft_rule(round, rule);
  for (Index h = 0; h < hosts; ++h) {
    if (!round.what.usable(h) || round.what.load(h).vms == 0) continue;
    keep_reservations(round, h);
    relieve(round, h);
  }
}

}  // namespace chorok::policy
