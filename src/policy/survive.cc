#include "policy/survive.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

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
  FailureTrial(WhatIf& world, Replacer& replacer) : world_(world), replacer_(replacer) {}

  void run(const std::vector<Index>& hosts, Survival& into) {
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
    into.vms += static_cast<std::int64_t>(vms.size());
    into.moved += static_cast<std::int64_t>(result.made_room.size());
    into.work_limit = into.work_limit || result.work_limit;
    if (!result.unplaced.empty()) into.uncovered.push_back({hosts, std::move(result.unplaced)});

    for (const Made& made : result.made_room) world_.move(made.vm, made.from);
    for (const auto& [vm, host] : were) world_.move(vm, host);
    for (const Index h : hosts) world_.set_usable(h, true);
  }

 private:
  WhatIf& world_;
  Replacer& replacer_;
};

}  // namespace

Survival check_failures(WhatIf& world, std::int32_t failures) {
  Survival result;
  if (failures <= 0) return result;
  const std::vector<Index> hosts = usable_hosts(world);
  std::vector<Index> heaviest = hosts;
  std::ranges::sort(heaviest, {},
                    [&](Index h) { return std::pair(-world.load(h).size.memory, h); });
  Replacer replacer(world);
  FailureTrial trial(world, replacer);
  for (const Index h : hosts) {
    std::vector<Index> set = {h};
    for (const Index other : heaviest)
      if (other != h && set.size() < static_cast<std::size_t>(failures)) set.push_back(other);
    trial.run(set, result);
  }
  return result;
}

Survival check_failures(const Snapshot& snapshot, std::int32_t failures) {
  WhatIf world(snapshot);
  return check_failures(world, failures);
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
