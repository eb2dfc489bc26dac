#include "manager/cluster_records.h"

#include "control/autostart.h"

namespace chorok::manager {

ManyRecords many_records(const Inventory& inventory) {
  ManyRecords out;
  out.vms.reserve(inventory.vms().size());
  for (const auto& [name, vm] : inventory.vms().by_name()) out.vms.push_back(vm);
  for (const auto& [id, task] : inventory.tasks().all())
    if (!task->finished_state()) out.tasks.push_back(task);
  for (const auto& [id, op] : inventory.operations().all())
    if (op->phase <= model::OpPhase::kRunning) out.operations.push_back(op);
  return out;
}

SeenNow seen_now(const Inventory& inventory, const control::Lookup* world) {
  SeenNow out{.known = world != nullptr};
  if (world == nullptr) return out;
  for (const auto& [id, host] : inventory.hosts().all())
    if (world->fresh(id)) out.fresh.insert(id);
  for (const auto& [id, vm] : inventory.vms().all())
    if (vm->status.owed && control::awaits_autostart(*vm, world->host(vm->host), *world))
      out.autostart.insert(id);
  return out;
}

FrozenCluster::FrozenCluster(const Inventory& inventory, const std::string& cluster, Time now,
                             const SnapshotOptions& options)
    : many_(many_records(inventory)),
      seen_(seen_now(inventory, options.world)),
      cluster_(inventory.clusters().find(cluster)),
      now_(now),
      revision_(options.revision) {
  CHOROK_ASSERT(cluster_ != nullptr);
  few_.table<model::Host>() = inventory.hosts();
  few_.table<model::Datastore>() = inventory.datastores();
  few_.table<model::Network>() = inventory.networks();
  few_.table<model::Cluster>() = inventory.clusters();
  few_.table<model::Pool>() = inventory.pools();
  few_.table<model::Rule>() = inventory.rules();
  settings_ = options.settings != nullptr ? *options.settings : cluster_->settings;
  if (options.loads != nullptr) loads_ = options.loads->frozen();
}

ClusterSnapshot FrozenCluster::make() const {
  return make_snapshot(few_, many_, seen_, *cluster_, now_,
                       {.loads = loads_.get(), .revision = revision_, .settings = &settings_});
}

}  // namespace chorok::manager
