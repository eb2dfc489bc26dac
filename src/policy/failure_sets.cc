#include "policy/failure_sets.h"

#include <algorithm>
#include <utility>

namespace chorok::policy {

using model::RuleKind;

namespace {

constexpr std::size_t kHardest = 16;      // sets whose neighbours are tried
constexpr std::size_t kRefugesSeen = 64;  // hosts with most room that are asked for one VM
// A group of more hosts has too many sets to be gone through, and leaves enough of a choice.
constexpr std::size_t kGroupMax = 64;

bool contains(const std::vector<Index>& set, Index host) {
  return std::ranges::find(set, host) != set.end();
}

}  // namespace

std::int64_t sets_of(std::size_t count, std::size_t size, std::int64_t most) {
  if (size > count) return 0;
  size = std::min(size, count - size);
  std::int64_t sets = 1;
  for (std::size_t i = 1; i <= size; ++i) {
    // Exact: the product of i consecutive numbers is divisible by i factorial.
    sets = sets * static_cast<std::int64_t>(count - size + i) / static_cast<std::int64_t>(i);
    if (sets >= most) return most;
  }
  return std::min(sets, most);
}

bool for_each_set(std::span<const Index> hosts, std::size_t size,
                  const std::function<bool(const std::vector<Index>&)>& go) {
  if (size > hosts.size()) return true;
  std::vector<std::size_t> at(size);
  std::vector<Index> set(size);
  for (std::size_t i = 0; i < size; ++i) at[i] = i;
  while (true) {
    for (std::size_t i = 0; i < size; ++i) set[i] = hosts[at[i]];
    if (!go(set)) return false;
    std::size_t i = size;
    while (i > 0 && at[i - 1] == hosts.size() - size + (i - 1)) --i;
    if (i == 0) return true;
    ++at[i - 1];
    for (; i < size; ++i) at[i] = at[i - 1] + 1;
  }
}

FailureSets::FailureSets(const WhatIf& world, std::vector<Index> hosts, std::size_t size,
                         std::int64_t sets_max, Try go)
    : world_(world),
      hosts_(std::move(hosts)),
      size_(size),
      sets_left_(sets_max),
      go_(std::move(go)),
      listed_(world.snapshot().hosts.size()),
      largest_vm_(world.snapshot().hosts.size(), kNone) {
  const Snapshot& s = world.snapshot();
  by_room_ = hosts_;
  auto room = [&](Index h) { return s.hosts[h].capacity.memory - world.load(h).size.memory; };
  std::ranges::sort(by_room_, {}, [&](Index h) { return std::pair(-room(h), h); });
  for (const Index h : hosts_) {
    listed_[h] = true;
    for (const Index vm : world.vms_on(h)) {
      if (s.vms[vm].restart_priority <= 0) continue;
      auto key = [&](Index v) { return std::pair(-world.vm_load(v).size.memory, v); };
      if (largest_vm_[h] == kNone || key(vm) < key(largest_vm_[h])) largest_vm_[h] = vm;
    }
  }
}

void FailureSets::try_set(std::vector<Index> set) {
  for (const Index h : hosts_) {
    if (set.size() >= size_) break;
    if (!contains(set, h)) set.push_back(h);
  }
  std::ranges::sort(set);
  if (full() || !seen_.insert(set).second) return;
  --sets_left_;
  const std::optional<Stress> stress = go_(set);
  if (!stress) {
    ended_ = true;
    return;
  }
  // One that fails is known; what is next to it tells nothing new.
  if (stress->unplaced > 0) return;
  auto worse = [](const Tried& a, const Tried& b) { return a.stress > b.stress; };
  Tried tried{*stress, std::move(set)};
  hardest_.insert(std::ranges::upper_bound(hardest_, tried, worse), std::move(tried));
  if (hardest_.size() > kHardest) hardest_.pop_back();
}

void FailureSets::with_the_fullest(std::int64_t most) {
  for (const Index h : hosts_) {
    if (full() || --most < 0) return;
    try_set({h});
  }
}

void FailureSets::with_the_refuges(std::int64_t most) {
  for (const Index h : hosts_) {
    if (full() || --most < 0) return;
    const Index vm = largest_vm_[h];
    if (vm == kNone) continue;
    std::vector<Index> set = {h};
    std::size_t asked = 0;
    for (const Index other : by_room_) {
      if (set.size() >= size_ || ++asked > kRefugesSeen) break;
      if (other != h && !world_.forbids(vm, other)) set.push_back(other);
    }
    try_set(std::move(set));
  }
}

void FailureSets::with_the_largest_vms(std::int64_t most) {
  std::vector<Index> by_vm;
  for (const Index h : hosts_)
    if (largest_vm_[h] != kNone) by_vm.push_back(h);
  std::ranges::sort(by_vm, {}, [&](Index h) {
    return std::pair(-world_.vm_load(largest_vm_[h]).size.memory, h);
  });
  for (const Index h : by_vm) {
    if (full() || --most < 0) return;
    std::vector<Index> set = {h};
    for (const Index other : by_vm) {
      if (set.size() >= size_) break;
      if (other != h) set.push_back(other);
    }
    try_set(std::move(set));
  }
}

void FailureSets::among_few_hosts(std::int64_t most) {
  const Snapshot& s = world_.snapshot();
  std::set<std::vector<Index>> groups;
  std::vector<Index> example(s.requirements.size(), kNone);  // a VM with each requirement
  for (Index v = 0; v < s.vms.size(); ++v)
    if (world_.host_of(v) != kNone) example[s.vms[v].requirement] = v;
  for (const Index vm : example) {
    if (vm == kNone) continue;
    std::vector<Index> group;
    for (const Index h : hosts_) {
      if (group.size() <= kGroupMax && !world_.compatible(vm, h)) group.push_back(h);
    }
    if (group.size() <= kGroupMax) groups.insert(std::move(group));
  }
  for (const model::SnapshotRule& rule : s.rules) {
    if (!rule.must || rule.kind != RuleKind::kHostsOnly) continue;
    std::vector<Index> group;
    for (const Index h : rule.hosts)
      if (listed_[h]) group.push_back(h);
    if (group.size() <= kGroupMax) groups.insert(std::move(group));
  }
  // The smallest first: what a small one lacks is lacked soonest.
  std::vector<std::vector<Index>> by_size(groups.begin(), groups.end());
  std::ranges::sort(by_size, [](const auto& a, const auto& b) {
    return a.size() != b.size() ? a.size() < b.size() : a < b;
  });
  for (const std::vector<Index>& group : by_size) {
    if (group.empty() || group.size() == hosts_.size()) continue;
    if (group.size() <= size_) {
      try_set(group);
      continue;
    }
    for_each_set(group, size_, [&](const std::vector<Index>& set) {
      if (full() || --most < 0) return false;
      try_set(set);
      return true;
    });
  }
}

void FailureSets::next_to_the_hardest() {
  // A harder one found on the way is gone on from; each is looked around once.
  std::set<std::vector<Index>> centres;
  while (!full()) {
    const auto from = std::ranges::find_if(
        hardest_, [&](const Tried& tried) { return !centres.contains(tried.set); });
    if (from == hardest_.end()) return;
    const std::vector<Index> centre = from->set;
    centres.insert(centre);
    for (std::size_t i = 0; i < centre.size(); ++i) {
      for (const Index h : hosts_) {
        if (full()) return;
        if (contains(centre, h)) continue;
        std::vector<Index> set = centre;
        set[i] = h;
        try_set(std::move(set));
      }
    }
  }
}

void FailureSets::search() {
  const std::int64_t part = std::max<std::int64_t>(1, sets_left_ / 5);
  with_the_fullest(part);
  with_the_refuges(part);
  with_the_largest_vms(part);
  among_few_hosts(part);
  next_to_the_hardest();
}

}  // namespace chorok::policy
