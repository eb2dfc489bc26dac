#include "manager/world.h"

#include <algorithm>

#include "control/steps.h"

namespace chorok::manager {

std::vector<std::string> World::observe(const std::string& host,
                                        const model::Observation& observation) {
  Seen& seen = seen_[host];
  std::vector<std::string> touched;
  bool was_fresh = seen.fresh;
  seen.fresh = observation.libvirt_connected;
  if (!observation.libvirt_connected) {
    for (const model::Instance& instance : seen.instances) touched.push_back(instance.vm);
    return touched;
  }
  std::map<std::string, const model::Instance*> before;
  for (const model::Instance& instance : seen.instances) before[instance.uuid] = &instance;
  for (const model::Instance& instance : observation.instances) {
    auto it = before.find(instance.uuid);
    bool same = was_fresh && it != before.end() && equal(*it->second, instance);
    if (!same) touched.push_back(instance.vm);
    if (it != before.end() && it->second->vm == instance.vm) before.erase(it);
  }
  for (const auto& [uuid, gone] : before) touched.push_back(gone->vm);
  for (const model::Instance& instance : seen.instances)
    if (auto it = hosts_of_vm_.find(instance.vm); it != hosts_of_vm_.end())
      std::erase(it->second, host);
  seen.instances = observation.instances;
  for (const model::Instance& instance : seen.instances) {
    std::vector<std::string>& hosts = hosts_of_vm_[instance.vm];
    if (std::ranges::find(hosts, host) == hosts.end()) hosts.push_back(host);
  }
  stale();
  return touched;
}

std::vector<std::string> World::lose(const std::string& host) {
  std::vector<std::string> touched;
  auto it = seen_.find(host);
  if (it == seen_.end()) return touched;
  it->second.fresh = false;
  for (const model::Instance& instance : it->second.instances) touched.push_back(instance.vm);
  return touched;
}

void World::forget(const std::string& host) {
  seen_.erase(host);
  for (auto& [vm, hosts] : hosts_of_vm_) std::erase(hosts, host);
}

std::vector<model::Instance> World::foreign(const std::string& host) const {
  std::vector<model::Instance> out;
  auto it = seen_.find(host);
  if (it == seen_.end()) return out;
  for (const model::Instance& instance : it->second.instances)
    if (instance.vm.empty() || engine_.inventory().vms().find(instance.vm) == nullptr)
      out.push_back(instance);
  return out;
}

std::vector<control::Sighting> World::sightings(const std::string& vm) const {
  std::vector<control::Sighting> out;
  auto hosts = hosts_of_vm_.find(vm);
  if (hosts == hosts_of_vm_.end() || vm.empty()) return out;
  for (const std::string& host : hosts->second) {
    auto seen = seen_.find(host);
    if (seen == seen_.end()) continue;
    for (const model::Instance& instance : seen->second.instances)
      if (instance.vm == vm) out.push_back({host, &instance, seen->second.fresh});
  }
  return out;
}

const model::Host* World::host(std::string_view ref) const {
  return engine_.inventory().hosts().resolve(ref).get();
}
const model::Datastore* World::datastore(std::string_view ref) const {
  return engine_.inventory().datastores().resolve(ref).get();
}
const model::Network* World::network(std::string_view ref) const {
  return engine_.inventory().networks().resolve(ref).get();
}

const model::Cluster& World::cluster_of(std::string_view host_id) const {
  const auto host = engine_.inventory().hosts().find(host_id);
  return host == nullptr ? engine_.cluster() : engine_.inventory().cluster_of(*host);
}

// A new VM without a pool is at home everywhere.
bool World::at_home(const model::Vm& vm, const model::Host& host) const {
  const Inventory& inventory = engine_.inventory();
  const std::string& cluster = inventory.cluster_of(host).meta.id;
  if (inventory.hosts().find(vm.host) != nullptr)
    return cluster == inventory.cluster_of(vm).meta.id;
  const auto pool = inventory.pools().find(vm.pool);
  return pool == nullptr || pool->cluster == cluster;
}

bool World::fresh(std::string_view host_id) const {
  auto it = seen_.find(host_id);
  return it != seen_.end() && it->second.fresh;
}

std::vector<const model::Host*> World::hosts() const {
  std::vector<const model::Host*> out;
  for (const auto& [id, host] : engine_.inventory().hosts().all()) out.push_back(host.get());
  return out;
}

// One pass over all VMs and operations; kept until something that it is made from changes.
void World::count() const {
  committed_.clear();
  auto add = [&](const std::string& host, const model::Vm& vm) {
    Committed& sum = committed_[host];
    sum.memory += vm.spec.memory;
    sum.memory_reserved += vm.spec.memory_allocation.reservation;
    sum.cpu_reserved += vm.spec.cpu.reservation;
    ++sum.vms;
  };
  auto moves = [](const model::Operation& op) {
    return op.kind == model::OpKind::kMigrate && op.phase <= model::OpPhase::kRunning &&
           op.args.migration;
  };
  for (const auto& [id, vm] : engine_.inventory().vms().all())
    if (control::is_running(vm->status.state) || vm->power == model::VmPower::kOn)
      add(vm->host, *vm);
  for (const auto& [id, op] : engine_.inventory().operations().all()) {
    if (!moves(*op)) continue;
    ++committed_[op->host].migrations;
    ++committed_[op->args.migration->host].migrations;
    if (auto vm = engine_.inventory().vms().find(op->vm)) add(op->args.migration->host, *vm);
  }
  committed_known_ = true;
}

World::Committed World::committed(std::string_view host_id) const {
  if (!committed_known_) count();
  auto it = committed_.find(host_id);
  return it == committed_.end() ? Committed{} : it->second;
}

}  // namespace chorok::manager
