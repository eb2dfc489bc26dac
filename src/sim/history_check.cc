#include "sim/history_check.h"

#include <fmt/format.h>

namespace chorok::sim {

void HistoryCheck::tick() {
  for (const Sighting& now : world_.running()) {
    auto [found, fresh] = last_.try_emplace(now.uuid);
    Seen& last = found->second;
    const bool same_life = last.life == now.life;
    if (!fresh && same_life && now.counter < last.counter)
      world_.violate(fmt::format("the guest of '{}' went back from {:.3f} s to {:.3f} s of work",
                                 now.name, seconds(last.counter), seconds(now.counter)));
    if (!fresh && now.life < last.life)
      world_.violate(fmt::format("'{}' runs an older life of itself", now.name));
    const bool same_disk = last.root_lineage == now.root_lineage && now.root_lineage != 0;
    if (!fresh && !same_life && same_disk && now.boots <= last.boots)
      world_.violate(fmt::format("'{}' booted from an older copy of its disk", now.name));
    if (!fresh && same_life && !same_disk && last.root_lineage != 0)
      world_.violate(fmt::format("the disk of '{}' was changed under its guest", now.name));
    last = {now.life, now.boots, now.root_lineage, now.counter};
  }
}

std::vector<std::string> HistoryCheck::settled(const std::vector<Expected>& expected) const {
  std::vector<std::string> wrong;
  std::map<std::string, std::vector<Sighting>> seen;
  for (Sighting& each : world_.sightings()) seen[each.uuid].push_back(std::move(each));
  for (const Expected& vm : expected) {
    std::vector<Sighting> places = std::exchange(seen[vm.uuid], {});
    seen.erase(vm.uuid);
    auto host_of = [&](const Sighting& each) { return world_.host(each.host).settings().name; };
    if (places.size() > 1)
      wrong.push_back(fmt::format("'{}' is defined on {} and on {}", vm.name, host_of(places[0]),
                                  host_of(places[1])));
    if (places.empty() && (vm.exists || vm.runs))
      wrong.push_back(fmt::format("'{}' is on no host", vm.name));
    if (!places.empty() && !vm.exists)
      wrong.push_back(fmt::format("'{}' should be gone and is on {}", vm.name, host_of(places[0])));
    bool runs = false;
    for (const Sighting& each : places) {
      runs |= each.runs;
      if (!vm.host.empty() && host_of(each) != vm.host)
        wrong.push_back(
            fmt::format("'{}' is on {}, recorded on {}", vm.name, host_of(each), vm.host));
    }
    if (!places.empty() && runs != vm.runs)
      wrong.push_back(fmt::format("'{}' {}", vm.name,
                                  vm.runs ? "should run and does not" : "runs and should not"));
  }
  for (const auto& [uuid, places] : seen)
    if (!places.front().vm.empty())
      wrong.push_back(fmt::format("'{}' is on {} and in no record", places.front().name,
                                  world_.host(places.front().host).settings().name));
  return wrong;
}

}  // namespace chorok::sim
