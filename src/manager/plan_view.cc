#include "manager/plan_view.h"

#include <fmt/format.h>

#include <ranges>

namespace chorok::manager {

namespace {

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

std::string sentence_of(const model::Snapshot& snapshot, const Action& action) {
  const auto host = [&](model::Index index) {
    return index == model::kNone ? std::string("nowhere") : snapshot.hosts[index].name;
  };
  const std::string why = fmt::format("{}: {}", name_of(action.why), action.reason);
  switch (action.kind) {
    case ActionKind::kMigrate:
      return fmt::format("migrate {} from {} to {}: {}", snapshot.vms[action.vm].name,
                         host(action.from), host(action.to), why);
    case ActionKind::kStart:
      return fmt::format("start {} on {}: {}", snapshot.vms[action.vm].name, host(action.to), why);
    case ActionKind::kPowerOn:
      return fmt::format("switch {} on: {}", host(action.to), why);
    case ActionKind::kPowerOff:
      return fmt::format("switch {} off: {}", host(action.to), why);
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
  out.plan = policy::named(*newest.plan, *newest.snapshot);
  for (const control::PlanRun::State state : driver.loop().states())
    out.states.push_back(state_of(state));
  return out;
}

Result<LiveWhy> live_why(const std::deque<PlanRecord>& plans, const std::string& cluster,
                         const std::string& name) {
  if (plans.empty())
    return fail(Code::kUnavailable, "no round has been taken since the manager began; ask again");
  const PlanRecord& newest = plans.back();
  LiveWhy out{.cluster = cluster, .round = newest.number, .at = newest.at};
  Result<policy::Explanation> now = policy::explain(*newest.snapshot, *newest.plan, name);
  if (!now)
    return fail(Code::kUnavailable, fmt::format("round {} did not know {}; ask again in a minute",
                                                newest.number, name));
  out.now = std::move(*now);
  for (const PlanRecord& record : plans | std::views::reverse)
    for (const Action& action : record.plan->actions)
      if (touches(*record.snapshot, action, name))
        out.decisions.push_back({.round = record.number,
                                 .at = record.at,
                                 .text = sentence_of(*record.snapshot, action)});
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
          .field("text", &Decision::text, "", {.max_length = 4096});
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
