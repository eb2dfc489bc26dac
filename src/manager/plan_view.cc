#include "manager/plan_view.h"

#include <fmt/format.h>

#include <map>
#include <ranges>
#include <string_view>
#include <utility>

#include "base/json.h"

namespace chorok::manager {

namespace {

constexpr std::string_view kRecommended = "recommended: ";

using policy::Action;
using policy::ActionKind;

ActionState state_of(control::PlanRun::State state) {
  using enum control::PlanRun::State;
  switch (state) {
    case kHeld:
      return ActionState::kHeld;
    case kWaiting:
      return ActionState::kWaiting;
    case kRunning:
      return ActionState::kRunning;
    case kDone:
      return ActionState::kDone;
    case kFailed:
      break;
  }
  return ActionState::kFailed;
}

bool touches(const model::Snapshot& snapshot, const Action& action, const std::string& name) {
  const auto is_host = [&](model::Index host) {
    return host != model::kNone && snapshot.hosts[host].name == name;
  };
  if (action.vm != model::kNone && snapshot.vms[action.vm].name == name) return true;
  return is_host(action.from) || is_host(action.to);
}

// The indices of a plan's names in the snapshot that it was made from.
policy::Plan indexed(const policy::NamedPlan& named, const model::Snapshot& snapshot) {
  std::map<std::string_view, model::Index> vms;
  std::map<std::string_view, model::Index> hosts;
  for (model::Index v = 0; v < snapshot.vms.size(); ++v) vms[snapshot.vms[v].name] = v;
  for (model::Index h = 0; h < snapshot.hosts.size(); ++h) hosts[snapshot.hosts[h].name] = h;
  const auto index = [](const auto& of, const std::string& name) {
    const auto found = of.find(name);
    return found == of.end() ? model::kNone : found->second;
  };
  policy::Plan out{.nothing = named.nothing,
                   .stats = {.candidates = named.candidates,
                             .hosts_on_before = named.hosts_on_before,
                             .hosts_on_after = named.hosts_on_after}};
  for (const policy::NamedAction& each : named.actions) {
    Action action{.kind = each.kind,
                  .vm = index(vms, each.vm),
                  .from = index(hosts, each.from),
                  .to = index(hosts, each.to),
                  .priority = each.priority,
                  .why = each.why,
                  .reason = each.reason,
                  .gain = each.gain_j,
                  .cost = each.cost_j,
                  .after = each.after,
                  .delay = each.delay,
                  .recommended = each.recommended};
    for (const policy::NamedAlternative& other : each.alternatives)
      action.alternatives.push_back({index(hosts, other.host), other.why, other.value});
    out.actions.push_back(std::move(action));
  }
  for (const policy::NamedViolation& each : named.violations)
    out.violations.push_back({each.why, index(vms, each.vm), index(hosts, each.host), each.text});
  for (const policy::NamedTurnedDown& each : named.turned_down)
    out.turned_down.push_back({each.why, each.count});
  return out;
}

std::string sentence_of(const model::Snapshot& snapshot, const Action& action) {
  const auto host = [&](model::Index index) {
    return index == model::kNone ? std::string("nowhere") : snapshot.hosts[index].name;
  };
  const std::string why = fmt::format("{}: {}", name_of(action.why), action.reason);
  const std::string_view by = control::is_for_person(action, snapshot) ? kRecommended : "";
  switch (action.kind) {
    case ActionKind::kMigrate:
      return fmt::format("{}migrate {} from {} to {}: {}", by, snapshot.vms[action.vm].name,
                         host(action.from), host(action.to), why);
    case ActionKind::kStart:
      return fmt::format("{}start {} on {}: {}", by, snapshot.vms[action.vm].name, host(action.to),
                         why);
    case ActionKind::kPowerOn:
      return fmt::format("{}switch {} on: {}", by, host(action.to), why);
    case ActionKind::kPowerOff:
      return fmt::format("{}switch {} off: {}", by, host(action.to), why);
  }
  return why;
}

}  // namespace

LivePlan live_plan(const ClusterDriver& driver, const std::string& cluster) {
  LivePlan out{.cluster = cluster};
  if (driver.plans().empty()) return out;
  const PlanRecord& newest = driver.plans().back();
  out.round = newest.number;
  out.at = newest.at;
  out.took = newest.took;
  out.plan = policy::named(*newest.plan, *newest.snapshot);
  for (const control::PlanRun::State state : driver.loop().states())
    out.states.push_back(state_of(state));
  return out;
}

Result<LiveWhy> why_by(const PlanRecord& record, const std::string& cluster,
                       const std::string& name) {
  LiveWhy out{.cluster = cluster, .round = record.number, .at = record.at};
  if (record.snapshot == nullptr) {
    out.now.name = name;
    out.now.facts = {"what was seen then is not kept any more, only what was decided"};
    return out;
  }
  Result<policy::Explanation> now = policy::explain(*record.snapshot, *record.plan, name);
  if (!now)
    return fail(Code::kUnavailable, fmt::format("round {} did not know {}; ask again in a minute",
                                                record.number, name));
  out.now = std::move(*now);
  return out;
}

std::vector<Decision> decisions_about(const std::deque<PlanRecord>& plans, const std::string& name,
                                      std::size_t limit) {
  std::vector<Decision> out;
  for (const PlanRecord& record : plans | std::views::reverse)
    for (const Action& action : record.plan->actions) {
      if (out.size() >= limit) return out;
      if (touches(*record.snapshot, action, name))
        out.push_back({.round = record.number,
                       .at = record.at,
                       .text = sentence_of(*record.snapshot, action)});
    }
  return out;
}

// The same action; its reason has numbers that differ from round to round.
std::vector<Decision> folded(std::vector<Decision> decisions, std::size_t limit) {
  const auto what = [](std::string_view text) {
    const std::size_t after = text.starts_with(kRecommended) ? kRecommended.size() : 0;
    return text.substr(0, text.find(": ", after));
  };
  std::vector<Decision> out;
  std::vector<std::size_t> last;  // by entry of `out`: which round said it last
  std::size_t round = 0;
  Time at{};
  for (Decision& each : decisions) {
    if (std::exchange(at, each.at) != each.at) ++round;
    std::size_t i = 0;
    while (i < out.size() && !(last[i] + 1 == round && what(out[i].text) == what(each.text))) ++i;
    if (i < out.size()) {
      ++out[i].rounds;
      out[i].since = each.at;
      last[i] = round;
    } else if (out.size() < limit) {
      each.since = each.at;
      out.push_back(std::move(each));
      last.push_back(round);
    }
  }
  return out;
}

ports::LoggedRound logged(const std::string& cluster, const PlanRecord& record) {
  const model::Snapshot& snapshot = *record.snapshot;
  ports::LoggedRound out{.cluster = cluster,
                         .at = record.at,
                         .number = record.number,
                         .snapshot = record.snapshot,
                         .plan = json::encode(policy::named(*record.plan, snapshot))};
  for (const Action& action : record.plan->actions) {
    const std::string text = sentence_of(snapshot, action);
    if (action.vm != model::kNone) out.decisions.push_back({snapshot.vms[action.vm].name, text});
    for (const model::Index host : {action.from, action.to})
      if (host != model::kNone && (host == action.to || action.from != action.to))
        out.decisions.push_back({snapshot.hosts[host].name, text});
  }
  return out;
}

Result<PlanRecord> recorded(const ports::LoggedRound& round) {
  PlanRecord out{.at = round.at, .number = round.number, .snapshot = round.snapshot};
  auto plan = std::make_shared<policy::Plan>();
  if (round.snapshot != nullptr) {
    const auto named = TRY(json::decode<policy::NamedPlan>(round.plan, {.stored = true}));
    *plan = indexed(named, *round.snapshot);
  }
  out.plan = std::move(plan);
  return out;
}

const Type& enum_type(const ActionState*) {
  constexpr auto kNumber = [](ActionState state) { return static_cast<std::int64_t>(state); };
  static const Type kType = describe_enum<ActionState>(
      "ActionState", "What became of an action.",
      {{kNumber(ActionState::kHeld), "held", "a person decides"},
       {kNumber(ActionState::kWaiting), "waiting", "for others, or for room"},
       {kNumber(ActionState::kRunning), "running", ""},
       {kNumber(ActionState::kDone), "done", ""},
       {kNumber(ActionState::kFailed), "failed", "it ended without effect"}});
  return kType;
}

const Type& LivePlan::type() {
  static const Type kType =
      describe<LivePlan>("LivePlan", "The newest plan of a cluster, and how far it is.")
          .field("cluster", &LivePlan::cluster, "")
          .field("round", &LivePlan::round, "Counted since the manager began; 0: none yet.")
          .field("at", &LivePlan::at, "When it was made.")
          .field("took", &LivePlan::took, "How long that took: looking, planning, ordering.")
          .field("plan", &LivePlan::plan, "")
          .field("states", &LivePlan::states, "What became of each action.",
                 {.max_count = 1000000});
  return kType;
}
const Type& Decision::type() {
  static const Type kType =
      describe<Decision>("Decision", "Something that was decided about a VM or host.")
          .field("round", &Decision::round, "")
          .field("at", &Decision::at, "")
          .field("text", &Decision::text, "", {.max_length = 4096})
          .field("rounds", &Decision::rounds,
                 "How many in a row say the same; `round` is the last.")
          .field("since", &Decision::since, "When the first of them was taken.");
  return kType;
}
const Type& LiveWhy::type() {
  static const Type kType =
      describe<LiveWhy>("LiveWhy", "Why a VM or host is treated as it is.")
          .field("cluster", &LiveWhy::cluster, "")
          .field("round", &LiveWhy::round, "The round that `now` is by.")
          .field("at", &LiveWhy::at, "When that was.")
          .field("now", &LiveWhy::now, "How it stands, what speaks for and against.")
          .field("decisions", &LiveWhy::decisions,
                 "What the kept rounds have decided about it, newest first.",
                 {.max_count = 1000000});
  return kType;
}

}  // namespace chorok::manager
