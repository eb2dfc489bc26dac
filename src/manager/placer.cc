#include "manager/placer.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/compatibility.h"
#include "control/steps.h"
#include "manager/world.h"
#include "model/schedule.h"
#include "policy/place.h"

namespace chorok::manager {

using control::Placed;
using control::Purpose;
using model::Automation;
using model::Index;
using model::kNone;
using Found = policy::Placement::Found;

namespace {

constexpr Duration kAgePerVm = std::chrono::microseconds(50);
// One that waits looks every few seconds: many of them share a snapshot.
constexpr Duration kPatience = std::chrono::seconds(1);
constexpr Duration kKept = std::chrono::seconds(30);
constexpr std::size_t kReasonsMax = 8;  // hosts that are told of one by one

std::vector<std::string> against(const model::Vm& vm, const model::Host& host, const World& world) {
  auto reasons = control::incompatibilities(vm, host, Purpose::kStart, {}, world);
  for (control::BrokenRule& rule : world.broken_rules(vm, host))
    if (rule.must) reasons.push_back(std::move(rule.text));
  return reasons;
}

}  // namespace

void Placer::set_eyes(const std::string& cluster, const ClusterEyes* eyes) {
  eyes_.erase(cluster);
  if (eyes != nullptr) eyes_[cluster] = eyes;
  seen_.erase(cluster);
}

void Placer::forget_old() {
  std::erase_if(seen_, [&](const auto& each) { return engine_.now() - each.second.at > kKept; });
}

Placed Placer::place(const model::Vm& vm) {
  const Inventory& inventory = engine_.inventory();
  const model::Host* home = world_.host(vm.host);
  if (home != nullptr && !control::kept_at_home(vm).empty()) return at_home(vm, *home);
  const std::string own = inventory.cluster_of(vm).meta.id;
  Placed found = place_in(vm, own);
  const bool elsewhere_too = home == nullptr && vm.pool.empty();
  if (found.host != nullptr || found.later || !elsewhere_too) return found;
  for (const auto& [name, cluster] : inventory.clusters().by_name()) {
    if (cluster->meta.id == own) continue;
    Placed there = place_in(vm, cluster->meta.id);
    if (there.host != nullptr) return there;
  }
  return found;
}

// Where its host sleeps a round wakes that one: nothing else holds what it needs (ClusterNeeds).
Placed Placer::at_home(const model::Vm& vm, const model::Host& home) const {
  const auto reasons = against(vm, home, world_);
  const std::string_view kept = control::kept_at_home(vm);
  if (reasons.empty())
    return {.host = &home, .text = fmt::format("{} is on '{}'", kept, home.meta.name)};
  const auto& cluster = engine_.inventory().cluster_of(home);
  const bool wakes =
      model::in_force(cluster.settings, cluster.schedule, engine_.now()).power.automation ==
      Automation::kFull;
  const bool sleeps =
      home.watch.phase == model::HostPhase::kDown && home.dpm == model::HostDpm::kAutomatic &&
      home.watch.rest_until <= engine_.now() && home.admin == model::HostAdmin::kEnabled;
  const bool comes = home.watch.phase == model::HostPhase::kWaking;
  if (comes || (sleeps && wakes))
    return {.later = true,
            .waits_for = &home,
            .text = fmt::format("{} is on '{}', which sleeps", kept, home.meta.name)};
  return {.text = fmt::format("'{}' cannot run it, and {} is there: {}", home.meta.name, kept,
                              fmt::join(reasons, "; "))};
}

Placed Placer::place_in(const model::Vm& vm, const std::string& cluster) {
  const auto record = engine_.inventory().clusters().find(cluster);
  const model::PolicySettings settings =
      model::in_force(record->settings, record->schedule, engine_.now());
  const Automation automation =
      std::min(settings.balance.automation, vm.automation.value_or(Automation::kFull));
  const auto head = engine_.inventory().tasks().find(vm.status.task);
  const bool is_patient = head != nullptr && control::waits_for_host(*head);
  const Duration believed = is_patient ? kPatience : Duration{};
  if (automation >= Automation::kPartial) {
    const std::optional<Placed> found = by_policy(vm, cluster, believed);
    return found ? *found : *by_policy(vm, cluster, std::nullopt);
  }
  const std::string off = fmt::format("DRS is {}", name_of(automation));
  if (const model::Host* home = world_.host(vm.host); home != nullptr)
    if (against(vm, *home, world_).empty())
      return {.host = home, .text = fmt::format("'{}' is where it was; {}", home->meta.name, off)};
  if (const model::Host* host = control::choose_host(vm, Purpose::kStart, world_, nullptr))
    return {.host = host,
            .text = fmt::format("'{}' has most memory left; {}", host->meta.name, off)};
  const std::optional<Placed> later = by_policy(vm, cluster, believed);
  return later && later->host == nullptr ? *later : *by_policy(vm, cluster, std::nullopt);
}

// By a snapshot of before where there is one that is not too old. "No" and "later" are answers when
// it is no older than `believed`, and always of a new one, which is made where that is nothing.
std::optional<Placed> Placer::by_policy(const model::Vm& vm, const std::string& cluster,
                                        std::optional<Duration> believed) {
  Seen& seen = seen_[cluster];
  const Duration old = kAgePerVm * static_cast<std::int64_t>(seen.made.vms.size());
  const bool anew =
      !believed || seen.at == Time{} || engine_.now() - seen.at > std::max(old, *believed);
  const bool is_final = anew || engine_.now() - seen.at < *believed;
  const Index index = anew ? look(seen, cluster, vm) : look_again(seen, cluster, vm);
  policy::Round round(seen.made.snapshot);
  policy::Placement found = policy::place_one(round, index);
  seen.made.snapshot.vms[index].run = model::VmRun::kOff;  // until its record says more
  const model::Host* host =
      found.host == kNone ? nullptr : world_.host(seen.made.hosts[found.host]);
  if (found.found == Found::kNow && host != nullptr) {
    if (!against(vm, *host, world_).empty()) {
      if (!is_final) return std::nullopt;
      host = control::choose_host(vm, Purpose::kStart, world_, nullptr);
      if (host == nullptr) return no_host(vm, std::move(found.text));
      found.text = fmt::format("'{}' has most memory left", host->meta.name);
    }
    seen.placed.push_back(vm.meta.id);
    return Placed{.host = host, .text = std::move(found.text)};
  }
  if (!is_final) return std::nullopt;
  if (found.found == Found::kLater)
    return Placed{.later = true, .waits_for = host, .text = std::move(found.text)};
  return no_host(vm, std::move(found.text));
}

// Host by host in the records' words, as long as these say it all.
Placed Placer::no_host(const model::Vm& vm, std::string text) const {
  std::vector<std::string> rejected;
  const bool records_say_it =
      control::choose_host(vm, Purpose::kStart, world_, &rejected) == nullptr;
  if (world_.hosts().empty())
    text = "there is no host yet; join one with chorok-agent join";
  else if (records_say_it && rejected.size() <= kReasonsMax)
    text = fmt::format("{}", fmt::join(rejected, "; "));
  return {.text = "no host can run it: " + text};
}

Index Placer::look(Seen& seen, const std::string& cluster, const model::Vm& vm) {
  const auto record = engine_.inventory().clusters().find(cluster);
  const auto eyes = eyes_.find(cluster);
  seen.settings = model::in_force(record->settings, record->schedule, engine_.now());
  seen.made = make_snapshot(engine_.inventory(), cluster, engine_.now(),
                            {.loads = eyes == eyes_.end() ? nullptr : eyes->second->loads(),
                             .world = &world_,
                             .settings = &seen.settings,
                             .waiting = &vm});
  if (eyes != eyes_.end()) eyes->second->complete(seen.made);
  seen.at = engine_.now();
  seen.placed.clear();
  seen.index.clear();
  for (Index v = 0; v < seen.made.vms.size(); ++v) seen.index[seen.made.vms[v]] = v;
  return seen.index.at(vm.meta.id);
}

// The same snapshot with what was placed since, and with `vm` as one that waits.
Index Placer::look_again(Seen& seen, const std::string& cluster, const model::Vm& vm) const {
  const Inventory& inventory = engine_.inventory();
  model::Snapshot& snapshot = seen.made.snapshot;
  for (const std::string& id : seen.placed) {
    const auto index = seen.index.find(id);
    const auto record = inventory.vms().find(id);
    if (index == seen.index.end()) continue;
    model::SnapshotVm& placed = snapshot.vms[index->second];
    const auto task = record == nullptr ? nullptr : inventory.tasks().find(record->status.task);
    std::string host(task == nullptr ? std::string_view() : control::start_target(*task));
    if (record != nullptr && host.empty() && record->power == model::VmPower::kOn)
      host = record->host;
    placed.host = index_of(seen.made.hosts, host);
    placed.run = placed.host == kNone ? model::VmRun::kOff : model::VmRun::kOn;
  }
  const auto eyes = eyes_.find(cluster);
  const Index index = put_waiting(seen.made, inventory, cluster, vm,
                                  {.loads = eyes == eyes_.end() ? nullptr : eyes->second->loads(),
                                   .world = &world_,
                                   .settings = &seen.settings},
                                  seen.index);
  seen.index[vm.meta.id] = index;
  return index;
}

}  // namespace chorok::manager
