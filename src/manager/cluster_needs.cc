#include "manager/cluster_needs.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::manager {

using model::Index;

namespace {

bool has(const std::vector<std::string>& list, std::string_view item) {
  return std::ranges::find(list, item) != list.end();
}

void sort_unique(std::vector<std::string>& names) {
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
}

// A datastore of that name on one host.
std::string only_there(std::string_view datastore, std::string_view host_id) {
  return fmt::format("{}@{}", datastore, host_id);
}

constexpr std::string_view kHome = "what it keeps";

std::string text_of(std::string_view cpu, const std::vector<std::string>& datastores,
                    const std::vector<std::string>& networks) {
  std::string text(cpu);
  for (const auto* list : {&datastores, &networks}) {
    text += '\n';
    for (const std::string& name : *list) text += name + ' ';
  }
  return text;
}

template <class T>
Index number(std::unordered_map<std::string, Index>& known, std::vector<T>& all, std::string text,
             T item) {
  const auto [it, fresh] = known.try_emplace(std::move(text), static_cast<Index>(all.size()));
  if (fresh) all.push_back(std::move(item));
  return it->second;
}

}  // namespace

std::string ClusterNeeds::Hardware::name() const {
  std::string out;
  auto add = [&](std::string_view word) { out += (out.empty() ? "" : " ") + std::string(word); };
  if (live) add(arch);
  if (live) add(::chorok::name_of(accelerator));
  if (!cpu.empty()) add(cpu);
  if (!machine.empty()) add(machine);
  if (uefi) add("uefi");
  if (tpm) add("tpm");
  return out;
}

bool ClusterNeeds::Hardware::holds(const model::HostInventory& inventory) const {
  if (!machine.empty() && !inventory.machines.empty() && !has(inventory.machines, machine))
    return false;
  if (uefi && !has(inventory.capabilities, "uefi")) return false;
  if (tpm && !has(inventory.capabilities, "tpm")) return false;
  if (!live) return true;
  return inventory.accelerator == accelerator && inventory.cpu.arch == arch &&
         (cpu.empty() || inventory.cpu.model == cpu) &&
         has(inventory.capabilities, "live-migration");
}

ClusterNeeds::Hardware ClusterNeeds::hardware(const model::Vm& vm,
                                              const model::Host* source) const {
  Hardware needs;
  needs.machine = vm.spec.machine;
  needs.uefi = vm.spec.firmware == model::Firmware::kUefi;
  needs.tpm = vm.spec.tpm;
  if (source == nullptr) return needs;
  needs.live = true;
  needs.accelerator = source->inventory.accelerator;
  needs.arch = source->inventory.cpu.arch;
  if (vm.spec.cpu_model.empty() && cluster_.cpu_baseline.empty())
    needs.cpu = source->inventory.cpu.model;
  return needs;
}

template <class T>
std::string ClusterNeeds::name_of(const Table<T>& table, const std::string& ref) {
  const auto record = table.resolve(ref);
  return record == nullptr ? "?" + ref : record->meta.name;
}

void ClusterNeeds::add_disk(model::Requirement& needs, const model::Vm& vm,
                            const model::DiskSpec& disk) {
  const auto home = inventory_.datastores().resolve(disk.datastore);
  std::string name = name_of(inventory_.datastores(), disk.datastore);
  const bool there_alone = home != nullptr && !home->shared && vm.defined && !vm.host.empty();
  if (there_alone) local_ = true;
  needs.datastores.push_back(there_alone ? only_there(name, vm.host) : std::move(name));
}

Index ClusterNeeds::need(const model::Vm& vm, const model::Host* source, bool at_home) {
  model::Requirement needs;
  if (at_home) {
    home_ = true;
    needs.datastores.push_back(only_there(kHome, vm.host));
  }
  Hardware below = hardware(vm, source);
  needs.cpu = below.name();
  for (const model::DiskSpec& disk : vm.spec.disks) add_disk(needs, vm, disk);
  for (const model::CdromSpec& cdrom : vm.spec.cdroms)
    if (!cdrom.path.empty())
      needs.datastores.push_back(name_of(inventory_.datastores(), cdrom.datastore));
  if (!vm.spec.boot.kernel.empty())
    needs.datastores.push_back(name_of(inventory_.datastores(), vm.spec.boot.datastore));
  for (const model::NicSpec& nic : vm.spec.nics)
    needs.networks.push_back(name_of(inventory_.networks(), nic.network));
  sort_unique(needs.datastores);
  sort_unique(needs.networks);
  if (!needs.cpu.empty()) hardware_.try_emplace(needs.cpu, std::move(below));
  std::string text = text_of(needs.cpu, needs.datastores, needs.networks);
  return number(requirement_of_, requirements_, std::move(text), std::move(needs));
}

std::string ClusterNeeds::pinned(const model::Vm& vm) const {
  for (const model::DiskSpec& disk : vm.spec.disks) {
    const auto home = inventory_.datastores().resolve(disk.datastore);
    if (home != nullptr && !home->shared)
      return fmt::format("disk '{}' is on local datastore '{}'", disk.name, home->meta.name);
  }
  for (const model::CdromSpec& cdrom : vm.spec.cdroms) {
    const auto home = inventory_.datastores().resolve(cdrom.datastore);
    if (!cdrom.path.empty() && home != nullptr && !home->shared)
      return fmt::format("CD-ROM '{}' holds a medium from local datastore '{}'; eject it",
                         cdrom.name, home->meta.name);
  }
  return {};
}

Index ClusterNeeds::offer(const model::Host& host) {
  model::Offer has_it;
  for (const auto& [name, needs] : hardware_)
    if (needs.holds(host.inventory)) has_it.cpus.push_back(name);
  for (const model::DatastoreReach& reach : host.datastores) {
    const auto datastore = inventory_.datastores().find(reach.datastore);
    if (!reach.reachable || datastore == nullptr) continue;
    has_it.datastores.push_back(datastore->meta.name);
    if (local_ && !datastore->shared)
      has_it.datastores.push_back(only_there(datastore->meta.name, host.meta.id));
  }
  if (home_) has_it.datastores.push_back(only_there(kHome, host.meta.id));
  for (const model::NetworkReach& reach : host.networks) {
    const auto network = inventory_.networks().find(reach.network);
    if (reach.reachable && network != nullptr) has_it.networks.push_back(network->meta.name);
  }
  sort_unique(has_it.datastores);
  sort_unique(has_it.networks);
  std::string text =
      text_of(fmt::format("{}", fmt::join(has_it.cpus, ",")), has_it.datastores, has_it.networks);
  return number(offer_of_, offers_, std::move(text), std::move(has_it));
}

}  // namespace chorok::manager
