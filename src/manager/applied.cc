#include "manager/applied.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace chorok::manager {

namespace {

using control::HostPhase;
using model::Index;
using model::kNone;
using policy::Action;
using policy::ActionKind;
using State = RecommendationState;
using PlanState = control::PlanRun::State;

constexpr Duration kFor = std::chrono::hours(1);
// So long a person may see what has become of it.
constexpr Duration kShown = std::chrono::minutes(10);
constexpr std::size_t kNamesMax = 5;

bool is_of_vm(ActionKind kind) {
  return kind == ActionKind::kMigrate || kind == ActionKind::kStart;
}

std::string few(const std::vector<std::string>& names) {
  if (names.size() <= kNamesMax) return fmt::format("{}", fmt::join(names, ", "));
  const std::vector<std::string> first(names.begin(), names.begin() + kNamesMax);
  return fmt::format("{} and {} more", fmt::join(first, ", "), names.size() - kNamesMax);
}

}  // namespace

void Applied::add(Recommendation item, std::int64_t round, const std::string& user) {
  std::erase_if(all_, [&](const AppliedAction& old) { return old.item.id == item.id; });
  const bool of_vm = is_of_vm(item.kind);
  for (AppliedAction& old : all_) {
    if (!old.is_live() || old.item.state != State::kWaiting || is_of_vm(old.item.kind) != of_vm)
      continue;
    if (of_vm ? old.item.vm == item.vm : old.item.to == item.to)
      end(old, State::kDropped, fmt::format("{} has been applied since", item.id));
  }
  item.state = State::kWaiting;
  item.applied_by = user;
  all_.push_back({.item = std::move(item), .round = round, .until = parts_.engine.now() + kFor});
}

const AppliedAction* Applied::same(const Recommendation& item) const {
  const auto it = std::ranges::find_if(
      all_, [&](const AppliedAction& a) { return a.is_live() && is_same(a.item, item); });
  return it == all_.end() ? nullptr : &*it;
}

const AppliedAction* Applied::find(const std::string& id) const {
  const auto it =
      std::ranges::find_if(all_, [&](const AppliedAction& a) { return a.item.id == id; });
  return it == all_.end() ? nullptr : &*it;
}

std::string Applied::user_of(const std::string& vm, const std::string& host) const {
  for (const AppliedAction& each : all_)
    if (each.is_live() && each.item.vm == vm && each.item.to == host) return each.item.applied_by;
  return {};
}

Index Applied::vm_of(const std::string& name) const {
  for (Index v = 0; v < parts_.fleet.vms(); ++v)
    if (parts_.fleet.name_of_vm(v) == name) return v;
  return kNone;
}

Index Applied::host_of(const std::string& name) const {
  for (Index h = 0; h < parts_.fleet.hosts(); ++h)
    if (parts_.fleet.name_of_host(h) == name) return h;
  return kNone;
}

const model::HostWatch* Applied::watch_of(const std::string& host) const {
  const Index h = host_of(host);
  return h < parts_.loop.watches().size() ? &parts_.loop.watches()[h] : nullptr;
}

void Applied::end(AppliedAction& action, State state, const std::string& why) {
  action.item.state = state;
  action.item.waits_for = why;
  action.ended = parts_.engine.now();
  if (state == State::kDone) return;
  const bool is_dropped = state == State::kDropped;
  parts_.tell(is_dropped ? "cluster.recommendation_dropped" : "cluster.recommendation_failed",
              fmt::format("{} ({}), applied by {}, {}: {}", action.item.id, title_of(action.item),
                          action.item.applied_by, is_dropped ? "is given up" : "has failed", why),
              action.item.applied_by);
}

// ---- Whether it can still be done

bool Applied::is_done(const Recommendation& item) const {
  if (is_of_vm(item.kind)) {
    const Index vm = vm_of(item.vm);
    if (vm == kNone || parts_.fleet.busy(vm)) return false;
    const Index now_on = parts_.fleet.host_of(vm);
    return now_on != kNone && parts_.fleet.name_of_host(now_on) == item.to;
  }
  const model::HostWatch* watch = watch_of(item.to);
  const bool on = item.kind == ActionKind::kPowerOn;
  return watch != nullptr && watch->phase == (on ? HostPhase::kUp : HostPhase::kDown);
}

std::string Applied::against_vm(const Recommendation& item) const {
  const Index vm = vm_of(item.vm);
  if (vm == kNone) return fmt::format("VM {} is gone", item.vm);
  if (parts_.fleet.busy(vm)) return {};
  const Index now_on = parts_.fleet.host_of(vm);
  if (item.kind == ActionKind::kStart && now_on != kNone)
    return fmt::format("VM {} runs by now", item.vm);
  if (item.kind == ActionKind::kMigrate) {
    if (now_on == kNone) return fmt::format("VM {} is off by now", item.vm);
    const std::string name = parts_.fleet.name_of_host(now_on);
    if (name != item.from)
      return fmt::format("VM {} is on {} by now, not on {}", item.vm, name, item.from);
  }
  return against_target(item);
}

std::string Applied::against_target(const Recommendation& item) const {
  const model::HostWatch* watch = watch_of(item.to);
  const auto host = parts_.engine.inventory().hosts().resolve(item.to);
  if (watch == nullptr || host == nullptr) return fmt::format("host {} is gone", item.to);
  if (host->admin != model::HostAdmin::kEnabled)
    return fmt::format("host {} takes no VMs by now: it is in maintenance", item.to);
  if (watch->phase == HostPhase::kUp || watch->phase == HostPhase::kWaking) return {};
  const bool is_woken = std::ranges::any_of(all_, [&](const AppliedAction& each) {
    return each.is_live() && each.item.kind == ActionKind::kPowerOn && each.item.to == item.to;
  });
  return is_woken ? std::string() : fmt::format("host {} does not answer by now", item.to);
}

std::string Applied::against_power(const Recommendation& item) const {
  const model::HostWatch* watch = watch_of(item.to);
  if (watch == nullptr) return fmt::format("host {} is gone", item.to);
  const bool on = item.kind == ActionKind::kPowerOn;
  if (watch->phase == (on ? HostPhase::kWaking : HostPhase::kStopping)) return {};
  if (watch->phase != (on ? HostPhase::kDown : HostPhase::kUp))
    return fmt::format("host {} is {} by now", item.to, name_of(watch->phase));
  if (parts_.engine.now() < watch->rest_until)
    return fmt::format("host {} is left alone: it {}", item.to, watch->rest_why);
  if (watch->off_by == model::HostOffBy::kPerson)
    return fmt::format("{} has switched host {} off by hand", watch->off_user, item.to);
  return {};
}

std::string Applied::against_off(const AppliedAction& action) const {
  const Index host = host_of(action.item.to);
  const auto record = parts_.engine.inventory().hosts().resolve(action.item.to);
  if (host == kNone || record == nullptr) return fmt::format("host {} is gone", action.item.to);
  // What was looked at may be as old as the newest round.
  if (record->dpm == model::HostDpm::kExcluded)
    return fmt::format("it is excluded from DPM: {}", record->dpm_reason);
  if (const std::string& keep = parts_.fleet.seen().hosts[host].keep_on; !keep.empty()) return keep;
  if (const std::vector<std::string> staying = vms_on(host, false); !staying.empty())
    return fmt::format("{} {} there by now, and nothing that was applied moves {} away",
                       few(staying), staying.size() == 1 ? "runs" : "run",
                       staying.size() == 1 ? "it" : "them");
  const PlanRecord* newest = parts_.plans.empty() ? nullptr : &parts_.plans.back();
  if (newest == nullptr || newest->number <= action.round) return {};
  for (const Action& other : newest->plan->actions)
    if (other.kind == ActionKind::kPowerOn)
      return fmt::format("round {} needs more hosts on: {}", newest->number, other.reason);
  return {};
}

std::string Applied::against(const AppliedAction& action) const {
  const Recommendation& item = action.item;
  for (const std::string& id : item.after) {
    const AppliedAction* before = find(id);
    if (before == nullptr || before->is_live() || before->item.state == State::kDone) continue;
    return fmt::format("{}, which it waits for, came to nothing", id);
  }
  if (is_of_vm(item.kind)) return against_vm(item);
  if (std::string why = against_power(item); !why.empty() || item.kind == ActionKind::kPowerOn)
    return why;
  return against_off(action);
}

void Applied::judge(AppliedAction& action) {
  const Recommendation& item = action.item;
  if (is_done(item)) return end(action, State::kDone, {});
  if (parts_.engine.now() >= action.until)
    return end(action, State::kDropped,
               item.waits_for.empty() ? "it is an hour old"
                                      : "it has waited for an hour " + item.waits_for);
  if (const std::string why = against(action); !why.empty()) end(action, State::kDropped, why);
}

// ---- What it waits for

bool Applied::is_moving(Index vm) const {
  const std::string name = parts_.fleet.name_of_vm(vm);
  return parts_.fleet.busy(vm) || std::ranges::any_of(all_, [&](const AppliedAction& each) {
           return each.is_live() && each.item.kind == ActionKind::kMigrate && each.item.vm == name;
         });
}

std::vector<std::string> Applied::vms_on(Index host, bool moving) const {
  std::vector<std::string> out;
  for (Index v = 0; v < parts_.fleet.vms(); ++v)
    if (parts_.fleet.host_of(v) == host && (moving || !is_moving(v)))
      out.push_back(parts_.fleet.name_of_vm(v));
  return out;
}

std::string Applied::waits_for_room(const Recommendation& item) const {
  const LiveFleet& fleet = parts_.fleet;
  const Index vm = vm_of(item.vm), to = host_of(item.to), from = host_of(item.from);
  if (vm == kNone || to == kNone) return {};
  if (fleet.busy(vm)) return fmt::format("for the task at work on VM {}", item.vm);
  if (parts_.loop.watches()[to].phase != HostPhase::kUp)
    return fmt::format("for host {} to answer", item.to);
  const double needed = fleet.needed_memory(vm), has = fleet.free_memory(to);
  if (needed > has)
    return fmt::format("for memory on {}: it takes {:.0f} MiB, and {:.0f} MiB are free", item.to,
                       needed, std::max(0.0, has));
  for (const Index host : {from, to}) {
    if (host == kNone) continue;
    const std::int32_t most = parts_.fleet.seen().hosts[host].migrations_parallel;
    if (fleet.migrations(host) >= most)
      return fmt::format("for other migrations of {}: it takes {} at a time",
                         fleet.name_of_host(host), most);
  }
  return "for its turn";
}

std::string Applied::waits_for(const Recommendation& item) const {
  std::vector<std::string> before;
  for (const std::string& id : item.after)
    if (const AppliedAction* each = find(id); each != nullptr && each->is_live())
      before.push_back(id);
  if (!before.empty()) return fmt::format("for {}", few(before));
  if (is_of_vm(item.kind)) return waits_for_room(item);
  if (item.kind == ActionKind::kPowerOn) return fmt::format("for host {} to answer", item.to);
  const Index host = host_of(item.to);
  if (const auto vms = host == kNone ? std::vector<std::string>() : vms_on(host, true);
      !vms.empty())
    return fmt::format("for {} to leave {}", few(vms), item.to);
  return fmt::format("for host {} to be empty", item.to);
}

// ---- Turns

void Applied::before_turn() {
  in_hand_.clear();
  if (all_.empty()) return;
  for (AppliedAction& each : all_)
    if (each.is_live() && each.item.state == State::kWaiting) judge(each);
  std::erase_if(all_, [&](const AppliedAction& each) {
    return !each.is_live() && parts_.engine.now() - each.ended > kShown;
  });
  policy::Plan plan;
  std::vector<std::uint32_t> begun;
  std::map<std::string, std::uint32_t> at;  // by id
  for (std::size_t i = 0; i < all_.size(); ++i) {
    AppliedAction& each = all_[i];
    if (!each.is_live()) continue;
    const Recommendation& item = each.item;
    Action action{.kind = item.kind,
                  .vm = is_of_vm(item.kind) ? vm_of(item.vm) : kNone,
                  .from = host_of(item.from),
                  .to = host_of(item.to),
                  .priority = item.priority,
                  .why = item.why,
                  .reason = item.reason};
    if (action.to == kNone || (is_of_vm(item.kind) && action.vm == kNone)) {
      end(each, State::kFailed, "its VM or host is gone");
      continue;
    }
    for (const std::string& id : item.after)
      if (const auto before = at.find(id); before != at.end())
        action.after.push_back(before->second);
    const auto index = static_cast<std::uint32_t>(plan.actions.size());
    at[item.id] = index;
    if (item.state == State::kRunning) begun.push_back(index);
    plan.actions.push_back(std::move(action));
    in_hand_.push_back(i);
  }
  const Result<void> taken = parts_.loop.carry_on(std::move(plan), begun, parts_.fleet);
  CHOROK_ASSERT(taken.has_value());  // its indices are those of this fleet
}

void Applied::after_turn() {
  const std::vector<PlanState>& states = parts_.loop.applied().states();
  for (std::size_t i = 0; i < in_hand_.size() && i < states.size(); ++i) {
    AppliedAction& each = all_[in_hand_[i]];
    if (states[i] == PlanState::kDone) {
      end(each, State::kDone, {});
    } else if (states[i] == PlanState::kFailed) {
      end(each, State::kFailed, "it ended without effect");
    } else if (states[i] == PlanState::kRunning) {
      each.item.state = State::kRunning;
      each.item.waits_for.clear();
    }
  }
  for (const std::size_t i : in_hand_)
    if (all_[i].item.state == State::kWaiting) all_[i].item.waits_for = waits_for(all_[i].item);
}

}  // namespace chorok::manager
