#include "manager/world.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/compatibility.h"
#include "control/steps.h"
#include "manager/placer.h"

namespace chorok::manager {

World::World(const Engine& engine)
    : engine_(engine), placer_(std::make_unique<Placer>(engine, *this)) {}
World::~World() = default;

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
  for (const auto& [id, vm] : engine_.inventory().vms().all()) {
    const model::Task* task = task_of(*vm);
    const std::string_view starts = task == nullptr ? "" : control::start_target(*task);
    if (!starts.empty())
      add(std::string(starts), *vm);
    else if (control::is_running(vm->status.state) || vm->power == model::VmPower::kOn)
      add(vm->host, *vm);
  }
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

control::Placed World::place(const model::Vm& vm) const {
  return placer_->place(vm);
}

void World::set_eyes(const std::string& cluster, const ClusterEyes* eyes) {
  placer_->set_eyes(cluster, eyes);
}

void World::forget_placing() {
  placer_->forget_old();
}

const model::Task* World::task_of(const model::Vm& vm) const {
  return vm.status.task.empty() ? nullptr : engine_.inventory().tasks().find(vm.status.task).get();
}

// Where it runs, is about to, or goes; none: it is off, or what it ran on has failed.
std::vector<std::string> World::hosts_of(const model::Vm& vm) const {
  const model::Task* task = task_of(vm);
  if (task != nullptr)
    if (const auto starts = control::start_target(*task); !starts.empty())
      return {std::string(starts)};
  const bool wanted = vm.power == model::VmPower::kOn;
  const model::VmState state = vm.status.state;
  const bool comes = wanted && state == model::VmState::kOff && !vm.status.owed;
  const bool is_there =
      control::is_running(state) || (wanted && state == model::VmState::kUnknown) || comes;
  const model::Host* home = host(vm.host);
  if (!is_there || home == nullptr || control::is_dead(home)) return {};
  std::vector<std::string> out = {vm.host};
  const bool moves = task != nullptr && task->kind == "vm.migrate" &&
                     task->state == model::TaskState::kRunning && !task->args.host.empty();
  if (moves)
    if (const model::Host* to = host(task->args.host)) out.push_back(to->meta.id);
  return out;
}

std::vector<control::BrokenRule> World::broken_rules(const model::Vm& vm,
                                                     const model::Host& there) const {
  const Inventory& inventory = engine_.inventory();
  const auto has = [](const std::vector<std::string>& list, const std::string& id) {
    return std::ranges::find(list, id) != list.end();
  };
  // Of the others the first that it must not be with, or would be without.
  const auto disturbed = [&](const model::Rule& rule, bool together) {
    for (const std::string& id : rule.vms) {
      const auto other = id == vm.meta.id ? nullptr : inventory.vms().find(id);
      if (other == nullptr) continue;
      const auto at = hosts_of(*other);
      if (at.empty() || has(at, there.meta.id) == together) continue;
      const model::Host* where = host(at.front());
      return fmt::format("{} '{}', which is on '{}'", together ? "with" : "apart from",
                         other->meta.name, where == nullptr ? at.front() : where->meta.name);
    }
    return std::string();
  };
  std::vector<control::BrokenRule> broken;
  for (const auto& [id, rule] : inventory.rules().all()) {
    if (!rule->enabled || !has(rule->vms, vm.meta.id)) continue;
    std::string kept;
    switch (rule->kind) {
      case model::RuleKind::kApart:
      case model::RuleKind::kTogether:
        kept = disturbed(*rule, rule->kind == model::RuleKind::kTogether);
        break;
      case model::RuleKind::kHostsOnly:
        if (!has(rule->hosts, there.meta.id)) kept = "on other hosts";
        break;
      case model::RuleKind::kHostsNever:
        if (has(rule->hosts, there.meta.id)) kept = fmt::format("off '{}'", there.meta.name);
        break;
    }
    if (!kept.empty())
      broken.push_back({rule->meta.name, rule->must, rule->kind == model::RuleKind::kTogether,
                        fmt::format("rule '{}' {} it {}", rule->meta.name,
                                    rule->must ? "keeps" : "should keep", kept)});
  }
  return broken;
}

}  // namespace chorok::manager
