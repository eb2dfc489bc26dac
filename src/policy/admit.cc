#include "policy/admit.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "policy/named_plan.h"
#include "policy/survive.h"

namespace chorok::policy {

using model::SnapshotOperation;
using model::SnapshotPool;
using model::SnapshotVm;
using model::VmRun;

namespace {

constexpr double kDust = 1e-6;  // MHz or MiB: rounding, not a shortage

std::string amount(Resource resource, double value) {
  return fmt::format("{:.0f} {}", value, resource == Resource::kCpu ? "MHz" : "MiB");
}

bool charged(const Snapshot& snapshot, Index vm) {
  if (snapshot.vms[vm].run == VmRun::kOn) return true;
  return std::ranges::any_of(snapshot.operations, [&](const SnapshotOperation& op) {
    return op.kind == SnapshotOperation::Kind::kStart && op.vm == vm;
  });
}

// Without one VM and one pool (with all that is in it), which are about to be put somewhere else.
Reserved reserved_without(const Snapshot& snapshot, Index vm_out, Index pool_out) {
  Reserved sum;
  sum.pools.resize(snapshot.pools.size());
  std::vector<bool> counts(snapshot.vms.size());
  for (Index v = 0; v < counts.size(); ++v) counts[v] = snapshot.vms[v].run == VmRun::kOn;
  for (const SnapshotOperation& op : snapshot.operations)
    if (op.kind == SnapshotOperation::Kind::kStart) counts[op.vm] = true;
  for (Index v = 0; v < counts.size(); ++v) {
    if (!counts[v] || v == vm_out) continue;
    const SnapshotVm& vm = snapshot.vms[v];
    Amounts& into = vm.pool == kNone ? sum.cluster : sum.pools[vm.pool];
    into += {vm.cpu.reservation, vm.memory.reservation};
  }
  // Parents stand before their children: backwards is bottom-up.
  for (Index p = static_cast<Index>(snapshot.pools.size()); p-- > 0;) {
    if (p == pool_out) continue;
    const SnapshotPool& pool = snapshot.pools[p];
    Amounts& into = pool.parent == kNone ? sum.cluster : sum.pools[pool.parent];
    for (const Resource r : model::kResources) into[r] += claim_on_parent(pool, r, sum.pools[p][r]);
  }
  const WhatIf hosts(snapshot);
  for (Index h = 0; h < snapshot.hosts.size(); ++h)
    if (hosts.could_run(h)) sum.capacity += snapshot.hosts[h].capacity;
  return sum;
}

class Ledger {
 public:
  Ledger(const Snapshot& snapshot, Reserved sum) : s_(snapshot), sum_(std::move(sum)) {}

  // Asks `pool` for `more`, and its ancestors for what it lacks. Nothing is written.
  std::optional<Refusal> ask(Index pool, Resource r, double more) const {
    for (; more > kDust; pool = s_.pools[pool].parent) {
      if (pool == kNone) return ask_cluster(r, more);
      const SnapshotPool& p = s_.pools[pool];
      const model::Allocation& has = p.allocation(r);
      const double used = sum_.pools[pool][r];
      if (used + more > has.limit + kDust) return refuse(pool, r, more, has.limit - used, true);
      const double left = std::max(0.0, has.reservation - used);
      if (more <= left + kDust) return std::nullopt;
      if (!has.expandable) return refuse(pool, r, more, left, false);
      more = claim_on_parent(p, r, used + more) - claim_on_parent(p, r, used);
    }
    return std::nullopt;
  }

  const Reserved& sum() const { return sum_; }

 private:
  std::optional<Refusal> ask_cluster(Resource r, double more) const {
    const double left = sum_.capacity[r] - sum_.cluster[r];
    if (more <= left + kDust) return std::nullopt;
    Refusal refusal{.resource = r, .asked = more, .left = std::max(0.0, left)};
    refusal.text = fmt::format(
        "the cluster has {} of {} not yet reserved of {}, and {} are asked for",
        amount(r, refusal.left), name_of(r), amount(r, sum_.capacity[r]), amount(r, more));
    return refusal;
  }

  Refusal refuse(Index pool, Resource r, double more, double left, bool by_limit) const {
    Refusal refusal{.resource = r,
                    .pool = pool,
                    .by_limit = by_limit,
                    .asked = more,
                    .left = std::max(0.0, left)};
    const SnapshotPool& p = s_.pools[pool];
    const model::Allocation& has = p.allocation(r);
    refusal.text =
        by_limit ? fmt::format(
                       "pool {} is limited to {} of {}, of which {} are left to reserve, and {} "
                       "are asked for",
                       p.name, amount(r, has.limit), name_of(r), amount(r, refusal.left),
                       amount(r, more))
                 : fmt::format(
                       "pool {} has {} of {} left of the {} it reserves, {} are asked for, and "
                       "its reservation is not expandable",
                       p.name, amount(r, refusal.left), name_of(r), amount(r, has.reservation),
                       amount(r, more));
    return refusal;
  }

  const Snapshot& s_;
  Reserved sum_;
};

void ask_both(Admission& to, const Ledger& ledger, Index pool, Amounts more) {
  for (const Resource r : model::kResources)
    if (auto refusal = ledger.ask(pool, r, more[r])) to.refusals.push_back(std::move(*refusal));
}

std::size_t restartable(const WhatIf& hosts, const std::vector<Index>& on) {
  std::size_t count = 0;
  for (const Index h : on)
    count += static_cast<std::size_t>(std::ranges::count_if(
        hosts.vms_on(h), [&](Index vm) { return hosts.snapshot().vms[vm].restart_priority > 0; }));
  return count;
}

// The most that one host has unreserved of a resource, among those that would take the VM at all.
struct Room {
  Amounts most;
  std::map<Why, std::int64_t> refused;
};

// A host for a VM that runs nowhere in `hosts`: one that is on, else one that could be woken.
Room find_host(Admission& to, const WhatIf& hosts, Index vm) {
  Room room;
  Index asleep = kNone;
  const Snapshot& s = hosts.snapshot();
  for (Index h = 0; h < s.hosts.size(); ++h) {
    if (!hosts.could_run(h)) {
      ++room.refused[Why::kHostNotReady];
      continue;
    }
    if (!hosts.compatible(vm, h))
      for (const Resource r : model::kResources)
        room.most[r] = std::max(room.most[r], s.hosts[h].capacity[r] - hosts.load(h).reserved[r]);
    if (const auto why = hosts.forbids(vm, h)) {
      ++room.refused[*why];
      continue;
    }
    if (hosts.usable(h)) {
      to.host = h;
      return room;
    }
    if (asleep == kNone) asleep = h;
  }
  to.host = asleep;
  to.wake = asleep != kNone;
  return room;
}

void ask_hosts(Admission& to, const WhatIf& hosts, Index vm) {
  const Room room = find_host(to, hosts, vm);
  for (const auto& [why, count] : room.refused) to.hosts_refused.push_back({why, count});
  if (to.host != kNone) return;
  const Amounts needs = hosts.vm_load(vm).reserved;
  bool said = false;
  for (const Resource r : model::kResources) {
    if (needs[r] <= room.most[r] + kDust) continue;
    said = true;
    to.refusals.push_back(
        {.why = Why::kHostReservation,
         .resource = r,
         .asked = needs[r],
         .left = std::max(0.0, room.most[r]),
         .text = fmt::format("no host has {} of {} unreserved; the most is {}", amount(r, needs[r]),
                             name_of(r), amount(r, std::max(0.0, room.most[r])))});
  }
  if (said) return;
  std::string why;
  for (const auto& [reason, count] : room.refused)
    why +=
        fmt::format("{}{}: {}", why.empty() ? "" : "; ", counted(count, "host"), sentence(reason));
  to.refusals.push_back(
      {.why = Why::kHostNotReady,
       .text = why.empty() ? "there is no host" : fmt::format("no host can take it ({})", why)});
}

// Sets of hosts looked at for one power-on: somebody waits for the answer, and may start a hundred.
constexpr std::int64_t kSetsMaxAdmit = 5000;

// With the VM where it would go, every host that may fail must still find a place for its VMs; but
// for those that no other host could ever have, whose lack of a refuge is not this VM's doing.
void ask_ha(Admission& to, WhatIf& hosts, Index vm) {
  const Snapshot& s = hosts.snapshot();
  const model::HaSettings& ha = s.settings.ha;
  if (!ha.enabled || to.host == kNone || to.wake) return;
  hosts.move(vm, to.host);
  const Survival survival = check_failures(
      hosts, ha.failures, {.sets_max = kSetsMaxAdmit, .first_only = true, .curable_only = true});
  if (survival.survives()) return;
  const FailureCase& first = survival.uncovered.front();
  std::string names;
  for (const Index h : first.hosts) names += (names.empty() ? "" : " and ") + s.hosts[h].name;
  const Unplaced& one = first.unplaced.front();
  to.refusals.push_back(
      {.why = Why::kHaReserve,
       .resource = one.refusals.main() == Why::kNoCpu ? Resource::kCpu : Resource::kMemory,
       .asked = static_cast<double>(first.unplaced.size()),
       .text = fmt::format("if {} failed, {} of {} would find no host, {} first ({})", names,
                           first.unplaced.size(), counted(restartable(hosts, first.hosts), "VM"),
                           s.vms[one.vm].name, one.refusals.text())});
}

Admission settled(Admission admission, const Snapshot& snapshot, std::string subject) {
  admission.admitted = admission.refusals.empty();
  if (admission.admitted) {
    admission.text = subject + ": admitted";
    if (admission.host != kNone)
      admission.text += fmt::format(" on {}{}", snapshot.hosts[admission.host].name,
                                    admission.wake ? ", which is to be switched on first" : "");
    return admission;
  }
  admission.text = subject + ": refused, because ";
  for (std::size_t i = 0; i < admission.refusals.size(); ++i)
    admission.text += (i == 0 ? "" : "; and ") + admission.refusals[i].text;
  return admission;
}

void check_limit(Admission& to, const model::Allocation& has, Resource r, double wanted,
                 Index pool) {
  if (wanted <= has.limit) return;
  to.refusals.push_back({.resource = r,
                         .pool = pool,
                         .by_limit = true,
                         .asked = wanted,
                         .left = has.limit,
                         .text = fmt::format("its own limit of {} is {}, less than the {} to be "
                                             "reserved",
                                             name_of(r), amount(r, has.limit), amount(r, wanted))});
}

}  // namespace

double claim_on_parent(const SnapshotPool& pool, Resource resource, double used) {
  const model::Allocation& has = pool.allocation(resource);
  return has.expandable ? std::max(has.reservation, used) : has.reservation;
}

Reserved reserved(const Snapshot& snapshot) {
  return reserved_without(snapshot, kNone, kNone);
}

Admission admit_power_on(const Snapshot& snapshot, Index vm) {
  Admission result;
  const SnapshotVm& what = snapshot.vms[vm];
  std::string subject = fmt::format("power on {}", what.name);
  if (charged(snapshot, vm)) {
    result.host = what.host;
    return settled(std::move(result), snapshot, std::move(subject));
  }
  ask_both(result, Ledger(snapshot, reserved(snapshot)), what.pool,
           {what.cpu.reservation, what.memory.reservation});
  WhatIf hosts(snapshot);
  ask_hosts(result, hosts, vm);
  if (result.refusals.empty()) ask_ha(result, hosts, vm);
  return settled(std::move(result), snapshot, std::move(subject));
}

Admission admit_vm_reservation(const Snapshot& snapshot, Index vm, Amounts reservation) {
  Admission result;
  const SnapshotVm& what = snapshot.vms[vm];
  for (const Resource r : model::kResources) {
    model::Allocation bound = what.allocation(r);
    bound.limit = std::min(bound.limit, what.size[r]);
    check_limit(result, bound, r, reservation[r], kNone);
  }
  if (charged(snapshot, vm)) {
    ask_both(result, Ledger(snapshot, reserved_without(snapshot, vm, kNone)), what.pool,
             reservation);
    Snapshot changed = snapshot;
    changed.vms[vm].cpu.reservation = reservation.cpu;
    changed.vms[vm].memory.reservation = reservation.memory;
    WhatIf hosts(changed);
    const Index now = hosts.host_of(vm);
    hosts.move(vm, kNone);
    if (now != kNone && hosts.usable(now) && !hosts.forbids(vm, now)) {
      result.host = now;
    } else {
      ask_hosts(result, hosts, vm);
    }
  }
  return settled(std::move(result), snapshot, fmt::format("reserve for {}", what.name));
}

Admission admit_pool_reservation(const Snapshot& snapshot, Index pool, Amounts reservation) {
  Admission result;
  const SnapshotPool& what = snapshot.pools[pool];
  const Ledger ledger(snapshot, reserved_without(snapshot, kNone, pool));
  Amounts claim;
  for (const Resource r : model::kResources) {
    const double used = ledger.sum().pools[pool][r];
    check_limit(result, what.allocation(r), r, reservation[r], pool);
    SnapshotPool changed = what;
    (r == Resource::kCpu ? changed.cpu : changed.memory).reservation = reservation[r];
    claim[r] = claim_on_parent(changed, r, used);
    if (what.allocation(r).expandable || used <= reservation[r] + kDust) continue;
    result.refusals.push_back(
        {.resource = r,
         .pool = pool,
         .asked = used,
         .left = reservation[r],
         .text = fmt::format("{} of {} are already promised in it, and its reservation is not "
                             "expandable",
                             amount(r, used), name_of(r))});
  }
  ask_both(result, ledger, what.parent, claim);
  return settled(std::move(result), snapshot, fmt::format("reserve for pool {}", what.name));
}

Admission admit_vm_to_pool(const Snapshot& snapshot, Index vm, Index to) {
  Admission result;
  const SnapshotVm& what = snapshot.vms[vm];
  if (charged(snapshot, vm)) {
    ask_both(result, Ledger(snapshot, reserved_without(snapshot, vm, kNone)), to,
             {what.cpu.reservation, what.memory.reservation});
    result.host = what.host;
  }
  return settled(std::move(result), snapshot, fmt::format("move {} to another pool", what.name));
}

Admission admit_pool_to_pool(const Snapshot& snapshot, Index pool, Index to) {
  Admission result;
  const SnapshotPool& what = snapshot.pools[pool];
  std::string subject = fmt::format("move pool {}", what.name);
  for (Index p = to; p != kNone; p = snapshot.pools[p].parent) {
    if (p != pool) continue;
    result.refusals.push_back(
        {.pool = to, .text = fmt::format("pool {} lies within it", snapshot.pools[to].name)});
    return settled(std::move(result), snapshot, std::move(subject));
  }
  const Ledger ledger(snapshot, reserved_without(snapshot, kNone, pool));
  Amounts claim;
  for (const Resource r : model::kResources)
    claim[r] = claim_on_parent(what, r, ledger.sum().pools[pool][r]);
  ask_both(result, ledger, to, claim);
  return settled(std::move(result), snapshot, std::move(subject));
}

}  // namespace chorok::policy
