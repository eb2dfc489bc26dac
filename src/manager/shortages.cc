#include "manager/shortages.h"

#include <fmt/format.h>

#include <set>
#include <tuple>

#include "policy/survive.h"

namespace chorok::manager {

namespace {

constexpr std::int64_t kRounds = 5;
constexpr std::size_t kToldMax = 3;

// By names: the hosts and VMs of two rounds need not be the same.
using Wrong = std::tuple<policy::Why, std::string_view, std::string_view>;  // VM, host
Wrong wrong(const PlanRecord& round, const policy::Violation& what) {
  const auto name = [](const auto& things, model::Index at) {
    return at == model::kNone ? std::string_view() : std::string_view(things[at].name);
  };
  return {what.why, name(round.snapshot->vms, what.vm), name(round.snapshot->hosts, what.host)};
}

std::string reserve(const model::Snapshot& snapshot) {
  const model::HaSettings& ha = snapshot.settings.ha;
  if (!ha.enabled || ha.failures <= 0) return {};
  if (policy::check_failures(snapshot, ha.failures, {.first_only = true}).survives()) return {};
  return fmt::format("not every VM could start again after any {} of its hosts failed{}",
                     ha.failures, ha.failures == 1 ? "" : " at once");
}

}  // namespace

std::string unmet(const std::deque<PlanRecord>& rounds) {
  if (rounds.empty()) return {};
  const PlanRecord& newest = rounds.back();
  const bool is_at_work = !newest.snapshot->operations.empty() || !newest.plan->actions.empty();
  std::set<Wrong> before;
  if (is_at_work && rounds.size() > 1) {
    const PlanRecord& last = rounds[rounds.size() - 2];
    for (const policy::Violation& each : last.plan->violations) before.insert(wrong(last, each));
  }
  std::string text;
  std::size_t count = 0;
  for (const policy::Violation& each : newest.plan->violations) {
    if (is_at_work && !before.contains(wrong(newest, each))) continue;
    if (count++ < kToldMax) text += (text.empty() ? "" : "; ") + each.text;
  }
  if (count > kToldMax) text += fmt::format("; and {} more", count - kToldMax);
  return text.substr(0, 2048);
}

std::vector<control::Shortage> Shortages::now() {
  std::vector<control::Shortage> out;
  const auto& clusters = engine_.inventory().clusters();
  std::erase_if(known_, [&](const auto& each) { return clusters.find(each.first) == nullptr; });
  for (const auto& [id, cluster] : clusters.all()) {
    const ClusterDriver* driver = drivers_.find(id);
    if (driver == nullptr || driver->plans().empty()) continue;
    const PlanRecord& newest = driver->plans().back();
    if (std::string text = unmet(driver->plans()); !text.empty())
      out.push_back({"cluster.unmet", id, cluster->meta.name, std::move(text)});
    Known& known = known_[id];
    const bool is_old = known.round == 0 || newest.number >= known.round + kRounds;
    if (is_old || (!known.reserve.empty() && newest.number != known.round))
      known = {.round = newest.number, .reserve = reserve(*newest.snapshot)};
    if (!known.reserve.empty())
      out.push_back({"cluster.reserve", id, cluster->meta.name, known.reserve});
  }
  return out;
}

}  // namespace chorok::manager
