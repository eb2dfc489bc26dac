#include "manager/admission.h"

#include <fmt/format.h>

#include "policy/admit.h"

namespace chorok::manager {

using model::Amounts;
using model::Index;
using model::kNone;
using model::Resource;

namespace {

model::Problem problem(std::string message, std::string field) {
  return {std::string(to_string(Code::kFailedPrecondition)), std::move(message), std::move(field)};
}

Amounts reserved_by(const model::VmSpec& spec) {
  return {static_cast<double>(spec.cpu.reservation.value),
          static_cast<double>(spec.memory_allocation.reservation.value)};
}

std::string vm_field(Resource resource) {
  return resource == Resource::kCpu ? "/spec/cpu/reservation"
                                    : "/spec/memory_allocation/reservation";
}

ClusterSnapshot snapshot_with(const Inventory& inventory, const control::Lookup& world, Time now,
                              const model::Vm& vm) {
  return make_snapshot(inventory, inventory.cluster_of(vm).meta.id, now,
                       {.world = &world, .vm = &vm});
}

}  // namespace

Problems admit_start(const Inventory& inventory, const control::Lookup& world, Time now,
                     const model::Vm& vm) {
  const Amounts asks = reserved_by(vm.spec);
  if (asks == Amounts{} && !inventory.cluster_of(vm).settings.ha.enabled) return {};
  model::Vm off = vm;
  off.power = model::VmPower::kOff;
  off.status.state = model::VmState::kOff;
  const ClusterSnapshot made = snapshot_with(inventory, world, now, off);
  const Index index = index_of(made.vms, vm.meta.id);
  if (index == kNone) return {};
  Problems problems;
  const policy::Admission admission = policy::admit_power_on(made.snapshot, index);
  // Whether a host can run it at all is control's to say, in its own words.
  for (const policy::Refusal& refusal : admission.refusals)
    if (refusal.why != policy::Why::kHostNotReady)
      problems.push_back(problem(refusal.text, vm_field(refusal.resource)));
  return problems;
}

Problems admit_change(const Inventory& inventory, const control::Lookup& world, Time now,
                      const model::Vm* before, const model::Vm& after) {
  const Amounts asks = reserved_by(after.spec);
  const Amounts had = before == nullptr ? Amounts{} : reserved_by(before->spec);
  const bool moves = before != nullptr && before->pool != after.pool;
  if (asks == Amounts{} || (!moves && asks.cpu <= had.cpu && asks.memory <= had.memory)) return {};
  const ClusterSnapshot made = snapshot_with(inventory, world, now, after);
  const Index index = index_of(made.vms, after.meta.id);
  // The speed of a host that has not reported yet is not known.
  if (index == kNone || made.snapshot.vms[index].size.cpu <= 0) return {};
  Problems problems;
  const policy::Admission admission = policy::admit_vm_reservation(made.snapshot, index, asks);
  for (const policy::Refusal& refusal : admission.refusals)
    problems.push_back(problem(refusal.text, moves ? "/pool" : vm_field(refusal.resource)));
  return problems;
}

Problems admit_pool(const Inventory& inventory, const control::Lookup& world, Time now,
                    const model::Pool& pool) {
  const ClusterSnapshot made =
      make_snapshot(inventory, pool.cluster, now, {.world = &world, .pool = &pool});
  const Index index = index_of(made.pools, pool.meta.id);
  CHOROK_ASSERT(index != kNone);
  const Amounts asks = {static_cast<double>(pool.cpu.reservation.value),
                        static_cast<double>(pool.memory.reservation.value)};
  Problems problems;
  auto field = [](Resource resource, std::string_view name) {
    return fmt::format("/{}/{}", name_of(resource), name);
  };
  const policy::Admission admission = policy::admit_pool_reservation(made.snapshot, index, asks);
  for (const policy::Refusal& refusal : admission.refusals)
    problems.push_back(problem(refusal.text, field(refusal.resource, "reservation")));
  const policy::Reserved promised = policy::reserved(made.snapshot);
  for (const Resource resource : model::kResources) {
    const double limit = made.snapshot.pools[index].allocation(resource).limit;
    if (promised.pools[index][resource] > limit)
      problems.push_back(problem(
          fmt::format("{:.0f} {} are promised in it, more than this limit",
                      promised.pools[index][resource], resource == Resource::kCpu ? "MHz" : "MiB"),
          field(resource, "limit")));
  }
  return problems;
}

}  // namespace chorok::manager
