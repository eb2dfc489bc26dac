#include "policy/restart.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <queue>
#include <set>

#include "base/text.h"
#include "policy/obstacle.h"
#include "policy/replace.h"

namespace chorok::policy {

using model::SnapshotHost;
using model::SnapshotVm;
using model::VmRun;

namespace {

constexpr std::size_t kAlternatives = 3;

// Who starts after whom among the VMs of one plan. Positions are places in `vms`.
class StartOrder {
 public:
  StartOrder(const Snapshot& snapshot, const std::vector<Index>& vms)
      : s_(snapshot), vms_(vms), place_(snapshot.vms.size(), kNone) {
    for (Index i = 0; i < vms.size(); ++i) place_[vms[i]] = i;
    followers_.resize(vms.size());
    waits_for_.resize(vms.size());
    for (Index i = 0; i < vms.size(); ++i) {
      std::set<Index> before;  // one named twice is waited for once
      for (const Index other : s_.vms[vms[i]].restart_after)
        if (place_[other] != kNone && place_[other] != i) before.insert(place_[other]);
      for (const Index b : before) followers_[b].push_back(i);
      waits_for_[i] = before.size();
    }
    inherit_priorities();
  }

  // Positions in the order of starting. A circle is entered at its most urgent VM, which is told to
  // `on_circle`.
  template <class Fn>
  std::vector<Index> run(Fn&& on_circle) {
    std::vector<std::size_t> open = waits_for_;
    std::vector<bool> taken(vms_.size());
    std::vector<Index> order;
    std::set<Key> ready;
    std::set<Key> blocked;
    for (Index i = 0; i < vms_.size(); ++i) (open[i] == 0 ? ready : blocked).insert(key(i));
    while (!ready.empty() || !blocked.empty()) {
      if (ready.empty()) {
        const Index entry = on_a_circle(blocked.begin()->second, taken);
        on_circle(vms_[entry]);
        ready.insert(key(entry));
      }
      const Key next = *ready.begin();
      ready.erase(ready.begin());
      blocked.erase(next);
      taken[next.second] = true;
      order.push_back(next.second);
      for (const Index follower : followers_[next.second]) {
        if (open[follower] > 0) --open[follower];
        if (open[follower] == 0 && !taken[follower] && blocked.erase(key(follower)) > 0)
          ready.insert(key(follower));
      }
    }
    return order;
  }

  std::int32_t priority(Index position) const { return priority_[position]; }

 private:
  using Key = std::pair<std::int32_t, Index>;
  Key key(Index position) const { return {priority_[position], position}; }

  // Everybody left waits for somebody left: following that ends in a circle.
  Index on_a_circle(Index position, const std::vector<bool>& taken) const {
    std::vector<bool> seen(vms_.size());
    std::vector<Index> path;
    for (; !seen[position]; position = open_dependency(position, taken)) {
      seen[position] = true;
      path.push_back(position);
    }
    const auto circle = std::ranges::find(path, position);
    // By its own priority: on a circle everybody has inherited the most urgent one.
    auto own = [&](Index i) { return std::pair(s_.vms[vms_[i]].restart_priority, i); };
    return *std::min_element(circle, path.end(), [&](Index a, Index b) { return own(a) < own(b); });
  }
  Index open_dependency(Index position, const std::vector<bool>& taken) const {
    for (const Index other : s_.vms[vms_[position]].restart_after) {
      const Index before = place_[other];
      if (before != kNone && before != position && !taken[before]) return before;
    }
    return position;
  }

  // From followers to what they wait for; each value falls at most four times, so this ends.
  void inherit_priorities() {
    for (const Index vm : vms_) priority_.push_back(s_.vms[vm].restart_priority);
    std::vector<Index> work(vms_.size());
    for (Index i = 0; i < work.size(); ++i) work[i] = i;
    while (!work.empty()) {
      const Index i = work.back();
      work.pop_back();
      for (const Index other : s_.vms[vms_[i]].restart_after) {
        const Index before = place_[other];
        if (before == kNone || priority_[before] <= priority_[i]) continue;
        priority_[before] = priority_[i];
        work.push_back(before);
      }
    }
  }

  const Snapshot& s_;
  const std::vector<Index>& vms_;
  std::vector<Index> place_;
  std::vector<std::vector<Index>> followers_;
  std::vector<std::size_t> waits_for_;
  std::vector<std::int32_t> priority_;
};

class RestartPlanner {
 public:
  RestartPlanner(const Snapshot& snapshot, std::span<const Index> lost)
      : s_(snapshot), world_(snapshot), lost_(snapshot.hosts.size()) {
    for (const Index h : lost) {
      lost_[h] = true;
      world_.set_usable(h, false);
    }
    plan_.stats.hosts_on_before = hosts_on();
  }

  Plan run() {
    collect();
    if (vms_.empty()) {
      plan_.nothing = "no VM lost its host and none waits for one";
      return finish();
    }
    StartOrder order(s_, vms_);
    std::vector<Index> by_importance;
    for (const Index position : order.run([&](Index vm) { report_circle(vm); }))
      by_importance.push_back(vms_[position]);
    place(by_importance);
    for (const Index vm : by_importance)
      if (world_.host_of(vm) != kNone) start(vm);
    return finish();
  }

 private:
  std::int32_t hosts_on() const {
    std::int32_t on = 0;
    for (Index h = 0; h < s_.hosts.size(); ++h)
      if (s_.hosts[h].power == model::HostPower::kOn && !lost_[h]) ++on;
    return on;
  }

  void collect() {
    for (Index v = 0; v < s_.vms.size(); ++v) {
      const SnapshotVm& vm = s_.vms[v];
      // Where it runs, or starts already.
      const Index host = world_.host_of(v);
      const bool is_lost = host != kNone && lost_[host];
      if (!is_lost && (vm.run != VmRun::kWaiting || host != kNone)) continue;
      if (vm.restart_priority == 0) {
        ++turned_down_[Why::kAutomation];
        continue;
      }
      vms_.push_back(v);
    }
    // What is never restarted is gone as well: nothing waits for room beside it.
    for (Index h = 0; h < s_.hosts.size(); ++h) {
      if (!lost_[h]) continue;
      const std::vector<Index> there = world_.vms_on(h);
      for (const Index vm : there) world_.move(vm, kNone);
    }
  }

  void report_circle(Index vm) {
    plan_.violations.push_back(
        {.why = Why::kRule,
         .vm = vm,
         .text = fmt::format("{} waits, by way of restart_after, for itself; it starts without",
                             s_.vms[vm].name)});
  }

  void place(const std::vector<Index>& vms) {
    Replaced result = Replacer(world_).place(vms, Fill::kSpread);
    for (const Made& made : result.made_room) make_room(made);
    // Hosts that could be woken come second: starting on a running one is minutes sooner.
    if (!result.unplaced.empty()) result.unplaced = wake_for(std::move(result.unplaced));
    for (const Unplaced& one : result.unplaced) {
      const std::string numbers = lacking(world_, one.vm, one.refusals.main());
      plan_.violations.push_back(
          {.why = result.work_limit ? Why::kWorkLimit : one.refusals.main(),
           .vm = one.vm,
           .text = fmt::format("{} finds no host: {}{}{}", size_text(world_, one.vm),
                               one.refusals.text(), numbers.empty() ? "" : "; ", numbers)});
      for (std::size_t w = 0; w < kWhyCount; ++w)
        if (one.refusals.count[w] > 0) turned_down_[static_cast<Why>(w)] += one.refusals.count[w];
    }
  }

  // One sleeping host after the other, until all have a place or no host is left that helps.
  std::vector<Unplaced> wake_for(std::vector<Unplaced> unplaced) {
    for (Index h = 0; h < s_.hosts.size() && !unplaced.empty(); ++h) {
      if (lost_[h] || world_.usable(h) || !world_.could_run(h)) continue;
      std::vector<Unplaced> rest;
      std::int32_t taken = 0;
      for (Unplaced& one : unplaced) {
        if (const auto why = world_.forbids(one.vm, h)) {
          one.refusals.add(*why);
          rest.push_back(one);
        } else {
          world_.move(one.vm, h);
          ++taken;
        }
      }
      unplaced = std::move(rest);
      if (taken > 0) wake(h, taken);
    }
    return unplaced;
  }

  void wake(Index host, std::int32_t vms) {
    const bool is_waking = s_.hosts[host].power == model::HostPower::kWaking;
    if (is_waking) return;
    wakes_[host] = static_cast<std::uint32_t>(plan_.actions.size());
    plan_.actions.push_back(
        {.kind = ActionKind::kPowerOn,
         .to = host,
         .priority = 1,
         .why = Why::kRestart,
         .reason = fmt::format("the running hosts have no room for {} that lost their host",
                               counted(vms, "VM"))});
  }

  void make_room(const Made& made) {
    moves_[made.for_vm] = static_cast<std::uint32_t>(plan_.actions.size());
    plan_.actions.push_back(
        {.kind = ActionKind::kMigrate,
         .vm = made.vm,
         .from = made.from,
         .to = made.to,
         .priority = 1,
         .why = Why::kRestart,
         .reason =
             fmt::format("{} makes room on {} for {}, which lost its host", s_.vms[made.vm].name,
                         s_.hosts[made.from].name, s_.vms[made.for_vm].name)});
  }

  void start(Index vm) {
    const SnapshotVm& what = s_.vms[vm];
    const Index to = world_.host_of(vm);
    Action action{.kind = ActionKind::kStart,
                  .vm = vm,
                  .from = what.host,
                  .to = to,
                  .priority = what.restart_priority,
                  .why = Why::kRestart,
                  .delay = what.restart_delay};
    std::string waits;
    for (const Index other : what.restart_after) waits += wait_for(other, action);
    if (auto it = wakes_.find(to); it != wakes_.end()) action.after.push_back(it->second);
    if (auto it = moves_.find(vm); it != moves_.end()) action.after.push_back(it->second);
    std::ranges::sort(action.after);
    if (waits.empty()) action.delay = {};
    action.reason = fmt::format(
        "{}; priority {}{}{}; {} then has {:.0f}% of its CPU and {:.0f}% of its memory in use",
        what.host == kNone ? "it waits for a host" : s_.hosts[what.host].name + " was lost",
        what.restart_priority, waits,
        action.delay.count() > 0 ? fmt::format(", {:g} s later", seconds(action.delay)) : "",
        s_.hosts[to].name, 100 * cpu_use(to), 100 * memory_use(to));
    action.alternatives = alternatives(vm, to);
    started_[vm] = static_cast<std::uint32_t>(plan_.actions.size());
    plan_.actions.push_back(std::move(action));
  }

  // What the reason says about one that this VM starts after.
  std::string wait_for(Index other, Action& action) {
    const std::string& name = s_.vms[other].name;
    if (auto it = started_.find(other); it != started_.end()) {
      if (std::ranges::find(action.after, it->second) == action.after.end())
        action.after.push_back(it->second);
      return fmt::format(", when {} is ready", name);
    }
    const bool runs = s_.vms[other].run == VmRun::kOn && !lost_[s_.vms[other].host];
    if (!runs && world_.host_of(other) != kNone)
      return fmt::format(", without {}, which waits for it in turn", name);
    return runs ? std::string() : fmt::format(", without {}, which does not run", name);
  }

  double cpu_use(Index host) const {
    const HostLoad& load = world_.load(host);
    return std::max(load.mean, load.now.cpu) / std::max(1.0, s_.hosts[host].capacity.cpu);
  }
  double memory_use(Index host) const {
    return world_.load(host).size.memory / std::max(1.0, s_.hosts[host].capacity.memory);
  }

  // A few other hosts as all stands in the end: the emptiest that would do, else what they lack.
  std::vector<Alternative> alternatives(Index vm, Index chosen) {
    std::vector<Alternative> out;
    std::map<Why, Index> refused;
    std::vector<std::pair<double, Index>> others;
    for (Index h = 0; h < s_.hosts.size(); ++h) {
      if (h == chosen || lost_[h] || !world_.usable(h)) continue;
      if (const auto why = world_.forbids(vm, h))
        refused.emplace(*why, h);
      else
        others.emplace_back(memory_use(h), h);
    }
    std::ranges::sort(others);
    for (const auto& [use, h] : others)
      if (out.size() + 1 < kAlternatives || refused.empty()) {
        if (out.size() >= kAlternatives) break;
        out.push_back({h, Why::kBalance, use});
      }
    for (const auto& [why, h] : refused)
      if (out.size() < kAlternatives) out.push_back({h, why, lacks(vm, h, why)});
    return out;
  }

  double lacks(Index vm, Index h, Why why) const {
    const VmLoad& add = world_.vm_load(vm);
    const HostLoad& load = world_.load(h);
    const SnapshotHost& host = s_.hosts[h];
    if (why == Why::kNoMemory)
      return std::max(0.0, load.size.memory + add.size.memory - host.capacity.memory);
    if (why == Why::kNoCpu)
      return std::max(0.0, load.reserved.cpu + add.reserved.cpu - host.capacity.cpu);
    return 0;
  }

  Plan finish() {
    plan_.stats.hosts_on_after =
        plan_.stats.hosts_on_before + static_cast<std::int32_t>(wakes_.size());
    for (const auto& [why, count] : turned_down_) plan_.turned_down.push_back({why, count});
    if (plan_.actions.empty() && plan_.nothing.empty()) plan_.nothing = "no VM finds a host";
    return std::move(plan_);
  }

  const Snapshot& s_;
  WhatIf world_;
  std::vector<bool> lost_;
  std::vector<Index> vms_;
  Plan plan_;
  std::map<Why, std::int64_t> turned_down_;
  std::map<Index, std::uint32_t> wakes_;    // host to action
  std::map<Index, std::uint32_t> moves_;    // VM that room was made for
  std::map<Index, std::uint32_t> started_;  // VM
};

}  // namespace

Plan plan_restart(const Snapshot& snapshot, std::span<const Index> lost_hosts) {
  return RestartPlanner(snapshot, lost_hosts).run();
}

}  // namespace chorok::policy
