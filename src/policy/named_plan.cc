#include "policy/named_plan.h"

#include <algorithm>

namespace chorok::policy {
namespace {

constexpr Limits kMany = {.max_length = 4096, .max_count = 1'000'000};

template <class T>
std::string name_at(const std::vector<T>& things, Index index) {
  return index == kNone ? std::string() : things.at(index).name;
}

}  // namespace

const Type& NamedAlternative::type() {
  static const Type kType =
      describe<NamedAlternative>("Alternative", "A host that was weighed and turned down.")
          .field("host", &NamedAlternative::host, "")
          .field("why", &NamedAlternative::why, "What speaks against it.")
          .field("value", &NamedAlternative::value, "What it lacks: MHz, MiB, or score.");
  return kType;
}
const Type& NamedAction::type() {
  static const Type kType =
      describe<NamedAction>("Action", "One step of a plan.")
          .field("kind", &NamedAction::kind, "What to do.")
          .field("vm", &NamedAction::vm, "")
          .field("from", &NamedAction::from, "Host it leaves.")
          .field("to", &NamedAction::to, "Host it goes to, or that is switched.")
          .field("priority", &NamedAction::priority, "1 mandatory … 5 small gain.")
          .field("why", &NamedAction::why, "")
          .field("reason", &NamedAction::reason, "In words, with the numbers.", kMany)
          .field("gain_j", &NamedAction::gain_j, "Joules won over the plan's horizon.")
          .field("cost_j", &NamedAction::cost_j, "Joules it costs.")
          .field("after", &NamedAction::after, "Actions that must have ended before it.", kMany)
          .field("delay_s", &NamedAction::delay, "Seconds after those are ready.")
          .field("alternatives", &NamedAction::alternatives, "Best first, a few.", kMany)
          .field("recommended", &NamedAction::recommended,
                 "A person decides it, whatever the cluster does by itself: a VM is set to less.");
  return kType;
}
const Type& NamedViolation::type() {
  static const Type kType =
      describe<NamedViolation>("Violation", "What is wrong and no action of the plan mends.")
          .field("why", &NamedViolation::why, "")
          .field("vm", &NamedViolation::vm, "")
          .field("host", &NamedViolation::host, "")
          .field("text", &NamedViolation::text, "In words, with the numbers.", kMany);
  return kType;
}
const Type& NamedTurnedDown::type() {
  static const Type kType =
      describe<NamedTurnedDown>("TurnedDown", "How often something was turned down, by why.")
          .field("why", &NamedTurnedDown::why, "")
          .field("count", &NamedTurnedDown::count, "")
          .field("sentence", &NamedTurnedDown::sentence, "What that means.");
  return kType;
}
const Type& NamedPlan::type() {
  static const Type kType =
      describe<NamedPlan>("Plan", "What a policy proposes, and why.")
          .field("actions", &NamedPlan::actions, "In an order that can be carried out.", kMany)
          .field("violations", &NamedPlan::violations, "What stays wrong.", kMany)
          .field("turned_down", &NamedPlan::turned_down, "Counted by why.", kMany)
          .field("nothing", &NamedPlan::nothing, "Why there is nothing to do.", kMany)
          .field("candidates", &NamedPlan::candidates, "How many moves were weighed.")
          .field("hosts_on_before", &NamedPlan::hosts_on_before, "")
          .field("hosts_on_after", &NamedPlan::hosts_on_after, "");
  return kType;
}

std::string_view sentence(Why why) {
  const Type& type = type_of<Why>();
  auto it = std::ranges::find(type.values, static_cast<std::int64_t>(why), &EnumValue::value);
  return it == type.values.end() ? std::string_view() : it->doc;
}

NamedPlan named(const Plan& plan, const Snapshot& snapshot) {
  NamedPlan out;
  auto vm = [&](Index i) { return name_at(snapshot.vms, i); };
  auto host = [&](Index i) { return name_at(snapshot.hosts, i); };
  out.actions.reserve(plan.actions.size());
  for (const Action& a : plan.actions) {
    NamedAction& to = out.actions.emplace_back(NamedAction{.kind = a.kind,
                                                           .vm = vm(a.vm),
                                                           .from = host(a.from),
                                                           .to = host(a.to),
                                                           .priority = a.priority,
                                                           .why = a.why,
                                                           .reason = a.reason,
                                                           .gain_j = a.gain,
                                                           .cost_j = a.cost,
                                                           .after = a.after,
                                                           .delay = a.delay,
                                                           .recommended = a.recommended});
    for (const Alternative& other : a.alternatives)
      to.alternatives.push_back({host(other.host), other.why, other.value});
  }
  for (const Violation& v : plan.violations)
    out.violations.push_back({v.why, vm(v.vm), host(v.host), v.text});
  for (const TurnedDown& t : plan.turned_down)
    out.turned_down.push_back({t.why, t.count, std::string(sentence(t.why))});
  out.nothing = plan.nothing;
  out.candidates = plan.stats.candidates;
  out.hosts_on_before = plan.stats.hosts_on_before;
  out.hosts_on_after = plan.stats.hosts_on_after;
  return out;
}

}  // namespace chorok::policy
