#include "control/compatibility.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/steps.h"

namespace chorok::control {
namespace {

using Reasons = std::vector<std::string>;

void check_host(const model::Host& host, Reasons& out) {
  if (host.link != model::HostLink::kConnected) out.emplace_back("it is not connected");
  if (host.power != model::HostPower::kOn)
    out.push_back(fmt::format("its power is {}", name_of(host.power)));
  if (host.watch.phase == model::HostPhase::kStopping) out.emplace_back("it is being switched off");
  if (host.admin != model::HostAdmin::kEnabled)
    out.push_back(fmt::format(
        "it is in {}", host.admin == model::HostAdmin::kDraining ? "evacuation" : "maintenance"));
  if (!host.libvirt_message.empty())
    out.push_back("libvirt does not answer there: " + host.libvirt_message);
}

bool reaches_datastore(const model::Host& host, const std::string& id) {
  return std::ranges::any_of(host.datastores,
                             [&](const auto& r) { return r.datastore == id && r.reachable; });
}

void check_datastore(const model::Host& host, std::string_view ref, std::string_view what,
                     const Lookup& world, Reasons& out) {
  const model::Datastore* datastore = world.datastore(ref);
  if (datastore == nullptr) {
    out.push_back(fmt::format("{} is on datastore '{}', which is not known", what, ref));
  } else if (!reaches_datastore(host, datastore->meta.id)) {
    out.push_back(fmt::format("{} is on datastore '{}', which it does not reach", what,
                              datastore->meta.name));
  }
}

void check_storage(const model::Vm& vm, const model::Host& host, Purpose purpose,
                   std::string_view datastore, const Lookup& world, Reasons& out) {
  bool moving = purpose == Purpose::kLiveMigrate || purpose == Purpose::kColdMigrate;
  for (const model::DiskSpec& disk : vm.spec.disks) {
    const model::Datastore* home = world.datastore(disk.datastore);
    bool local = home != nullptr && !home->shared;
    if (moving && (local || !datastore.empty()))
      continue;  // copied: disks_to_copy checks the target's side
    bool elsewhere = local && vm.defined && !vm.host.empty() && vm.host != host.meta.id;
    if (elsewhere) {
      out.push_back(fmt::format(
          "disk '{}' is on local datastore '{}' of another host; migrate it there instead",
          disk.name, home->meta.name));
      continue;
    }
    check_datastore(host, disk.datastore, fmt::format("disk '{}'", disk.name), world, out);
  }
  if (moving) {
    auto copies = disks_to_copy(vm, host, datastore, world);
    if (!copies) out.push_back(copies.error().message);
  }
  for (const model::CdromSpec& cdrom : vm.spec.cdroms) {
    if (cdrom.path.empty()) continue;
    const model::Datastore* home = world.datastore(cdrom.datastore);
    if (moving && home != nullptr && !home->shared)
      out.push_back(
          fmt::format("CD-ROM '{}' holds a medium from local datastore '{}'; eject it first",
                      cdrom.name, home->meta.name));
    else
      check_datastore(host, cdrom.datastore, fmt::format("the medium of '{}'", cdrom.name), world,
                      out);
  }
  if (!vm.spec.boot.kernel.empty())
    check_datastore(host, vm.spec.boot.datastore, "its kernel", world, out);
}

void check_networks(const model::Vm& vm, const model::Host& host, const Lookup& world,
                    Reasons& out) {
  for (const model::NicSpec& nic : vm.spec.nics) {
    const model::Network* network = world.network(nic.network);
    if (network == nullptr) {
      out.push_back(
          fmt::format("NIC '{}' is on network '{}', which is not known", nic.name, nic.network));
      continue;
    }
    auto reach = std::ranges::find(host.networks, network->meta.id, &model::NetworkReach::network);
    if (reach == host.networks.end() || !reach->reachable)
      out.push_back(
          fmt::format("it does not reach network '{}' of NIC '{}'", network->meta.name, nic.name));
  }
}

void check_resources(const model::Vm& vm, const model::Host& host, const Lookup& world,
                     Reasons& out) {
  Lookup::Committed committed = world.committed(host.meta.id);
  const model::HostInventory& inventory = host.inventory;
  const double overcommit = world.cluster_of(host.meta.id).settings.power.memory_overcommit;
  const auto room = static_cast<std::int64_t>(static_cast<double>(inventory.memory.value) *
                                              std::max(1.0, overcommit));
  if (committed.memory + vm.spec.memory > Mib{room})
    out.push_back(
        fmt::format("it has {} MiB of memory, {} are given to running VMs and this one needs {}",
                    room, committed.memory.value, vm.spec.memory.value));
  Mhz cpu = vm.spec.cpu.reservation;
  if (cpu > Mhz{} && committed.cpu_reserved + cpu > inventory.cpu.capacity)
    out.push_back(fmt::format("of its {} MHz {} are reserved and this one reserves {}",
                              inventory.cpu.capacity.value, committed.cpu_reserved.value,
                              cpu.value));
  Mib memory = vm.spec.memory_allocation.reservation;
  if (memory > Mib{} && committed.memory_reserved + memory > inventory.memory)
    out.push_back(fmt::format("of its {} MiB {} are reserved and this one reserves {}",
                              inventory.memory.value, committed.memory_reserved.value,
                              memory.value));
}

bool has(const std::vector<std::string>& list, std::string_view item) {
  return std::ranges::find(list, item) != list.end();
}

void check_hardware(const model::Vm& vm, const model::Host& host, Purpose purpose,
                    const Lookup& world, Reasons& out) {
  const model::HostInventory& inventory = host.inventory;
  if (!vm.spec.machine.empty() && !inventory.machines.empty() &&
      !has(inventory.machines, vm.spec.machine))
    out.push_back(fmt::format("its QEMU has no machine type '{}'", vm.spec.machine));
  if (vm.spec.firmware == model::Firmware::kUefi && !has(inventory.capabilities, "uefi"))
    out.emplace_back("it has no UEFI firmware (package ovmf)");
  if (vm.spec.tpm && !has(inventory.capabilities, "tpm"))
    out.emplace_back("it has no TPM emulator (package swtpm)");
  const model::Host* source = world.host(vm.host);
  if (purpose != Purpose::kLiveMigrate || source == nullptr) return;
  if (source->inventory.accelerator != inventory.accelerator)
    out.push_back(fmt::format("it runs guests by {}, the source by {}",
                              name_of(inventory.accelerator),
                              name_of(source->inventory.accelerator)));
  if (source->inventory.cpu.arch != inventory.cpu.arch)
    out.push_back(fmt::format("its architecture is {}, the source's {}", inventory.cpu.arch,
                              source->inventory.cpu.arch));
  if (!has(inventory.capabilities, "live-migration"))
    out.push_back(fmt::format("its driver ({}) has no live migration", inventory.hypervisor));
}

}  // namespace

bool is_unknown_yet(const model::Host& host, const Lookup& world) {
  if (host.link != model::HostLink::kConnected || !host.libvirt_message.empty()) return false;
  return !world.fresh(host.meta.id) || host.inventory.memory == Mib{};
}

std::vector<std::string> incompatibilities(const model::Vm& vm, const model::Host& target,
                                           Purpose purpose, std::string_view datastore,
                                           const Lookup& world) {
  Reasons out;
  check_host(target, out);
  if (is_unknown_yet(target, world)) {
    out.emplace_back("what it has is not known yet, it has just connected; ask again in a moment");
    return out;
  }
  check_storage(vm, target, purpose, datastore, world, out);
  check_networks(vm, target, world, out);
  check_hardware(vm, target, purpose, world, out);
  const bool runs = purpose == Purpose::kStart || purpose == Purpose::kLiveMigrate;
  if (runs) check_resources(vm, target, world, out);
  return out;
}

const model::Host* choose_host(const model::Vm& vm, Purpose purpose, const Lookup& world,
                               std::vector<std::string>* rejected) {
  const model::Host* best = nullptr;
  Mib best_left{};
  bool best_alone = false;
  for (const model::Host* host : world.hosts()) {
    bool moving = purpose == Purpose::kLiveMigrate || purpose == Purpose::kColdMigrate;
    if (moving && host->meta.id == vm.host) continue;
    if (!world.at_home(vm, *host)) {
      if (rejected != nullptr)
        rejected->push_back(fmt::format("{}: it is of another cluster", host->meta.name));
      continue;
    }
    auto reasons = incompatibilities(vm, *host, purpose, {}, world);
    // VMs that are to be together leave a host one after the other: each where the first went.
    bool alone = false;
    for (BrokenRule& rule : world.broken_rules(vm, *host)) {
      alone |= moving && rule.together;
      if (rule.must && purpose != Purpose::kPlace && !(moving && rule.together))
        reasons.push_back(std::move(rule.text));
    }
    if (!reasons.empty()) {
      if (rejected != nullptr)
        rejected->push_back(fmt::format("{}: {}", host->meta.name, fmt::join(reasons, ", ")));
      continue;
    }
    Mib left = host->inventory.memory - world.committed(host->meta.id).memory;
    bool better = best == nullptr || left > best_left ||
                  (left == best_left && host->meta.name < best->meta.name);
    if (best != nullptr && alone != best_alone) better = best_alone;
    if (!better) continue;
    best = host;
    best_left = left;
    best_alone = alone;
  }
  return best;
}

std::string_view kept_at_home(const model::Vm& vm) {
  if (!vm.defined) return {};
  if (vm.status.state == model::VmState::kSaved) return "its saved memory";
  if (!vm.status.snapshots.empty()) return "what is known of its snapshots";
  if (vm.spec.tpm) return "the state of its TPM";
  if (vm.spec.firmware == model::Firmware::kUefi) return "what its firmware remembers";
  return {};
}

bool is_to_be_placed(const model::Vm& vm, const model::Task& task) {
  if (!task.args.host.empty()) return false;
  if (task.kind == "vm.create") return task.args.start && vm.host.empty();
  return task.kind == "vm.start" && !is_running(vm.status.state) &&
         vm.status.state != model::VmState::kUnknown;
}

bool waits_for_host(const model::Task& task) {
  const bool starts = task.kind == "vm.start" || (task.kind == "vm.create" && task.args.start);
  return starts && task.state == model::TaskState::kQueued && task.started != Time{} &&
         task.args.host.empty();
}

std::string_view start_target(const model::Task& task) {
  if (task.kind != "vm.start" || task.state != model::TaskState::kRunning) return {};
  for (std::size_t i = task.step; i < task.steps.size(); ++i)
    if (task.steps[i].kind == model::OpKind::kStart && !task.steps[i].compensation)
      return task.steps[i].host;
  return {};
}

}  // namespace chorok::control
