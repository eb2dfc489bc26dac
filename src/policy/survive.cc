#include "policy/survive.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "policy/failure_sets.h"

namespace chorok::policy {
namespace {

constexpr double kSlotCpuMin = 32;    // MHz, as VMware takes it
constexpr double kSlotMemoryMin = 1;  // MiB: a slot has some size

// Whoever has a host in the what-if runs there, also one that is only about to.
bool restarts(const WhatIf& world, Index vm) {
  return world.host_of(vm) != kNone && world.snapshot().vms[vm].restart_priority > 0;
}

std::vector<Index> usable_hosts(const WhatIf& world) {
  std::vector<Index> hosts;
  for (Index h = 0; h < world.snapshot().hosts.size(); ++h)
    if (world.usable(h)) hosts.push_back(h);
  return hosts;
}

// One set of hosts fails, and is back afterwards.
class FailureTrial {
 public:
  FailureTrial(WhatIf& world, Replacer& replacer, bool curable_only)
      : world_(world), replacer_(replacer), curable_only_(curable_only) {}

  Stress run(const std::vector<Index>& hosts, Survival& into) {
    const Snapshot& s = world_.snapshot();
    std::vector<std::pair<Index, Index>> were;  // VM, host
    std::vector<Index> vms;
    for (const Index h : hosts) {
      world_.set_usable(h, false);
      for (const Index vm : world_.vms_on(h)) {
        were.emplace_back(vm, h);
        if (restarts(world_, vm)) vms.push_back(vm);
      }
    }
    // The order of a host's list depends on what was tried before; the outcome must not.
    std::ranges::sort(vms, [&](Index a, Index b) {
      return std::pair(s.vms[a].restart_priority, a) < std::pair(s.vms[b].restart_priority, b);
    });
    for (const auto& [vm, host] : were) world_.move(vm, kNone);
    Replaced result;
    if (!vms.empty()) {
      result = replacer_.place(vms, Fill::kQuick);
      ++into.cases;
    }
    if (curable_only_)
      std::erase_if(result.unplaced, [&](const Unplaced& one) { return !curable(one.vm, hosts); });
    into.vms += static_cast<std::int64_t>(vms.size());
    into.moved += static_cast<std::int64_t>(result.made_room.size());
    into.work_limit = into.work_limit || result.work_limit;
    Stress stress{.unplaced = static_cast<std::int64_t>(result.unplaced.size()),
                  .made_room = static_cast<std::int64_t>(result.made_room.size()),
                  .attempt = result.attempt};
    for (const Index vm : vms) stress.memory += world_.vm_load(vm).size.memory;
    if (!result.unplaced.empty()) into.uncovered.push_back({hosts, std::move(result.unplaced)});

    for (const Made& made : result.made_room) world_.move(made.vm, made.from);
    for (const auto& [vm, host] : were) world_.move(vm, host);
    for (const Index h : hosts) world_.set_usable(h, true);
    return stress;
  }

 private:
  bool curable(Index vm, const std::vector<Index>& failed) const {
    for (Index h = 0; h < world_.snapshot().hosts.size(); ++h)
      if (world_.could_run(h) && world_.could_hold(vm, h) &&
          std::ranges::find(failed, h) == failed.end())
        return true;
    return false;
  }

  WhatIf& world_;
  Replacer& replacer_;
  bool curable_only_;
};

}  // namespace

Survival check_failures(WhatIf& world, std::int32_t failures, const SurvivalEffort& effort) {
  Survival result;
  if (failures <= 0) return result;
  std::vector<Index> hosts = usable_hosts(world);
  Replacer replacer(world);
  FailureTrial trial(world, replacer, effort.curable_only);
  std::vector<bool> alone(world.snapshot().hosts.size());  // hosts that may not even fail alone
  for (const Index h : hosts) {
    alone[h] = trial.run({h}, result).unplaced > 0;
    if (alone[h] && effort.first_only) return result;
  }
  const std::size_t size = std::min(hosts.size(), static_cast<std::size_t>(failures));
  if (size <= 1) return result;

  std::erase_if(hosts, [&](Index h) { return alone[h]; });
  std::ranges::sort(hosts, {}, [&](Index h) { return std::pair(-world.load(h).size.memory, h); });
  const std::size_t singles = result.uncovered.size();
  const std::size_t most = effort.first_only ? 1 : kUncoveredSetsMax;
  auto try_set = [&](const std::vector<Index>& set) -> std::optional<Stress> {
    const Stress stress = trial.run(set, result);
    if (result.uncovered.size() - singles >= most) {
      result.exhaustive = false;
      return std::nullopt;
    }
    return stress;
  };
  if (sets_of(hosts.size(), size, effort.sets_max + 1) <= effort.sets_max) {
    for_each_set(hosts, size, [&](const auto& set) { return try_set(set).has_value(); });
  } else {
    result.exhaustive = false;
    FailureSets(world, hosts, size, effort.sets_max, try_set).search();
  }
  const auto sets = std::ranges::subrange(
      result.uncovered.begin() + static_cast<std::ptrdiff_t>(singles), result.uncovered.end());
  for (FailureCase& one : sets) std::ranges::sort(one.hosts);
  std::ranges::sort(sets, {}, &FailureCase::hosts);
  return result;
}

Survival check_failures(const Snapshot& snapshot, std::int32_t failures,
                        const SurvivalEffort& effort) {
  WhatIf world(snapshot);
  return check_failures(world, failures, effort);
}

SlotCheck check_slots(const WhatIf& world, std::int32_t failures) {
  const Snapshot& s = world.snapshot();
  SlotCheck check{.slot = {kSlotCpuMin, kSlotMemoryMin}};
  for (Index v = 0; v < s.vms.size(); ++v) {
    if (!restarts(world, v)) continue;
    ++check.used;
    const Amounts reserved = world.vm_load(v).reserved;
    for (const Resource r : model::kResources) check.slot[r] = std::max(check.slot[r], reserved[r]);
  }
  std::vector<std::int64_t> slots;
  for (const Index h : usable_hosts(world)) {
    const Amounts& has = s.hosts[h].capacity;
    const double fit =
        std::min(std::floor(has.cpu / check.slot.cpu), std::floor(has.memory / check.slot.memory));
    slots.push_back(static_cast<std::int64_t>(fit));
  }
  std::ranges::sort(slots, std::greater());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    check.slots += slots[i];
    if (std::cmp_greater_equal(i, failures)) check.slots_kept += slots[i];
  }
  return check;
}

PercentCheck check_percent(const WhatIf& world, std::int32_t failures) {
  const std::vector<Index> hosts = usable_hosts(world);
  PercentCheck check;
  Amounts capacity;
  Amounts reserved;
  for (const Index h : hosts) {
    capacity += world.snapshot().hosts[h].capacity;
    reserved += world.load(h).reserved;
  }
  for (const Resource r : model::kResources) {
    check.free[r] = capacity[r] > 0 ? (capacity[r] - reserved[r]) / capacity[r] : 0;
    check.needed[r] =
        hosts.empty() ? 1 : std::min(1.0, failures / static_cast<double>(hosts.size()));
  }
  return check;
}

}  // namespace chorok::policy
