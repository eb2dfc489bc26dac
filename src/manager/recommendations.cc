#include "manager/recommendations.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

namespace chorok::manager {

namespace {

using control::HostPhase;
using model::Index;
using model::kNone;
using policy::Action;
using policy::ActionKind;
using PlanState = control::PlanRun::State;

constexpr int kRoundsOfLife = 5;
constexpr Duration kIgnoredFor = std::chrono::hours(1);

bool is_power(ActionKind kind) {
  return kind == ActionKind::kPowerOn || kind == ActionKind::kPowerOff;
}

std::string name_of_host(const model::Snapshot& snapshot, Index host) {
  return host == kNone ? std::string() : snapshot.hosts[host].name;
}

Recommendation item_in(const PlanRecord& round, std::size_t index) {
  const model::Snapshot& snapshot = *round.snapshot;
  const Action& action = round.plan->actions[index];
  return {.id = {},
          .priority = action.priority,
          .kind = action.kind,
          .vm = action.vm == kNone ? std::string() : snapshot.vms[action.vm].name,
          .from = name_of_host(snapshot, action.from),
          .to = name_of_host(snapshot, action.to),
          .why = action.why,
          .reason = action.reason,
          .gain_j = action.gain,
          .gain_over = gain_over(action, snapshot.settings),
          .cost_j = action.cost,
          .expires = {},
          .after = {},
          .applied_by = {},
          .waits_for = {}};
}

struct IdParts {
  std::uint64_t term = 0;
  std::int64_t round = 0;
  std::size_t index = 0;
};

// "rec-TERM-ROUND-NUMBER"
std::optional<IdParts> parts_of(std::string_view id) {
  if (!id.starts_with("rec-")) return std::nullopt;
  id.remove_prefix(4);
  IdParts out;
  const auto take = [&](auto& into, bool is_last) {
    const auto [at, bad] = std::from_chars(id.data(), id.data() + id.size(), into);
    if (bad != std::errc()) return false;
    id.remove_prefix(static_cast<std::size_t>(at - id.data()));
    if (is_last) return id.empty();
    if (!id.starts_with('-')) return false;
    id.remove_prefix(1);
    return true;
  };
  if (!take(out.term, false) || !take(out.round, false) || !take(out.index, true) || out.index == 0)
    return std::nullopt;
  --out.index;
  return out;
}

}  // namespace

Recommendations::Recommendations(Parts parts)
    : parts_(std::move(parts)),
      applied_({.engine = parts_.engine,
                .loop = parts_.loop,
                .fleet = parts_.fleet,
                .plans = parts_.plans,
                .tell = [this](std::string kind, std::string message, const std::string& user) {
                  tell(std::move(kind), std::move(message), user);
                }}) {}

Time Recommendations::expires() const {
  return parts_.plans.back().at + (kRoundsOfLife * parts_.loop.settings().round);
}

std::string Recommendations::id_of(std::size_t index) const {
  return fmt::format("rec-{}-{}-{}", parts_.engine.term(), parts_.plans.back().number, index + 1);
}

Recommendation Recommendations::item_of(std::size_t index) const {
  Recommendation out = item_in(parts_.plans.back(), index);
  out.id = id_of(index);
  return out;
}

bool Recommendations::is_ignored(std::size_t index) const {
  const auto ignored = ignored_.find(title_of(item_of(index)));
  return ignored != ignored_.end() && ignored->second > parts_.engine.now();
}

// What was applied, then what the newest round leaves to people beside that.
RecommendationList Recommendations::list() const {
  RecommendationList out;
  if (const auto cluster = parts_.engine.inventory().clusters().find(parts_.cluster))
    out.cluster = cluster->meta.name;
  if (parts_.plans.empty()) return out;
  const PlanRecord& newest = parts_.plans.back();
  out.round = newest.number;
  out.at = newest.at;
  out.expires = expires();
  for (const AppliedAction& each : applied_.all()) {
    out.items.push_back(each.item);
    out.items.back().expires = each.is_live() ? each.until : Time{};
  }
  for (std::size_t i = 0; i < plan().actions.size(); ++i) {
    if (!is_held(i)) continue;
    Recommendation item = item_of(i);
    item.state = is_ignored(i) ? RecommendationState::kIgnored : RecommendationState::kOpen;
    item.after = ids_before(i);
    item.expires = out.expires;
    out.items.push_back(std::move(item));
  }
  return out;
}

// A person is to decide it, and has not: neither this very one, however it has ended, nor the same
// of another round.
bool Recommendations::is_held(std::size_t index) const {
  return parts_.loop.states()[index] == PlanState::kHeld &&
         applied_.find(id_of(index)) == nullptr && applied(index) == nullptr;
}

std::vector<std::string> Recommendations::ids_before(std::size_t index) const {
  std::vector<std::string> out;
  for (const std::uint32_t before : plan().actions[index].after) {
    const AppliedAction* known = applied(before);
    out.push_back(known != nullptr ? known->item.id : id_of(before));
  }
  return out;
}

// Where in the newest plan; an older round's may still be wanted.
Result<std::size_t> Recommendations::find(const std::string& id) const {
  const auto parts = parts_of(id);
  if (!parts || parts_.plans.empty())
    return fail(Code::kNotFound,
                fmt::format("there is no recommendation '{}': list them, their ids are of the "
                            "newest rounds",
                            id.substr(0, 64)),
                "/ids");
  const PlanRecord& newest = parts_.plans.back();
  if (parts->term != parts_.engine.term())
    return fail(Code::kConflict,
                fmt::format("{} is of before the manager began anew; list them again", id));
  const auto made = std::ranges::find(parts_.plans, parts->round, &PlanRecord::number);
  if (made == parts_.plans.end() || parts->index >= made->plan->actions.size())
    return fail(Code::kNotFound,
                fmt::format("there is no recommendation '{}' any more: list them again", id),
                "/ids");
  if (parts_.loop.states().size() != newest.plan->actions.size())
    return fail(Code::kConflict, "hosts or VMs have come or gone; a round follows, list them then");
  if (parts_.engine.now() > expires())
    return fail(Code::kConflict, fmt::format("{} has expired, and no round has followed", id));
  if (made->number == newest.number) return parts->index;
  const Recommendation old = item_in(*made, parts->index);
  for (std::size_t i = 0; i < newest.plan->actions.size(); ++i)
    if (is_same(item_of(i), old)) return i;
  return fail(Code::kConflict,
              fmt::format("{} ({}) is not wanted any more since round {}: {}", id, title_of(old),
                          newest.number,
                          newest.plan->nothing.empty() ? "that one does something else instead"
                                                       : newest.plan->nothing));
}

// With everything that they wait for; ascending.
Result<std::vector<std::uint32_t>> Recommendations::chosen(
    const RecommendationRequest& request) const {
  std::set<std::uint32_t> out;
  if (request.all == !request.ids.empty())
    return fail(Code::kInvalid, "name some, or say all of them", "/ids");
  if (request.all)
    for (std::size_t i = 0; i < (parts_.plans.empty() ? 0 : plan().actions.size()); ++i)
      if (is_held(i) && !is_ignored(i)) out.insert(static_cast<std::uint32_t>(i));
  for (const std::string& id : request.ids) {
    const AppliedAction* known = applied_.find(id);
    if (known == nullptr) known = applied(TRY(find(id)));
    if (known != nullptr)
      return fail(Code::kConflict,
                  fmt::format("{} is {} already: {} has applied {}", id, name_of(known->item.state),
                              known->item.applied_by, known->item.id));
    const std::size_t index = TRY(find(id));
    if (!is_held(index))
      return fail(Code::kConflict,
                  fmt::format("{} needs nobody: the cluster does it by itself", id));
    out.insert(static_cast<std::uint32_t>(index));
  }
  std::vector<std::uint32_t> todo(out.begin(), out.end());
  while (!todo.empty()) {
    const std::uint32_t index = todo.back();
    todo.pop_back();
    for (const std::uint32_t before : plan().actions[index].after)
      if (is_held(before) && out.insert(before).second) todo.push_back(before);
  }
  return std::vector<std::uint32_t>(out.begin(), out.end());
}

Result<> Recommendations::vm_as_planned(const Action& action,
                                        std::span<const std::uint32_t> with) const {
  const LiveFleet& fleet = parts_.fleet;
  const model::Snapshot& snapshot = *parts_.plans.back().snapshot;
  const std::string& vm = snapshot.vms[action.vm].name;
  const auto refuse = [](std::string why) { return fail(Code::kConflict, std::move(why)); };
  if (fleet.busy(action.vm)) return refuse(fmt::format("a task is at work on VM {}", vm));
  const Index now_on = fleet.host_of(action.vm);
  if (now_on != action.from) {
    if (action.from == kNone) return refuse(fmt::format("VM {} runs by now", vm));
    return refuse(fmt::format("VM {} is {} by now, not on {}", vm,
                              now_on == kNone ? "off" : "on " + snapshot.hosts[now_on].name,
                              snapshot.hosts[action.from].name));
  }
  const bool is_woken = std::ranges::any_of(with, [&](std::uint32_t i) {
    return plan().actions[i].kind == ActionKind::kPowerOn && plan().actions[i].to == action.to;
  });
  const std::string& to = snapshot.hosts[action.to].name;
  if (!is_woken && parts_.loop.watches()[action.to].phase != HostPhase::kUp)
    return refuse(fmt::format("host {} does not answer by now", to));
  const auto record = parts_.engine.inventory().hosts().find(fleet.host_ids()[action.to]);
  if (record == nullptr || record->admin != model::HostAdmin::kEnabled)
    return refuse(fmt::format("host {} takes no VMs by now: it is in maintenance", to));
  return {};
}

Result<> Recommendations::still_true(std::size_t index, std::span<const std::uint32_t> with) const {
  const Action& action = plan().actions[index];
  if (!is_power(action.kind)) return vm_as_planned(action, with);
  const model::HostWatch& watch = parts_.loop.watches()[action.to];
  const std::string& host = parts_.plans.back().snapshot->hosts[action.to].name;
  const HostPhase from = action.kind == ActionKind::kPowerOn ? HostPhase::kDown : HostPhase::kUp;
  if (watch.phase != from)
    return fail(Code::kConflict, fmt::format("host {} is {} by now", host, name_of(watch.phase)));
  if (parts_.engine.now() < watch.rest_until)
    return fail(Code::kConflict, fmt::format("host {} is left alone: it {}", host, watch.rest_why));
  return {};
}

bool Recommendations::has_power(const RecommendationRequest& request) const {
  const auto indices = chosen(request);
  return indices && std::ranges::any_of(*indices, [&](std::uint32_t i) {
           return is_power(plan().actions[i].kind);
         });
}

Result<std::vector<std::string>> Recommendations::check(
    const RecommendationRequest& request) const {
  const std::vector<std::uint32_t> indices = TRY(chosen(request));
  std::vector<std::string> ids;
  for (const std::uint32_t i : indices) {
    if (Result<> so = still_true(i, indices); !so)
      return fail(so.error().code, fmt::format("{}: {}", id_of(i), so.error().message));
    ids.push_back(id_of(i));
  }
  return ids;
}

Result<std::vector<std::string>> Recommendations::apply(const RecommendationRequest& request,
                                                        const std::string& user) {
  std::vector<std::string> ids = TRY(check(request));
  const std::vector<std::uint32_t> indices = TRY(chosen(request));
  if (ids.empty()) return ids;
  for (const std::uint32_t i : indices) {
    Recommendation item = item_of(i);
    item.after = ids_before(i);
    applied_.add(std::move(item), parts_.plans.back().number, user);
  }
  tell("cluster.recommendations_applied",
       fmt::format("{} applied of round {}", ids.size(), parts_.plans.back().number), user);
  parts_.look_soon();
  return ids;
}

Result<std::vector<std::string>> Recommendations::ignore(const RecommendationRequest& request,
                                                         const std::string& user, bool dry_run) {
  std::vector<std::string> ids;
  for (const std::uint32_t i : TRY(chosen(request))) {
    // What it waits for is not ignored with it.
    if (!request.all && std::ranges::none_of(request.ids, [&](const std::string& id) {
          const auto found = find(id);
          return found && *found == i;
        }))
      continue;
    ids.push_back(id_of(i));
    if (!dry_run) ignored_[title_of(item_of(i))] = parts_.engine.now() + kIgnoredFor;
  }
  if (!dry_run && !ids.empty())
    tell("cluster.recommendations_ignored",
         fmt::format("{} ignored of round {}", ids.size(), parts_.plans.back().number), user);
  return ids;
}

void Recommendations::tell(std::string kind, std::string message, const std::string& user) {
  const auto cluster = parts_.engine.inventory().clusters().find(parts_.cluster);
  model::Event event;
  event.kind = std::move(kind);
  event.message = std::move(message);
  event.subject_kind = "cluster";
  event.subject = parts_.cluster;
  event.subject_name = cluster == nullptr ? parts_.cluster : cluster->meta.name;
  event.user = user;
  Changes changes;
  parts_.engine.add_event(changes, std::move(event));
  parts_.engine.commit(std::move(changes), [](Result<>) {});
}

void Recommendations::after_round() {
  std::erase_if(ignored_, [&](const auto& each) { return each.second <= parts_.engine.now(); });
}

const Type& RecommendationList::type() {
  static const Type kType =
      describe<RecommendationList>("RecommendationList", "What the newest round leaves to people.")
          .field("cluster", &RecommendationList::cluster, "")
          .field("round", &RecommendationList::round, "0: none has been taken yet.")
          .field("at", &RecommendationList::at, "When it was taken.")
          .field("expires", &RecommendationList::expires,
                 "Until then, if no round replaces them before.")
          .field("items", &RecommendationList::items, "In an order that can be carried out.",
                 {.max_count = 1000000});
  return kType;
}
const Type& RecommendationRequest::type() {
  static const Type kType =
      describe<RecommendationRequest>("RecommendationRequest", "Which recommendations.")
          .field("ids", &RecommendationRequest::ids, "", {.max_count = 10000})
          .field("all", &RecommendationRequest::all, "All that are open.");
  return kType;
}

}  // namespace chorok::manager
