// What the success of an operation changes in the VM's record.
#include <algorithm>

#include "control/steps.h"

namespace chorok::control {

using model::OpKind;

namespace {

void apply_detach(model::VmSpec& spec, const std::string& device) {
  std::erase_if(spec.disks, [&](const model::DiskSpec& d) { return d.name == device; });
  std::erase_if(spec.nics, [&](const model::NicSpec& n) { return n.name == device; });
  std::erase_if(spec.cdroms, [&](const model::CdromSpec& c) { return c.name == device; });
  std::erase(spec.boot.order, device);
}

void apply_disks(model::VmSpec& spec, const std::vector<model::DiskSpec>& moved) {
  for (const model::DiskSpec& disk : moved)
    for (model::DiskSpec& own : spec.disks)
      if (own.name == disk.name) own = disk;
}

void apply_medium(model::VmSpec& spec, const model::CdromSpec& cdrom) {
  for (model::CdromSpec& own : spec.cdroms)
    if (own.name == cdrom.name) {
      own = cdrom;
      return;
    }
  spec.cdroms.push_back(cdrom);
}

void mark_stale(model::Vm& vm, const std::string& host) {
  if (std::ranges::find(vm.status.stale, host) != vm.status.stale.end()) return;
  vm.status.stale.push_back(host);
  vm.tidied = {};  // not to wait
}

// A change of the spec that the host has made already; the definition there is as new as the
// record.
template <class F>
void change_spec(model::Vm& vm, F change) {
  change(vm.spec);
  ++vm.generation;
}

}  // namespace

void apply_success(model::Vm& vm, const model::Task& task, const model::Operation& operation,
                   const Lookup& world) {
  const model::TaskArgs& args = task.args;
  bool migrating = task.kind == "vm.migrate";
  for (const std::string& field : operation.result.next_boot)
    if (std::ranges::find(vm.status.pending, field) == vm.status.pending.end())
      vm.status.pending.push_back(field);
  switch (operation.kind) {
    case OpKind::kDefine:
      vm.defined = true;
      vm.host = operation.host;
      break;
    case OpKind::kStart:
      vm.host = operation.host;
      vm.status.pending.clear();
      if (!migrating) vm.power = model::VmPower::kOn;
      break;
    case OpKind::kResume:
      vm.power = model::VmPower::kOn;
      break;
    case OpKind::kShutdown:
    case OpKind::kDestroy:
    case OpKind::kSave:
      if (operation.host == vm.host)
        vm.power = model::VmPower::kOff;  // not of a half left elsewhere
      break;
    case OpKind::kMigrate:
      vm.host = operation.args.migration->host;
      // It ended in an error: what its source may keep of the guest is an old copy, whatever
      // becomes of the guest.
      if (operation.phase != model::OpPhase::kSucceeded) mark_stale(vm, operation.host);
      if (!operation.args.migration->copy_disks.empty()) {
        change_spec(vm, [&](model::VmSpec& spec) {
          apply_disks(spec, operation.args.migration->copy_disks);
        });
      }
      if (operation.result.migration) {
        vm.status.last_migration = operation.result.migration;
        if (const model::Host* from = world.host(operation.host))
          vm.status.last_migration->from = from->meta.name;
        vm.status.last_migration->to = operation.args.migration->host_name;
      }
      break;
    case OpKind::kMigrateStorage:
      change_spec(vm, [&](model::VmSpec& spec) {
        apply_disks(spec, operation.args.migration->copy_disks);
      });
      if (operation.result.migration) vm.status.last_migration = operation.result.migration;
      break;
    case OpKind::kResize:
      change_spec(vm, [&](model::VmSpec& spec) {
        if (args.vcpus > 0) spec.vcpus = args.vcpus;
        if (args.memory > Mib{}) spec.memory = args.memory;
        if (spec.max_vcpus > 0) spec.max_vcpus = std::max(spec.max_vcpus, spec.vcpus);
        if (spec.max_memory > Mib{}) spec.max_memory = std::max(spec.max_memory, spec.memory);
      });
      break;
    case OpKind::kTune:
      change_spec(vm, [&](model::VmSpec& spec) {
        if (args.cpu) spec.cpu = *args.cpu;
        if (args.memory_allocation) spec.memory_allocation = *args.memory_allocation;
      });
      break;
    case OpKind::kAttachDisk:
      change_spec(vm, [&](model::VmSpec& spec) { spec.disks.push_back(*args.disk); });
      break;
    case OpKind::kAttachNic:
      change_spec(vm, [&](model::VmSpec& spec) { spec.nics.push_back(*args.nic); });
      break;
    case OpKind::kChangeMedium:
      change_spec(vm, [&](model::VmSpec& spec) { apply_medium(spec, *args.cdrom); });
      break;
    case OpKind::kDetach:
      change_spec(vm, [&](model::VmSpec& spec) { apply_detach(spec, args.device); });
      break;
    case OpKind::kAdopt:
      if (operation.result.spec) vm.spec = *operation.result.spec;
      vm.defined = true;
      vm.adopted = true;
      break;
    default:
      break;
  }
}

}  // namespace chorok::control
