#include "manager/cluster_drivers.h"

namespace chorok::manager {

ClusterDrivers::ClusterDrivers(Engine& engine, World& world, PowerSwitches& switches,
                               const VmLoads* loads, DriverSettings settings)
    : engine_(engine),
      world_(world),
      switches_(switches),
      loads_(loads),
      settings_(std::move(settings)) {
  auto watching = engine_.watch(engine_.revision(), [this](const Notice& notice) {
    if (notice.kind != "cluster") return;
    // A driver does not go away while it is being told.
    engine_.loop().post([this, alive = alive_] {
      if (*alive) match();
    });
  });
  CHOROK_ASSERT(watching.has_value());  // from now on is never too long ago
  watcher_ = *watching;
  match();
}

ClusterDrivers::~ClusterDrivers() {
  *alive_ = false;
  engine_.unwatch(watcher_);
}

ClusterDriver* ClusterDrivers::find(const std::string& cluster) const {
  const auto it = drivers_.find(cluster);
  return it == drivers_.end() ? nullptr : it->second.get();
}

void ClusterDrivers::match() {
  const auto& clusters = engine_.inventory().clusters();
  std::erase_if(drivers_, [&](const auto& each) { return clusters.find(each.first) == nullptr; });
  for (const auto& [id, cluster] : clusters.all())
    if (!drivers_.contains(id))
      drivers_[id] =
          std::make_unique<ClusterDriver>(engine_, world_, switches_, loads_, id, settings_);
}

}  // namespace chorok::manager
