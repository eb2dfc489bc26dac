#include "manager/shortages.h"

#include <fmt/format.h>

#include "policy/survive.h"

namespace chorok::manager {

namespace {

constexpr std::int64_t kRounds = 5;
constexpr std::size_t kToldMax = 3;

std::string unmet(const policy::Plan& plan) {
  std::string text;
  for (std::size_t i = 0; i < std::min(plan.violations.size(), kToldMax); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : "; ", plan.violations[i].text);
  if (plan.violations.size() > kToldMax)
    text += fmt::format("; and {} more", plan.violations.size() - kToldMax);
  return text.substr(0, 2048);
}

std::string reserve(const model::Snapshot& snapshot) {
  const model::HaSettings& ha = snapshot.settings.ha;
  if (!ha.enabled || ha.failures <= 0) return {};
  if (policy::check_failures(snapshot, ha.failures, {.first_only = true}).survives()) return {};
  return fmt::format("not every VM could start again after any {} of its hosts failed{}",
                     ha.failures, ha.failures == 1 ? "" : " at once");
}

}  // namespace

std::vector<control::Shortage> Shortages::now() {
  std::vector<control::Shortage> out;
  const auto& clusters = engine_.inventory().clusters();
  std::erase_if(known_, [&](const auto& each) { return clusters.find(each.first) == nullptr; });
  for (const auto& [id, cluster] : clusters.all()) {
    const ClusterDriver* driver = drivers_.find(id);
    if (driver == nullptr || driver->plans().empty()) continue;
    const PlanRecord& newest = driver->plans().back();
    if (!newest.plan->violations.empty())
      out.push_back({"cluster.unmet", id, cluster->meta.name, unmet(*newest.plan)});
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
