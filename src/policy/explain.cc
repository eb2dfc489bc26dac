#include "policy/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "policy/entitle.h"
#include "policy/whatif.h"

namespace chorok::policy {

using model::SnapshotHost;
using model::SnapshotRule;
using model::SnapshotVm;

const Type& HostVerdict::type() {
  static const Type kType =
      describe<HostVerdict>("HostVerdict", "Hosts that give the same answer for a VM.")
          .field("would_do", &HostVerdict::would_do, "")
          .field("sentence", &HostVerdict::sentence, "What speaks against them.")
          .field("hosts", &HostVerdict::hosts, "", {.max_count = 1000000});
  return kType;
}
const Type& Explanation::type() {
  static const Type kType =
      describe<Explanation>("Explanation", "Why a VM or host is treated as it is.")
          .field("kind", &Explanation::kind, "vm or host.")
          .field("name", &Explanation::name, "")
          .field("facts", &Explanation::facts, "How it stands.", {.max_length = 4096})
          .field("actions", &Explanation::actions, "What the plan does with it.",
                 {.max_count = 1000000})
          .field("verdicts", &Explanation::verdicts, "What speaks for and against every host.",
                 {.max_count = 1000000});
  return kType;
}

namespace {

class Explainer {
 public:
  Explainer(const Snapshot& snapshot, const Plan& plan)
      : s_(snapshot), plan_(plan), world_(snapshot) {}

  Explanation vm(Index v) {
    const SnapshotVm& vm = s_.vms[v];
    out_ = {.kind = "vm", .name = vm.name};
    const Entitlement entitled = entitle(s_);
    fact(vm.host == kNone ? fmt::format("is {}", name_of(vm.run))
                          : fmt::format("runs on {}", s_.hosts[vm.host].name));
    fact(fmt::format("asks for {:.0f} MHz of CPU and is entitled to {:.0f} of its {:.0f}",
                     vm.cpu_demand.now, entitled.vms[v].cpu, vm.size.cpu));
    fact(fmt::format("works with {:.0f} MiB of memory and is entitled to {:.0f} of its {:.0f}",
                     vm.memory_demand.now + vm.overhead, entitled.vms[v].memory,
                     vm.size.memory + vm.overhead));
    if (vm.cpu.reservation > 0 || vm.memory.reservation > 0)
      fact(fmt::format("has {:.0f} MHz and {:.0f} MiB reserved", vm.cpu.reservation,
                       vm.memory.reservation));
    if (!vm.pinned.empty()) fact("may not be moved: " + vm.pinned);
    if (vm.automation != model::Automation::kFull)
      fact(fmt::format("has automation {}", name_of(vm.automation)));
    if (vm.last_moved != Time{})
      fact(fmt::format("was moved {:.0f} s ago", seconds(s_.now - vm.last_moved)));
    for (const SnapshotRule& rule : s_.rules)
      if (std::ranges::find(rule.vms, v) != rule.vms.end())
        fact(fmt::format("is named by rule {} ({}, {})", rule.name, name_of(rule.kind),
                         rule.must ? "must" : "should"));
    if (world_.breaks_a_rule(v)) fact("breaks a rule where it is");
    if (const Index at = world_.host_of(v); at != kNone && world_.straddles(v, at) > 0)
      fact(fmt::format("is divided over {}: none has room for all of it",
                       nodes(world_.straddles(v, at))));
    touched([&](const Action& a) { return a.vm == v; },
            [&](const Violation& x) { return x.vm == v; });
    verdicts(v);
    return std::move(out_);
  }

  Explanation host(Index h) {
    const SnapshotHost& host = s_.hosts[h];
    const HostLoad& load = world_.load(h);
    out_ = {.kind = "host", .name = host.name};
    fact(
        fmt::format("is {}, {}, {}", name_of(host.power), name_of(host.link), name_of(host.admin)));
    fact(fmt::format("runs {}", counted(load.vms, "VM")));
    fact(use("CPU", "MHz", Resource::kCpu, load, host));
    fact(use("memory", "MiB", Resource::kMemory, load, host));
    if (world_.usable(h)) fact(fmt::format("draws about {:.0f} W", world_.watts(h, load)));
    if (!host.keep_on.empty()) fact("may not be switched off: " + host.keep_on);
    if (!host.keep_off.empty()) fact("may not be switched on: " + host.keep_off);
    if (host.recent_failures > 0)
      fact(fmt::format("failed {} not long ago", counted(host.recent_failures, "time")));
    if (const auto why = world_.broken(h)) fact(fmt::format("is wrong: {}", sentence(*why)));
    touched([&](const Action& a) { return a.from == h || a.to == h; },
            [&](const Violation& x) { return x.host == h; });
    return std::move(out_);
  }

 private:
  void fact(std::string text) { out_.facts.push_back(std::move(text)); }

  static std::string use(std::string_view what, std::string_view unit, Resource r,
                         const HostLoad& load, const SnapshotHost& host) {
    const double capacity = std::max(1.0, host.capacity[r]);
    return fmt::format("{}: {:.0f}% of {:.0f} {} asked for, {:.0f}% reserved, {:.0f}% given out",
                       what, 100 * load.now[r] / capacity, host.capacity[r], unit,
                       100 * load.reserved[r] / capacity, 100 * load.size[r] / capacity);
  }

  template <class OfAction, class OfViolation>
  void touched(OfAction&& of_action, OfViolation&& of_violation) {
    Plan part;
    for (const Action& a : plan_.actions)
      if (of_action(a)) part.actions.push_back(a);
    out_.actions = named(part, s_).actions;
    for (const Violation& v : plan_.violations)
      if (of_violation(v)) fact("the plan cannot mend: " + v.text);
    if (out_.actions.empty())
      fact(plan_.nothing.empty() ? "the plan leaves it as it is"
                                 : "the plan does nothing: " + plan_.nothing);
  }

  static std::string nodes(int straddles) { return counted(straddles + 1, "NUMA node"); }

  void verdicts(Index v) {
    const Index now = world_.host_of(v);
    std::map<std::string, std::vector<std::string>> against;
    std::map<int, std::vector<std::string>> would_do;  // by NUMA nodes beyond one
    world_.move(v, kNone);
    for (Index h = 0; h < s_.hosts.size(); ++h) {
      if (h == now) continue;
      if (!world_.usable(h)) {
        const std::string& keep = s_.hosts[h].keep_off;
        against[world_.could_run(h) ? "it would have to be switched on first"
                : keep.empty()      ? std::string(sentence(Why::kHostNotReady))
                                    : "it may not be switched on: " + keep]
            .push_back(s_.hosts[h].name);
      } else if (const auto why = world_.forbids(v, h)) {
        against[std::string(sentence(*why))].push_back(s_.hosts[h].name);
      } else {
        would_do[world_.straddles(v, h)].push_back(s_.hosts[h].name);
      }
    }
    world_.move(v, now);
    for (auto& [more, hosts] : would_do)
      out_.verdicts.push_back({true,
                               more == 0 ? "could take it" : "could take it, over " + nodes(more),
                               std::move(hosts)});
    for (auto& [why, hosts] : against) out_.verdicts.push_back({false, why, std::move(hosts)});
  }

  const Snapshot& s_;
  const Plan& plan_;
  WhatIf world_;
  Explanation out_;
};

}  // namespace

Result<Explanation> explain(const Snapshot& snapshot, const Plan& plan, std::string_view name) {
  std::vector<std::string_view> known;
  for (Index v = 0; v < snapshot.vms.size(); ++v) {
    if (snapshot.vms[v].name == name) return Explainer(snapshot, plan).vm(v);
    known.push_back(snapshot.vms[v].name);
  }
  for (Index h = 0; h < snapshot.hosts.size(); ++h) {
    if (snapshot.hosts[h].name == name) return Explainer(snapshot, plan).host(h);
    known.push_back(snapshot.hosts[h].name);
  }
  const std::string_view close = nearest(name, known);
  return fail(Code::kNotFound,
              fmt::format("there is no VM or host '{}'{}", name.substr(0, 64),
                          close.empty() ? "" : fmt::format("; did you mean '{}'?", close)));
}

}  // namespace chorok::policy
