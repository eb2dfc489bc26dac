// What a cluster's loops have decided, and why: now, and at any time that the log of plans goes
// back to. Explaining a VM looks at every host once.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "manager/api_core.h"
#include "manager/plan_view.h"

namespace chorok::manager {
namespace {

// It shows VMs of all folders.
Result<> may_see_all(const Call& call) {
  if (call.caller.role_on("") >= model::Role::kViewer) return {};
  return fail(Code::kPermissionDenied, "this needs the role 'viewer' on everything");
}

Result<const ClusterDriver*> driver_of(const Call& call, const std::string& cluster) {
  const ClusterDriver* driver =
      call.core.settings.drivers ? call.core.settings.drivers(cluster) : nullptr;
  if (driver == nullptr) return fail(Code::kUnavailable, "its loops have not begun yet; ask again");
  return driver;
}

constexpr std::size_t kLastDefault = 20;
constexpr std::size_t kLastMax = 1000;
// What is wanted again in each round is one line: so many rounds are looked at for one, and in all.
constexpr std::size_t kRepeats = 120, kRawMax = 5000;

Result<std::size_t> last_of(const Call& call) {
  const std::string text = call.value("last");
  if (text.empty()) return kLastDefault;
  std::size_t last = 0;
  const auto [at, bad] = std::from_chars(text.data(), text.data() + text.size(), last);
  if (bad == std::errc() && at == text.data() + text.size() && last >= 1 && last <= kLastMax)
    return last;
  return fail(Code::kInvalid, fmt::format("'{}' is not 1 to {}", text.substr(0, 40), kLastMax),
              "?last");
}

// Times are shown to the millisecond, and rounds kept to the nanosecond.
Time end_of_millisecond(Time at) {
  return std::chrono::floor<std::chrono::milliseconds>(at) + std::chrono::nanoseconds(999'999);
}

// By the newest round at or before `at`, from the log.
net::Async<LiveWhy> past_why(Call& call, const model::Cluster& cluster, const std::string& name,
                             Time at) {
  ports::PlanLog& log = *call.core.settings.plan_log;
  using Found = Result<ports::LoggedRound>;
  at = end_of_millisecond(at);
  const auto round = CO_TRY(co_await until_done<Found>(
      [&](Done<Found> done) { log.find(cluster.meta.id, at, std::move(done)); }));
  co_return why_by(CO_TRY(recorded(round)), cluster.meta.name, name);
}

net::Async<std::vector<Decision>> past_decisions(Call& call, const std::string& cluster,
                                                 const std::string& name, Time at,
                                                 std::size_t last) {
  ports::PlanLog& log = *call.core.settings.plan_log;
  using Found = Result<std::vector<ports::PastDecision>>;
  at = end_of_millisecond(at);
  const auto found = CO_TRY(co_await until_done<Found>(
      [&](Done<Found> done) { log.decisions(cluster, name, at, last, std::move(done)); }));
  std::vector<Decision> out;
  for (const ports::PastDecision& each : found)
    out.push_back({.round = each.round, .at = each.at, .text = each.text});
  co_return out;
}

// What its host gives it, and why.
void add_enforced(std::vector<std::string>& facts, const Enforced& told) {
  const char* pending = told.in_force ? "" : " (its host has not said yet that it is so)";
  facts.push_back(told.cpu_why + pending);
  facts.push_back(told.memory_why);
  if (!told.problem.empty()) facts.push_back("does not get all of that: " + told.problem);
}

// What a person may still do about it, or has done.
void add_recommended(std::vector<std::string>& facts, const ClusterDriver& driver,
                     const std::string& name) {
  for (const Recommendation& each : driver.recommendations().list().items) {
    if (each.vm != name && each.from != name && each.to != name) continue;
    if (each.state == RecommendationState::kOpen)
      facts.push_back(
          fmt::format("recommended, and nobody has applied it: {} ({})", title_of(each), each.id));
    else if (each.state == RecommendationState::kIgnored)
      facts.push_back(fmt::format("recommended, and ignored for now: {}", title_of(each)));
    else
      facts.push_back(fmt::format("{} has applied: {}; it is {}{}", each.applied_by, title_of(each),
                                  name_of(each.state),
                                  each.waits_for.empty() ? "" : ": " + each.waits_for));
  }
}

// By its record: why DPM leaves it alone, or who has switched it off.
void add_power(std::vector<std::string>& facts, const model::Host& host) {
  if (host.dpm == model::HostDpm::kExcluded)
    facts.push_back("is excluded from DPM: " +
                    (host.dpm_reason.empty() ? "nobody has said why" : host.dpm_reason));
  const model::HostWatch& watch = host.watch;
  if (watch.phase != model::HostPhase::kDown) return;
  switch (watch.off_by) {
    case model::HostOffBy::kPerson:
      facts.push_back(watch.off_user + " has switched it off: chorok host power-on brings it back");
      break;
    case model::HostOffBy::kDpm:
      facts.push_back("sleeps: DPM has switched it off");
      break;
    case model::HostOffBy::kApplied:
      facts.push_back("sleeps: that was recommended, and a person has applied it");
      break;
    case model::HostOffBy::kTest:
    case model::HostOffBy::kNobody:
      break;
  }
}

// Where its starts went that named no host: between rounds, each by itself.
void add_starts(std::vector<Decision>& decisions, const Inventory& inventory,
                const std::string& vm_id, std::size_t limit) {
  for (const auto& [id, task] : inventory.tasks().all()) {
    const bool starts = task->kind == "vm.start" || task->kind == "vm.create";
    if (task->target != vm_id || !starts || task->reason.empty() || task->user == "chorok" ||
        (task->state != model::TaskState::kRunning && task->state != model::TaskState::kSucceeded))
      continue;
    const auto older = std::ranges::find_if(
        decisions, [&](const Decision& each) { return each.at <= task->started; });
    decisions.insert(older, {.at = task->started, .text = "started: " + task->reason});
  }
  if (decisions.size() > limit) decisions.resize(limit);
}

// `vm_id` is empty where a host is asked for.
net::Async<net::Response> why(Call& call, std::string cluster, std::string name,
                              std::string vm_id = {}) {
  const auto record = call.core.engine.inventory().clusters().find(cluster);
  if (record == nullptr) co_return fail(Code::kNotFound, "it belongs to no cluster");
  const ClusterDriver* driver = CO_TRY(driver_of(call, cluster));
  const std::size_t last = CO_TRY(last_of(call));
  const std::size_t raw = std::min(kRepeats * last, kRawMax);
  const bool is_past = !call.value("at").empty();
  const Time at = CO_TRY(time_parameter(call, "at", call.core.engine.now()));
  const bool has_log = call.core.settings.plan_log != nullptr;
  if (is_past && !has_log)
    co_return fail(Code::kUnsupported, "this manager keeps no plans for long", "?at");
  LiveWhy answer;
  if (!is_past && !driver->plans().empty()) {
    const PlanRecord& newest = driver->plans().back();
    Result<LiveWhy> known = why_by(newest, record->meta.name, name);
    std::vector<Decision> starts;
    add_starts(starts, call.core.engine.inventory(), vm_id, raw);
    if (!known && starts.empty()) co_return Unexpected(known.error());
    if (known)
      answer = std::move(*known);
    else
      answer = {.cluster = record->meta.name, .round = newest.number, .at = newest.at};
    if (!known) {
      answer.now.kind = "vm";
      answer.now.name = name;
      answer.now.facts = {"the newest round did not know it yet"};
    }
    answer.decisions = decisions_about(driver->plans(), name, raw);
  } else if (has_log) {
    answer = CO_TRY(co_await past_why(call, *record, name, at));
  } else {
    co_return fail(Code::kUnavailable,
                   "no round has been taken since the manager began; ask again");
  }
  if (has_log) answer.decisions = CO_TRY(co_await past_decisions(call, cluster, name, at, raw));
  if (!is_past && !vm_id.empty())
    add_starts(answer.decisions, call.core.engine.inventory(), vm_id, raw);
  answer.decisions = folded(std::move(answer.decisions), last);
  if (!is_past) add_recommended(answer.now.facts, *driver, name);
  // What was told to hosts is known of now only.
  if (!is_past && !vm_id.empty() && call.core.settings.enforced)
    if (const auto told = call.core.settings.enforced(vm_id)) add_enforced(answer.now.facts, *told);
  if (!is_past && vm_id.empty())
    if (const auto host = call.core.engine.inventory().hosts().find_name(name))
      add_power(answer.now.facts, *host);
  co_return object_response(LiveWhy::type(), &answer);
}

}  // namespace

net::Async<net::Response> get_cluster_plan(Call& call) {
  const auto object = CO_TRY(find_object(call, *model::find_resource_kind("cluster"), call.ref()));
  CO_TRY(may_see_all(call));
  const auto& cluster = *static_cast<const model::Cluster*>(object.get());
  const ClusterDriver* driver = CO_TRY(driver_of(call, cluster.meta.id));
  const LivePlan plan = live_plan(*driver, cluster.meta.name);
  co_return object_response(LivePlan::type(), &plan);
}

net::Async<net::Response> get_host_why(Call& call) {
  const auto object = CO_TRY(find_object(call, *model::find_resource_kind("host"), call.ref()));
  CO_TRY(may_see_all(call));
  const auto& host = *static_cast<const model::Host*>(object.get());
  const std::string cluster = call.core.engine.inventory().cluster_of(host).meta.id;
  co_return co_await why(call, cluster, host.meta.name);
}

net::Async<net::Response> get_vm_why(Call& call) {
  const auto object = CO_TRY(find_object(call, *model::find_resource_kind("vm"), call.ref()));
  CO_TRY(may_see_all(call));
  const auto& vm = *static_cast<const model::Vm*>(object.get());
  const std::string cluster = call.core.engine.inventory().cluster_of(vm).meta.id;
  co_return co_await why(call, cluster, vm.meta.name, vm.meta.id);
}

}  // namespace chorok::manager
