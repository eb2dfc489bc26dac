#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "adapters/libvirt/domain_build.h"
#include "adapters/libvirt/domain_xml.h"

namespace chorok::adapters::libvirt {

using xml::add;
using xml::Node;
using xml::with;

namespace {

// Every CPU flag of x86-64-v2, all of which TCG has, and nothing that changes with QEMU's version:
// `max` would stop a migration between two versions, `qemu64` cannot run today's distributions.
constexpr const char* kTcgModel = "Nehalem";
// Slots on q35 that devices plugged in later need; each costs a guest about a millisecond of boot.
constexpr int kSpareSlots = 6;
constexpr std::int64_t kPeriodUs = 100000;
constexpr std::int64_t kLeastQuotaUs = 1000;  // libvirt's

bool has_bus(const model::DomainSpec& domain, model::DiskBus bus) {
  return std::ranges::any_of(domain.disks, [&](const auto& disk) { return disk.spec.bus == bus; });
}

class BootOrder {
 public:
  explicit BootOrder(const model::DomainSpec& domain) {
    if (!domain.kernel.empty()) return;
    std::vector<std::string> names = domain.spec.boot.order;
    if (names.empty()) {
      for (const auto& disk : domain.disks) names.push_back(disk.spec.name);
      for (const auto& cdrom : domain.cdroms) names.push_back(cdrom.spec.name);
      for (const auto& nic : domain.nics) names.push_back(nic.spec.name);
    }
    for (const std::string& name : names) places_.try_emplace(name, places_.size() + 1);
  }
  void apply(Node device, const std::string& name) const {
    auto found = places_.find(name);
    if (found != places_.end()) with(add(device, "boot"), "order", std::int64_t(found->second));
  }
  bool has(const std::string& name) const { return places_.contains(name); }

 private:
  std::map<std::string, std::size_t> places_;
};

// vda, vdb, …, vdz, vdaa: as Linux and libvirt count.
std::string target_name(const char* prefix, std::size_t index) {
  std::string letters;
  for (std::size_t n = index + 1; n > 0; n = (n - 1) / 26)
    letters.insert(letters.begin(), static_cast<char>('a' + (n - 1) % 26));
  return prefix + letters;
}

void add_pci_controllers(Node devices, const model::DomainSpec& domain) {
  int slots = kSpareSlots + 3;  // balloon, rng, virtio-serial
  slots += static_cast<int>(domain.nics.size());
  slots += static_cast<int>(std::ranges::count_if(
      domain.disks, [](const auto& disk) { return disk.spec.bus == model::DiskBus::kVirtio; }));
  if (has_bus(domain, model::DiskBus::kScsi)) ++slots;
  if (domain.spec.vnc) ++slots;  // usb
  if (domain.spec.max_memory > domain.spec.memory) ++slots;
  with(with(with(add(devices, "controller"), "type", "pci"), "index", 0), "model", "pcie-root");
  for (int i = 0; i < slots; ++i)
    with(with(add(devices, "controller"), "type", "pci"), "model", "pcie-root-port");
}

void add_console_devices(Node devices, const model::DomainSpec& domain) {
  Node serial = with(add(devices, "serial"), "type", "pty");
  with(add(serial, "target"), "port", 0);
  Node console = with(add(devices, "console"), "type", "pty");
  with(with(add(console, "target"), "type", "serial"), "port", 0);
  if (domain.spec.guest_agent) {
    Node channel = with(add(devices, "channel"), "type", "unix");
    with(with(add(channel, "target"), "type", "virtio"), "name", "org.qemu.guest_agent.0");
  }
  if (domain.spec.vnc) {
    // A pointer with absolute coordinates: without it the browser's pointer and the guest's drift.
    with(with(add(devices, "controller"), "type", "usb"), "model", "qemu-xhci");
    with(with(add(devices, "input"), "type", "tablet"), "bus", "usb");
    // No port and no path: whoever may see the screen is given a descriptor by libvirtd.
    Node graphics = with(add(devices, "graphics"), "type", "vnc");
    with(add(graphics, "listen"), "type", "none");
    with(add(add(devices, "video"), "model"), "type", "vga");
  } else {
    with(with(add(devices, "controller"), "type", "usb"), "model", "none");
    with(add(add(devices, "video"), "model"), "type", "none");
  }
}

void add_devices(Node root, const model::DomainSpec& domain) {
  Node devices = add(root, "devices");
  BootOrder order(domain);
  TargetNames targets;
  if (is_pcie_machine(domain.spec.machine)) add_pci_controllers(devices, domain);
  if (has_bus(domain, model::DiskBus::kScsi))
    with(with(add(devices, "controller"), "type", "scsi"), "model", "virtio-scsi");
  for (const auto& disk : domain.disks)
    order.apply(add_disk(devices, disk, targets.next(disk.spec.bus)), disk.spec.name);
  for (const auto& cdrom : domain.cdroms)
    order.apply(add_cdrom(devices, cdrom, targets.next(model::DiskBus::kSata)), cdrom.spec.name);
  for (const auto& nic : domain.nics) {
    Node element = add_nic(devices, nic);
    order.apply(element, nic.spec.name);
    // A boot ROM that is not going to be used is still loaded and searched at every boot.
    if (!order.has(nic.spec.name)) with(add(element, "rom"), "enabled", "no");
  }
  add_console_devices(devices, domain);
  if (domain.spec.tpm) {
    Node tpm = with(add(devices, "tpm"), "model", "tpm-crb");
    with(with(add(tpm, "backend"), "type", "emulator"), "version", "2.0");
  }
  add_memory_device(devices, domain.spec);
  Node rng = with(add(devices, "rng"), "model", "virtio");
  with(add(rng, "backend", "/dev/urandom"), "model", "random");
  Node balloon =
      with(with(add(devices, "memballoon"), "model", "virtio"), "freePageReporting", "on");
  with(add(balloon, "stats"), "period", kBalloonPeriodSeconds);
}

// `text`: a model's name, "name,+feature,-feature", or libvirt's <cpu>, of which only the model and
// the features are taken.
void add_cpu_model(Node cpu, const std::string& text) {
  if (text.starts_with("<")) {
    pugi::xml_document given;
    given.load_buffer(text.data(), text.size());
    Node from = given.child("cpu");
    with(add(cpu, "model", from.child("model").text().get()), "fallback", "forbid");
    for (Node feature : from.children("feature"))
      with(with(add(cpu, "feature"), "policy",
                xml::is(feature, "policy", "disable") ? "disable" : "require"),
           "name", std::string(xml::attribute(feature, "name")));
    return;
  }
  std::size_t comma = text.find(',');
  with(add(cpu, "model", text.substr(0, comma)), "fallback", "forbid");
  while (comma != std::string::npos) {
    std::size_t next = text.find(',', comma + 1);
    std::string word = text.substr(comma + 1, next - comma - 1);
    comma = next;
    bool off = word.starts_with('-');
    if (off || word.starts_with('+')) word.erase(0, 1);
    if (word.empty()) continue;
    with(with(add(cpu, "feature"), "policy", off ? "disable" : "require"), "name", word);
  }
}

}  // namespace

bool is_pcie_machine(const std::string& machine) {
  return machine.empty() || machine.find("q35") != std::string::npos;
}

std::string TargetNames::next(model::DiskBus bus) {
  bool is_virtio = bus == model::DiskBus::kVirtio;
  while (true) {
    std::string name = is_virtio ? target_name("vd", virtio_++) : target_name("sd", other_++);
    if (!taken_.contains(name)) return name;
  }
}

void TargetNames::take(std::string name) {
  taken_.insert(std::move(name));
}

Node add_disk(Node devices, const model::DomainDisk& disk, const std::string& target) {
  const model::DiskSpec& spec = disk.spec;
  Node element = with(with(add(devices, "disk"), "type", "file"), "device", "disk");
  Node driver = with(add(element, "driver"), "name", "qemu");
  with(driver, "type", spec.format == model::DiskFormat::kQcow2 ? "qcow2" : "raw");
  // Past the host's page cache, as a moving guest's disks should be; where the file system cannot,
  // QEMU drops what it has cached at the switch-over (it has since 3.0).
  with(driver, "cache", supports_direct_io(disk.path) ? "none" : "writeback");
  with(driver, "discard", "unmap");
  with(add(element, "source"), "file", disk.path);
  const char* bus = spec.bus == model::DiskBus::kVirtio ? "virtio"
                    : spec.bus == model::DiskBus::kScsi ? "scsi"
                                                        : "sata";
  with(with(add(element, "target"), "dev", target), "bus", bus);
  if (spec.read_only) add(element, "readonly");
  with(add(element, "alias"), "name", alias_of("disk", spec.name));
  return element;
}

Node add_cdrom(Node devices, const model::DomainCdrom& cdrom, const std::string& target) {
  Node element = with(with(add(devices, "disk"), "type", "file"), "device", "cdrom");
  with(with(add(element, "driver"), "name", "qemu"), "type", "raw");
  if (!cdrom.path.empty()) with(add(element, "source"), "file", cdrom.path);
  with(with(add(element, "target"), "dev", target), "bus", "sata");
  add(element, "readonly");
  with(add(element, "alias"), "name", alias_of("cdrom", cdrom.spec.name));
  return element;
}

Node add_nic(Node devices, const model::DomainNic& nic) {
  Node element = add(devices, "interface");
  set_nic_source(element, nic);
  if (!nic.spec.mac.empty()) with(add(element, "mac"), "address", nic.spec.mac);
  with(add(element, "model"), "type", nic.spec.model.empty() ? "virtio" : nic.spec.model);
  with(add(element, "alias"), "name", alias_of("nic", nic.spec.name));
  return element;
}

void set_nic_source(Node element, const model::DomainNic& nic) {
  element.remove_child("source");
  element.remove_child("vlan");
  element.remove_child("virtualport");
  Node source = element.prepend_child("source");
  if (!nic.libvirt_network.empty()) {
    with(element, "type", "network");
    with(source, "network", nic.libvirt_network);
  } else {
    with(element, "type", "bridge");
    with(source, "bridge", nic.bridge);
  }
  if (nic.vlan != 0) {
    with(add(add(element, "vlan"), "tag"), "id", nic.vlan);
    // Libvirt 9 tags ports of Open vSwitch bridges only.
    if (nic.libvirt_network.empty()) with(add(element, "virtualport"), "type", "openvswitch");
  }
}

void add_metadata(Node root, const std::string& vm, std::uint64_t generation) {
  Node metadata = xml::child(root, "metadata");
  metadata.remove_child("chorok:vm");
  Node element = add(metadata, "chorok:vm");
  with(element, "xmlns:chorok", kMetadataUri);
  with(element, "id", vm);
  with(element, "generation", std::to_string(generation));
}

void add_memory(Node root, const model::VmSpec& spec) {
  Node after = root.child("metadata");
  auto insert = [&](const char* name, Mib size) {
    after = root.insert_child_after(name, after);
    with(after, "unit", "MiB").text().set(std::to_string(size.value).c_str());
  };
  if (spec.max_memory > spec.memory) {
    insert("maxMemory", spec.max_memory);
    with(after, "slots", 16);
  }
  insert("memory", spec.memory);
  insert("currentMemory", spec.memory);
}

// What may be plugged in later, as one device that grows and shrinks by 2 MiB: it asks less of the
// guest than memory modules, and comes out again.
void add_memory_device(Node devices, const model::VmSpec& spec) {
  if (spec.max_memory <= spec.memory) return;
  constexpr std::int64_t kBlockMib = 2;
  Node device = with(add(devices, "memory"), "model", "virtio-mem");
  Node target = add(device, "target");
  add(target, "size", (spec.max_memory - spec.memory).value / kBlockMib * kBlockMib, "MiB");
  add(target, "node", std::int64_t{0});
  add(target, "block", kBlockMib, "MiB");
  add(target, "requested", std::int64_t{0}, "MiB");
}

void add_vcpus(Node root, const model::VmSpec& spec) {
  std::int32_t most = std::max(spec.vcpus, spec.max_vcpus);
  Node vcpu = add(root, "vcpu", std::int64_t{most});
  with(vcpu, "placement", "static");
  if (most != spec.vcpus) with(vcpu, "current", spec.vcpus);
}

void add_tuning(Node root, const model::VmSpec& spec, const HostFacts& host) {
  CpuTuning cpu = cpu_tuning(spec.cpu, spec.vcpus, host);
  if (cpu.shares != 0) {
    Node tune = add(root, "cputune");
    add(tune, "shares", static_cast<std::int64_t>(cpu.shares));
    if (cpu.quota_us > 0) {
      add(tune, "global_period", static_cast<std::int64_t>(cpu.period_us));
      add(tune, "global_quota", cpu.quota_us);
    }
  }
  // A soft limit: the kernel takes memory from this guest first. A hard one would kill it.
  if (host.memory_cgroup != CgroupVersion::kNone && spec.memory_allocation.limit > Mib{})
    add(add(root, "memtune"), "soft_limit", spec.memory_allocation.limit.value, "MiB");
}

void add_os(Node root, const model::DomainSpec& domain, const HostFacts& host) {
  Node os = add(root, "os");
  Node type = add(os, "type", "hvm");
  with(type, "arch", host.arch);
  with(type, "machine", domain.spec.machine.empty() ? "q35" : domain.spec.machine);
  if (domain.spec.firmware == model::Firmware::kUefi) {
    Node loader = add(os, "loader", host.uefi.code);
    with(with(loader, "readonly", "yes"), "type", "pflash");
    with(add(os, "nvram"), "template", host.uefi.vars);
  }
  if (domain.kernel.empty()) return;
  add(os, "kernel", domain.kernel);
  if (!domain.initrd.empty()) add(os, "initrd", domain.initrd);
  if (!domain.spec.boot.cmdline.empty()) add(os, "cmdline", domain.spec.boot.cmdline);
}

bool is_custom_cpu(const std::string& text) {
  return !text.empty() && !text.starts_with("host-");
}

bool has_cpu_model(Node cpu, const std::string& text) {
  auto features = [](Node of) {
    std::vector<std::pair<std::string, std::string>> all;
    for (Node feature : of.children("feature"))
      all.emplace_back(xml::attribute(feature, "name"), xml::attribute(feature, "policy"));
    std::ranges::sort(all);
    return all;
  };
  pugi::xml_document scratch;
  Node wanted = add(scratch, "cpu");
  add_cpu_model(wanted, text);
  return std::string_view(cpu.child("model").text().get()) == wanted.child("model").text().get() &&
         features(cpu) == features(wanted);
}

void add_cpu(Node root, const model::VmSpec& spec, const HostFacts& host) {
  bool kvm = host.accelerator.accelerator == model::Accelerator::kKvm;
  Node cpu = add(root, "cpu");
  if (spec.cpu_model == "host-passthrough" && kvm) {
    with(with(cpu, "mode", "host-passthrough"), "migratable", "on");
  } else if (kvm && (spec.cpu_model.empty() || spec.cpu_model.starts_with("host-"))) {
    with(cpu, "mode", "host-model");
  } else {
    bool named = is_custom_cpu(spec.cpu_model);
    with(with(cpu, "mode", "custom"), "match", "exact");
    // Emulation leaves out what it lacks of a model; asked for strictly, no guest would start.
    if (!kvm) with(cpu, "check", "none");
    add_cpu_model(cpu, named ? spec.cpu_model : kTcgModel);
  }
  add_cpu_shape(cpu, spec);
}

void add_cpu_shape(Node cpu, const model::VmSpec& spec) {
  std::int32_t most = std::max(spec.vcpus, spec.max_vcpus);
  Node topology = with(add(cpu, "topology"), "sockets", 1);
  with(with(with(topology, "dies", 1), "cores", most), "threads", 1);
  if (spec.max_memory > spec.memory) {
    Node cell = with(add(add(cpu, "numa"), "cell"), "id", 0);
    with(cell, "cpus", most == 1 ? "0" : fmt::format("0-{}", most - 1));
    with(with(cell, "memory", spec.memory.value), "unit", "MiB");
  }
}

CpuTuning cpu_tuning(const model::CpuAllocation& cpu, std::int32_t vcpus, const HostFacts& host) {
  CpuTuning tuning;
  if (host.cpu_cgroup == CgroupVersion::kNone) return tuning;
  std::int64_t shares = cpu.shares > 0 ? cpu.shares : 1000 * std::int64_t{vcpus};
  // Normal for one vCPU (1000) is what the kernel gives everyone: 1024 in v1, 100 in v2.
  if (host.cpu_cgroup == CgroupVersion::kV1)
    tuning.shares = static_cast<std::uint64_t>(
        std::clamp<std::int64_t>(shares > 250'000 ? 262'144 : shares * 1024 / 1000, 2, 262'144));
  else
    tuning.shares = static_cast<std::uint64_t>(std::clamp<std::int64_t>(shares / 10, 1, 10'000));
  if (cpu.limit > Mhz{} && host.core_mhz > Mhz{}) {
    double cores = cpu.limit / host.core_mhz;
    // A limit at or above the whole host is none; the kernel refuses one above its parent's.
    if (host.usable_cores > 0 && cores >= host.usable_cores) return tuning;
    tuning.quota_us = std::max<std::int64_t>(
        kLeastQuotaUs, std::int64_t(std::min(cores, 1e4) * double(kPeriodUs)));
  }
  return tuning;
}

std::string build_domain_xml(const model::DomainSpec& domain, const HostFacts& host) {
  bool kvm = host.accelerator.accelerator == model::Accelerator::kKvm;
  pugi::xml_document document;
  Node root = with(add(document, "domain"), "type", kvm ? "kvm" : "qemu");
  add(root, "name", domain.name);
  add(root, "uuid", domain.uuid);
  add_metadata(root, domain.vm, domain.generation);
  add_memory(root, domain.spec);
  add_vcpus(root, domain.spec);
  add_tuning(root, domain.spec, host);
  add_os(root, domain, host);
  Node features = add(root, "features");
  add(features, "acpi");
  add(features, "apic");
  add_cpu(root, domain.spec, host);
  Node clock = with(add(root, "clock"), "offset", "utc");
  if (kvm) {
    with(with(add(clock, "timer"), "name", "rtc"), "tickpolicy", "catchup");
    with(with(add(clock, "timer"), "name", "pit"), "tickpolicy", "delay");
    with(with(add(clock, "timer"), "name", "hpet"), "present", "no");
  }
  add(root, "on_poweroff", "destroy");
  add(root, "on_reboot", "restart");
  add(root, "on_crash", "destroy");
  add_devices(root, domain);
  return xml::print(root);
}

std::string disk_xml(const model::DomainDisk& disk, const std::string& target) {
  pugi::xml_document document;
  return xml::print(add_disk(document, disk, target));
}
std::string cdrom_xml(const model::DomainCdrom& cdrom, const std::string& target) {
  pugi::xml_document document;
  return xml::print(add_cdrom(document, cdrom, target));
}
std::string nic_xml(const model::DomainNic& nic) {
  pugi::xml_document document;
  return xml::print(add_nic(document, nic));
}
std::string metadata_xml(const std::string& vm, std::uint64_t generation) {
  pugi::xml_document document;
  Node element = add(document, "vm");
  with(with(element, "id", vm), "generation", std::to_string(generation));
  return xml::print(element);
}

std::string alias_of(std::string_view kind, std::string_view name) {
  std::string alias = fmt::format("ua-{}-", kind);
  for (char c : name) {
    if (c == '_') {
      alias += "__";
    } else if (c == '.') {
      alias += "_d";
    } else {
      alias += c;
    }
  }
  return alias;
}

std::optional<std::string> name_of_alias(std::string_view kind, std::string_view alias) {
  std::string prefix = fmt::format("ua-{}-", kind);
  if (!alias.starts_with(prefix)) return std::nullopt;
  std::string name;
  for (std::size_t i = prefix.size(); i < alias.size(); ++i) {
    if (alias[i] == '_' && i + 1 < alias.size()) {
      name += alias[++i] == 'd' ? '.' : '_';
    } else {
      name += alias[i];
    }
  }
  return name;
}

}  // namespace chorok::adapters::libvirt
