// What this host is: CPU, memory, NUMA, accelerator, versions, and what its driver can do.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <pugixml.hpp>

#include "adapters/libvirt/calls.h"
#include "adapters/libvirt/xml_util.h"

namespace chorok::adapters::libvirt {

using xml::Node;

namespace {

std::string version_text(unsigned long version) {
  return fmt::format("{}.{}.{}", version / 1000000, version / 1000 % 1000, version % 1000);
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The highest clock the kernel knows of for CPU 0; libvirt's number is a moment's.
Mhz max_mhz() {
  std::string text = first_line("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq");
  return Mhz(text.empty() ? 0 : std::strtoll(text.c_str(), nullptr, 10) / 1000);
}

Result<> add_node(const Session& session, model::HostInventory& host) {
  virNodeInfo node{};
  if (virNodeGetInfo(session.conn(), &node) < 0) return last_error("cannot read the host's size");
  host.cpu.sockets = static_cast<std::int32_t>(node.sockets * std::max(1U, node.nodes));
  host.cpu.cores = static_cast<std::int32_t>(node.cores);
  host.cpu.threads = static_cast<std::int32_t>(node.threads);
  host.cpu.online = static_cast<std::int32_t>(node.cpus);
  host.cpu.mhz = std::max(max_mhz(), Mhz(node.mhz));
  host.cpu.capacity = host.cpu.mhz * host.cpu.online;
  host.memory = Mib(static_cast<std::int64_t>(node.memory / 1024));
  return {};
}

void add_numa(Node caps, model::HostInventory& host) {
  for (Node cell : caps.child("host").child("topology").child("cells").children("cell")) {
    model::NumaNode numa;
    numa.id = cell.attribute("id").as_int();
    numa.memory = Mib(cell.child("memory").text().as_llong() / 1024);
    for (Node cpu : cell.child("cpus").children("cpu"))
      numa.cpus.push_back(cpu.attribute("id").as_int());
    host.numa.push_back(std::move(numa));
  }
}

void add_capabilities(const Session& session, model::HostInventory& host) {
  std::string text = take_string(virConnectGetCapabilities(session.conn()));
  pugi::xml_document document;
  if (!document.load_buffer(text.data(), text.size())) return;
  Node caps = document.child("capabilities");
  Node cpu = caps.child("host").child("cpu");
  host.cpu.arch = cpu.child("arch").text().get();
  host.cpu.model = cpu.child("model").text().get();
  host.cpu.vendor = cpu.child("vendor").text().get();
  add_numa(caps, host);
}

// The CPU that this hypervisor offers a guest, as <cpu> to compare with another host's.
std::string guest_cpu(Node mode) {
  pugi::xml_document document;
  Node cpu = xml::add(document, "cpu");
  for (Node child : mode.children()) cpu.append_copy(child);
  xml::with(xml::with(cpu, "mode", "custom"), "match", "exact");
  return xml::print(cpu);
}

void add_domain_capabilities(const Session& session, model::HostInventory& host) {
  const char* type =
      session.facts.accelerator.accelerator == model::Accelerator::kKvm ? "kvm" : "qemu";
  std::string text = take_string(virConnectGetDomainCapabilities(
      session.conn(), nullptr, session.facts.arch.c_str(), "q35", type, 0));
  pugi::xml_document document;
  if (text.empty() || !document.load_buffer(text.data(), text.size())) return;
  Node caps = document.child("domainCapabilities");
  for (Node mode : caps.child("cpu").children("mode")) {
    if (!xml::is(mode, "name", "host-model") || !xml::is(mode, "supported", "yes")) continue;
    host.cpu.definition = guest_cpu(mode);
    if (host.cpu.model.empty()) host.cpu.model = mode.child("model").text().get();
    if (host.cpu.vendor.empty()) host.cpu.vendor = mode.child("vendor").text().get();
  }
  if (xml::is(caps.child("devices").child("tpm"), "supported", "yes"))
    host.capabilities.emplace_back("tpm");
}

void add_machines(const Session& session, model::HostInventory& host) {
  std::string text = take_string(virConnectGetCapabilities(session.conn()));
  pugi::xml_document document;
  if (!document.load_buffer(text.data(), text.size())) return;
  for (Node guest : document.child("capabilities").children("guest")) {
    Node arch = guest.child("arch");
    if (!xml::is(arch, "name", session.facts.arch)) continue;
    for (Node machine : arch.children("machine")) host.machines.emplace_back(machine.text().get());
  }
  std::ranges::sort(host.machines);
  auto [from, to] = std::ranges::unique(host.machines);
  host.machines.erase(from, to);
}

struct DriverTable {
  const char* type;  // virConnectGetType
  std::vector<const char*> capabilities;
};
const DriverTable* driver_table(const std::string& type) {
  static const std::vector<DriverTable> kDrivers = {
      {"QEMU",
       {"live-migration", "cold-migration", "storage-migration", "migrate-storage", "post-copy",
        "auto-converge", "multifd", "compression", "snapshots", "console", "vnc", "save", "hotplug",
        "cpu-hotplug", "balloon", "tune", "adopt", "bulk-statistics"}},
      {"Xen", {"live-migration", "console", "vnc", "save", "balloon"}},
      {"LXC", {"console", "balloon", "tune"}},
      {"TEST", {"snapshots", "save"}},
      {"ESX", {}},
  };
  for (const DriverTable& each : kDrivers)
    if (type == each.type) return &each;
  return nullptr;
}

void add_driver(const Session& session, model::HostInventory& host) {
  const char* type = virConnectGetType(session.conn());
  host.hypervisor = type == nullptr ? "?" : type;
  if (const DriverTable* driver = driver_table(host.hypervisor))
    host.capabilities.insert(host.capabilities.end(), driver->capabilities.begin(),
                             driver->capabilities.end());
  if (host.hypervisor == "QEMU") {
    if (!session.facts.uefi.code.empty()) host.capabilities.emplace_back("uefi");
    if (!session.options.pki_dir.empty()) host.capabilities.emplace_back("tls");
  }
  std::ranges::sort(host.capabilities);
}

void add_versions(const Session& session, model::HostInventory& host) {
  unsigned long version = 0;
  if (virConnectGetLibVersion(session.conn(), &version) == 0)
    host.libvirt_version = version_text(version);
  if (virConnectGetVersion(session.conn(), &version) == 0 && version != 0)
    host.qemu_version = version_text(version);
  host.kernel = first_line("/proc/sys/kernel/osrelease");
  host.boot_id = first_line("/proc/sys/kernel/random/boot_id");
}

void simulate(const LibvirtOptions& options, model::HostInventory& host) {
  if (options.simulated_cores) {
    host.simulated = true;
    host.cpu.capacity =
        Mhz(std::llround(*options.simulated_cores * static_cast<double>(host.cpu.mhz.value)));
  }
  if (options.simulated_memory) {
    host.simulated = true;
    host.memory = std::min(host.memory, *options.simulated_memory);
  }
}

}  // namespace

Result<model::HostInventory> read_inventory(const Session& session) {
  model::HostInventory host;
  TRY(add_node(session, host));
  add_capabilities(session, host);
  add_domain_capabilities(session, host);
  add_machines(session, host);
  add_driver(session, host);
  add_versions(session, host);
  if (host.cpu.arch.empty()) host.cpu.arch = session.facts.arch;
  host.accelerator = session.facts.accelerator.accelerator;
  host.accelerator_reason = session.facts.accelerator.reason;
  host.address = session.options.address;
  if (std::string unsafe = live_migration_warning(host); !unsafe.empty())
    host.warnings.push_back(std::move(unsafe));
  simulate(session.options, host);
  return host;
}

}  // namespace chorok::adapters::libvirt
