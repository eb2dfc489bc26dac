#include "policy/entitle.h"

#include <algorithm>

namespace chorok::policy {

using model::Allocation;
using model::SnapshotHost;
using model::SnapshotOperation;
using model::SnapshotPool;
using model::SnapshotVm;
using model::VmRun;

const Type& enum_type(const ShareLevel*) {
  static const Type kType =
      describe_enum<ShareLevel>("ShareLevel", "Presets for shares, 1:2:4.",
                                {{0, "low", ""}, {1, "normal", ""}, {2, "high", ""}});
  return kType;
}

namespace {

double factor(ShareLevel level) {
  return level == ShareLevel::kLow ? 0.5 : level == ShareLevel::kHigh ? 2 : 1;
}

// A VM that is starting has its host in an operation and counts as if it ran.
std::vector<bool> running(const Snapshot& snapshot) {
  std::vector<bool> runs(snapshot.vms.size());
  for (std::size_t v = 0; v < runs.size(); ++v) runs[v] = snapshot.vms[v].run == VmRun::kOn;
  for (const SnapshotOperation& op : snapshot.operations)
    if (op.kind == SnapshotOperation::Kind::kStart) runs[op.vm] = true;
  return runs;
}

TreeNode pool_node(const SnapshotPool& pool, Resource resource) {
  const Allocation& allocation = pool.allocation(resource);
  return {.parent = pool.parent == kNone ? 0 : pool.parent + 1,
          .shares = allocation.shares > 0 ? allocation.shares
                                          : pool_shares(ShareLevel::kNormal, resource),
          .reservation = allocation.reservation,
          .limit = allocation.limit,
          .expandable = allocation.expandable,
          .scalable_shares = pool.scalable_shares};
}

TreeNode vm_node(const Snapshot& snapshot, std::size_t v, Resource resource,
                 const EntitleOptions& options) {
  const SnapshotVm& vm = snapshot.vms[v];
  const Allocation& allocation = vm.allocation(resource);
  const double fixed = resource == Resource::kMemory ? vm.overhead : 0;
  return {.parent = vm.pool == kNone ? 0 : vm.pool + 1,
          .leaf = true,
          .shares = allocation.shares > 0 ? allocation.shares
                                          : vm_shares(ShareLevel::kNormal, resource, vm),
          .reservation = allocation.reservation + fixed,
          .limit = allocation.limit + fixed,
          .demand = options.demand.empty() ? demand_of(vm, resource, options)
                                           : options.demand[v][resource],
          .size = vm.size[resource] + fixed};
}

}  // namespace

double vm_shares(ShareLevel level, Resource resource, const SnapshotVm& vm) {
  const double normal = resource == Resource::kCpu ? 1000.0 * vm.vcpus : 10 * vm.size.memory;
  return normal * factor(level);
}

double pool_shares(ShareLevel level, Resource resource) {
  return (resource == Resource::kCpu ? 4000 : 163840) * factor(level);
}

Amounts capacity_for_vms(const Snapshot& snapshot) {
  Amounts sum;
  for (const SnapshotHost& host : snapshot.hosts)
    if (host.power == model::HostPower::kOn && host.link == model::HostLink::kConnected &&
        host.admin != model::HostAdmin::kMaintenance)
      sum += host.capacity;
  return sum;
}

double demand_of(const SnapshotVm& vm, Resource resource, const EntitleOptions& options) {
  if (resource == Resource::kCpu) return vm.cpu_demand.now;
  const double active = vm.memory_demand.now;
  const double idle = std::max(0.0, vm.consumed - vm.overhead - active);
  return vm.overhead + active + (options.idle_memory * idle);
}

namespace {

// The root, then pools in their order, then running VMs in theirs.
Division divide_one(const Snapshot& snapshot, const std::vector<bool>& runs, Resource resource,
                    double capacity, const EntitleOptions& options) {
  std::vector<TreeNode> tree(1, {.expandable = true});
  tree.reserve(1 + snapshot.pools.size() + snapshot.vms.size());
  for (const SnapshotPool& pool : snapshot.pools) tree.push_back(pool_node(pool, resource));
  for (std::size_t v = 0; v < snapshot.vms.size(); ++v)
    if (runs[v]) tree.push_back(vm_node(snapshot, v, resource, options));
  return divide(tree, capacity);
}

}  // namespace

std::vector<double> entitle_vms(const Snapshot& snapshot, Resource resource, double capacity,
                                const EntitleOptions& options) {
  const std::vector<bool> runs = running(snapshot);
  const Division division = divide_one(snapshot, runs, resource, capacity, options);
  std::vector<double> vms(snapshot.vms.size());
  std::size_t node = 1 + snapshot.pools.size();
  for (std::size_t v = 0; v < vms.size(); ++v)
    if (runs[v]) vms[v] = division.given[node++];
  return vms;
}

Entitlement entitle(const Snapshot& snapshot, Amounts capacity, const EntitleOptions& options) {
  Entitlement result;
  result.vms.resize(snapshot.vms.size());
  result.pools.resize(snapshot.pools.size());
  const std::vector<bool> runs = running(snapshot);
  for (const Resource resource : model::kResources) {
    const Division division = divide_one(snapshot, runs, resource, capacity[resource], options);
    result.given[resource] = division.given[0];
    result.wanted[resource] = division.claims[0].wanted;
    std::size_t node = 1;
    for (Amounts& pool : result.pools) pool[resource] = division.given[node++];
    for (std::size_t v = 0; v < snapshot.vms.size(); ++v)
      if (runs[v]) result.vms[v][resource] = division.given[node++];
  }
  return result;
}

}  // namespace chorok::policy
