#include "policy/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "policy/admit.h"
#include "policy/entitle.h"
#include "policy/survive.h"

namespace chorok::policy {

using model::RuleKind;
using model::SnapshotRule;

const Type& UncoveredFailure::type() {
  static const Type kType =
      describe<UncoveredFailure>("UncoveredFailure", "Hosts that may not fail.")
          .field("hosts", &UncoveredFailure::hosts, "That fail together.")
          .field("vms", &UncoveredFailure::vms, "That would find no host.", {.max_count = 1000000})
          .field("text", &UncoveredFailure::text, "The first of them, and why.",
                 {.max_length = 4096});
  return kType;
}
const Type& FailoverCheck::type() {
  static const Type kType =
      describe<FailoverCheck>("FailoverCheck", "Whether hosts may fail.")
          .field("failures", &FailoverCheck::failures, "Hosts that may fail at once.")
          .field("survives", &FailoverCheck::survives, "All VMs of each would find a host.")
          .field("cases", &FailoverCheck::cases, "Failures tried.")
          .field(
              "exhaustive", &FailoverCheck::exhaustive,
              "Every set of so many hosts was tried. Of more than 50,000 sets only those that are "
              "likely to be hard are, and the search ends at 100 that may not fail.")
          .field("moved", &FailoverCheck::moved, "VMs that would have to make room.")
          .field("uncovered", &FailoverCheck::uncovered, "", {.max_count = 1000000})
          .field("slots_enough", &FailoverCheck::slots_enough, "As counting slots would have it.")
          .field("slot_cpu_mhz", &FailoverCheck::slot_cpu_mhz, "")
          .field("slot_memory_mib", &FailoverCheck::slot_memory_mib, "")
          .field("slots_kept", &FailoverCheck::slots_kept, "Without the largest hosts.")
          .field("slots_used", &FailoverCheck::slots_used, "")
          .field("percent_enough", &FailoverCheck::percent_enough, "As percentages would have it.")
          .field("free_cpu", &FailoverCheck::free_cpu, "Not reserved, 0 to 1.")
          .field("free_memory", &FailoverCheck::free_memory, "Not reserved, 0 to 1.")
          .field("needed", &FailoverCheck::needed, "Of each.");
  return kType;
}
const Type& ResourceCheck::type() {
  static const Type kType =
      describe<ResourceCheck>("ResourceCheck", "One resource of a cluster.")
          .field("capacity", &ResourceCheck::capacity, "Of hosts that serve.")
          .field("reserved", &ResourceCheck::reserved, "Of VMs and pools below the cluster.")
          .field("wanted", &ResourceCheck::wanted, "Demand within limits.")
          .field("granted", &ResourceCheck::granted, "Entitlement of all VMs.")
          .field("vms_short", &ResourceCheck::vms_short, "VMs entitled to less than they ask for.");
  return kType;
}
const Type& ClusterCheck::type() {
  static const Type kType =
      describe<ClusterCheck>("ClusterCheck", "A cluster looked over.")
          .field("cluster", &ClusterCheck::cluster, "")
          .field("sound", &ClusterCheck::sound, "Nothing is wrong.")
          .field("hosts", &ClusterCheck::hosts, "")
          .field("hosts_serving", &ClusterCheck::hosts_serving, "On, connected, enabled.")
          .field("vms", &ClusterCheck::vms, "")
          .field("vms_on", &ClusterCheck::vms_on, "")
          .field("cpu_mhz", &ClusterCheck::cpu_mhz, "")
          .field("memory_mib", &ClusterCheck::memory_mib, "")
          .field("violations", &ClusterCheck::violations, "What is wrong.", {.max_count = 1000000})
          .field("failover", &ClusterCheck::failover, "Whether hosts may fail.");
  return kType;
}

namespace {

constexpr double kDust = 1e-6;

class Looker {
 public:
  explicit Looker(const Snapshot& snapshot) : s_(snapshot), world_(snapshot) {}

  ClusterCheck run(std::int32_t failures) {
    result_.cluster = s_.cluster;
    result_.hosts = static_cast<std::int32_t>(s_.hosts.size());
    result_.vms = static_cast<std::int32_t>(s_.vms.size());
    for (Index h = 0; h < s_.hosts.size(); ++h)
      if (world_.usable(h)) ++result_.hosts_serving;
    for (const auto& vm : s_.vms)
      if (vm.run == model::VmRun::kOn) ++result_.vms_on;
    for (Index h = 0; h < s_.hosts.size(); ++h) look_at_host(h);
    for (const SnapshotRule& rule : s_.rules) look_at_rule(rule);
    look_at_pools();
    look_at_demand();
    look_at_failover(failures < 0 ? s_.settings.ha.failures : failures);
    result_.sound =
        !hard_ && (result_.failover.survives || (failures < 0 && !s_.settings.ha.enabled));
    return std::move(result_);
  }

 private:
  void wrong(Why why, std::string host, std::string vm, std::string text, bool hard = true) {
    hard_ = hard_ || hard;
    result_.violations.push_back(
        {.why = why, .vm = std::move(vm), .host = std::move(host), .text = std::move(text)});
  }

  void look_at_host(Index h) {
    const auto why = world_.broken(h);
    if (!why) return;
    const auto& host = s_.hosts[h];
    const HostLoad& load = world_.load(h);
    if (*why == Why::kMaintenance) {
      wrong(*why, host.name, "",
            fmt::format("{} serves no more and has {}", host.name, counted(load.vms, "VM")));
      return;
    }
    const Amounts& asked = *why == Why::kReservation ? load.reserved : load.now;
    wrong(*why, host.name, "",
          fmt::format("{}: {:.0f}% of its CPU and {:.0f}% of its memory are {}", host.name,
                      100 * asked.cpu / std::max(1.0, host.capacity.cpu),
                      100 * asked.memory / std::max(1.0, host.capacity.memory),
                      *why == Why::kReservation ? "reserved" : "asked for"));
  }

  // One violation a rule, with the first VM that breaks it and how.
  void look_at_rule(const SnapshotRule& rule) {
    std::map<Index, Index> first_on;  // host to the first of its VMs
    for (const Index vm : rule.vms) {
      const Index host = world_.host_of(vm);
      if (host == kNone) continue;
      const std::string& name = s_.vms[vm].name;
      const std::string& at = s_.hosts[host].name;
      std::string text;
      const bool listed = std::ranges::find(rule.hosts, host) != rule.hosts.end();
      if (rule.kind == RuleKind::kApart && first_on.contains(host))
        text = fmt::format("{} and {} share {}", s_.vms[first_on[host]].name, name, at);
      if (rule.kind == RuleKind::kTogether && !first_on.empty() && !first_on.contains(host))
        text = fmt::format("{} is on {}, {} on {}", s_.vms[first_on.begin()->second].name,
                           s_.hosts[first_on.begin()->first].name, name, at);
      if ((rule.kind == RuleKind::kHostsOnly && !listed) ||
          (rule.kind == RuleKind::kHostsNever && listed))
        text = fmt::format("{} is on {}", name, at);
      first_on.emplace(host, vm);
      if (text.empty()) continue;
      wrong(Why::kRule, at, name,
            fmt::format("rule {} ({}, {}): {}", rule.name, name_of(rule.kind),
                        rule.must ? "must" : "should", text),
            rule.must);
      return;
    }
  }

  void look_at_pools() {
    const Reserved sum = reserved(s_);
    for (const Resource r : model::kResources) {
      ResourceCheck& into = r == Resource::kCpu ? result_.cpu_mhz : result_.memory_mib;
      into.reserved = sum.cluster[r];
      if (sum.cluster[r] > sum.capacity[r] + kDust)
        wrong(Why::kReservation, "", "",
              fmt::format("the cluster promises {:.0f} of {} and has {:.0f}", sum.cluster[r],
                          name_of(r), sum.capacity[r]));
      for (std::size_t p = 0; p < s_.pools.size(); ++p) {
        const model::Allocation& has = s_.pools[p].allocation(r);
        const double most = has.expandable ? has.limit : std::min(has.limit, has.reservation);
        if (sum.pools[p][r] <= most + kDust) continue;
        wrong(Why::kPoolReservation, "", "",
              fmt::format("pool {} promises {:.0f} of {} and may promise {:.0f}", s_.pools[p].name,
                          sum.pools[p][r], name_of(r), most));
      }
    }
  }

  void look_at_demand() {
    const Amounts capacity = capacity_for_vms(s_);
    const Entitlement entitled = entitle(s_, capacity);
    for (const Resource r : model::kResources) {
      ResourceCheck& into = r == Resource::kCpu ? result_.cpu_mhz : result_.memory_mib;
      into.capacity = capacity[r];
      into.wanted = entitled.wanted[r];
      into.granted = entitled.given[r];
      for (Index v = 0; v < s_.vms.size(); ++v) {
        if (world_.host_of(v) == kNone) continue;
        const double most = std::min(s_.vms[v].allocation(r).limit, s_.vms[v].size[r]) +
                            (r == Resource::kMemory ? s_.vms[v].overhead : 0);
        const double wanted = std::min(demand_of(s_.vms[v], r, {}), most);
        if (entitled.vms[v][r] < wanted - kDust) ++into.vms_short;
      }
    }
  }

  void look_at_failover(std::int32_t failures) {
    FailoverCheck& f = result_.failover;
    f.failures = failures;
    const SlotCheck slots = check_slots(world_, failures);
    f.slots_enough = slots.enough();
    f.slot_cpu_mhz = slots.slot.cpu;
    f.slot_memory_mib = slots.slot.memory;
    f.slots_kept = slots.slots_kept;
    f.slots_used = slots.used;
    const PercentCheck percent = check_percent(world_, failures);
    f.percent_enough = percent.enough();
    f.free_cpu = percent.free.cpu;
    f.free_memory = percent.free.memory;
    f.needed = percent.needed.cpu;
    const Survival survival = check_failures(world_, failures);
    f.survives = survival.survives();
    f.cases = survival.cases;
    f.exhaustive = survival.exhaustive && !survival.work_limit;
    f.moved = survival.moved;
    for (const FailureCase& one : survival.uncovered) {
      UncoveredFailure& to = f.uncovered.emplace_back();
      for (const Index h : one.hosts) to.hosts.push_back(s_.hosts[h].name);
      for (const Unplaced& vm : one.unplaced) to.vms.push_back(s_.vms[vm.vm].name);
      to.text = fmt::format("{} would find no host: {}", to.vms.front(),
                            one.unplaced.front().refusals.text());
    }
  }

  const Snapshot& s_;
  WhatIf world_;
  ClusterCheck result_;
  bool hard_ = false;
};

}  // namespace

ClusterCheck check_cluster(const Snapshot& snapshot, std::int32_t failures) {
  return Looker(snapshot).run(failures);
}

}  // namespace chorok::policy
