#include "policy/recommend.h"

#include <algorithm>
#include <utility>

namespace chorok::policy {

using model::Automation;
using model::HostPower;
using model::SnapshotOperation;
using model::SnapshotVm;

bool asks_first(const SnapshotVm& vm) {
  return vm.run == model::VmRun::kOn && vm.automation != Automation::kFull &&
         vm.automation != Automation::kOff;
}

namespace {

// All of the plan begun at once: what it takes is taken, and what it frees is not free yet.
Snapshot under_way(const Snapshot& snapshot, const Plan& plan) {
  Snapshot out = snapshot;
  for (const Action& action : plan.actions) {
    using enum SnapshotOperation::Kind;
    switch (action.kind) {
      case ActionKind::kMigrate:
      case ActionKind::kStart:
        out.operations.push_back({.kind = action.kind == ActionKind::kStart ? kStart : kMigrate,
                                  .vm = action.vm,
                                  .from = action.from,
                                  .to = action.to,
                                  .since = snapshot.now});
        break;
      case ActionKind::kPowerOn:
        out.hosts[action.to].power = HostPower::kWaking;
        break;
      case ActionKind::kPowerOff:  // neither a target nor one to be woken
        out.hosts[action.to].power = HostPower::kUnknown;
        break;
    }
  }
  return out;
}

bool breaks_a_must(const WhatIf& what, Index vm) {
  return std::ranges::any_of(what.snapshot().rules, [&](const model::SnapshotRule& rule) {
    return rule.must && std::ranges::find(rule.vms, vm) != rule.vms.end() && what.breaks(rule, vm);
  });
}

// What is still wrong when people have done what is recommended. Of the VMs that ask first `more`
// has the word.
void keep_unmet(Plan& plan, Plan& more, const Round& round) {
  const std::vector<SnapshotVm>& vms = round.snapshot().vms;
  std::erase_if(plan.violations, [&](const Violation& v) {
    if (v.vm == kNone)
      return (v.why == Why::kOverload || v.why == Why::kReservation) && v.host != kNone &&
             !round.what.broken(v.host);
    if (asks_first(vms[v.vm])) return true;
    const bool moves =
        std::ranges::any_of(more.actions, [&](const Action& a) { return a.vm == v.vm; });
    return moves || (v.why == Why::kRule && !breaks_a_must(round.what, v.vm));
  });
  for (Violation& v : more.violations)
    if (v.vm != kNone && asks_first(vms[v.vm])) plan.violations.push_back(std::move(v));
}

}  // namespace

void recommend(Plan& plan, const Snapshot& snapshot, void (*steps)(Round&)) {
  if (snapshot.settings.balance.automation == Automation::kOff) return;
  if (std::ranges::none_of(snapshot.vms, asks_first)) return;
  const Snapshot then = under_way(snapshot, plan);
  Round round(then, Round::For::kPeople);
  steps(round);
  Plan more = round.finish({});
  keep_unmet(plan, more, round);
  plan.stats.candidates += more.stats.candidates;
  const auto offset = static_cast<std::uint32_t>(plan.actions.size());
  for (Action& action : more.actions) {
    action.recommended = true;
    for (std::uint32_t& before : action.after) before += offset;
    plan.actions.push_back(std::move(action));
  }
  if (!plan.actions.empty()) plan.nothing.clear();
}

}  // namespace chorok::policy
