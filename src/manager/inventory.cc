#include "manager/inventory.h"

#include "base/result.h"

namespace chorok::manager {

const model::Cluster& Inventory::default_cluster() const {
  const model::Cluster* oldest = nullptr;
  for (const auto& [id, cluster] : clusters().all())
    if (oldest == nullptr || cluster->meta.created < oldest->meta.created) oldest = cluster.get();
  CHOROK_ASSERT(oldest != nullptr);
  return *oldest;
}

const model::Cluster& Inventory::cluster_of(const model::Host& host) const {
  const auto cluster = clusters().find(host.cluster);
  return cluster == nullptr ? default_cluster() : *cluster;
}

const model::Cluster& Inventory::cluster_of(const model::Vm& vm) const {
  if (const auto host = hosts().find(vm.host); host != nullptr) return cluster_of(*host);
  const auto pool = pools().find(vm.pool);
  const auto cluster = pool == nullptr ? nullptr : clusters().find(pool->cluster);
  return cluster == nullptr ? default_cluster() : *cluster;
}

Table<model::Pool>::Ptr Inventory::pool_of(const model::Vm& vm) const {
  if (vm.pool.empty()) return nullptr;
  auto pool = pools().find(vm.pool);
  if (pool == nullptr || pool->cluster != cluster_of(vm).meta.id) return nullptr;
  return pool;
}

}  // namespace chorok::manager
