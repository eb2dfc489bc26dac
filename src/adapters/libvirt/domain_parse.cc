#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "adapters/libvirt/domain_build.h"
#include "adapters/libvirt/domain_xml.h"

namespace chorok::adapters::libvirt {

using xml::attribute;
using xml::is;
using xml::Node;

namespace {

// Far above what libvirt itself gives out for a domain with hundreds of devices.
constexpr std::size_t kMaxXmlBytes = 4 << 20;
constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxDevices = 1024;

std::optional<std::int64_t> number(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0)
    text.remove_prefix(1);
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end == text.data()) return std::nullopt;
  return value;
}

std::int32_t small_number(std::string_view text, std::int32_t most) {
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(number(text).value_or(0), 0, most));
}

struct Unit {
  const char* name;
  double bytes;
};
constexpr Unit kUnits[] = {
    {"b", 1},        {"bytes", 1},     {"KB", 1e3},        {"k", 1024.0},   {"KiB", 1024.0},
    {"MB", 1e6},     {"M", 1048576.0}, {"MiB", 1048576.0}, {"GB", 1e9},     {"G", 0x1p30},
    {"GiB", 0x1p30}, {"TB", 1e12},     {"T", 0x1p40},      {"TiB", 0x1p40},
};

}  // namespace

Mib mib_of(Node element) {
  std::string_view unit = attribute(element, "unit");
  double factor = 1024;  // libvirt's default is KiB
  for (const Unit& each : kUnits)
    if (unit == each.name) factor = each.bytes;
  double bytes = static_cast<double>(number(element.text().get()).value_or(0)) * factor;
  return Mib(static_cast<std::int64_t>(std::clamp(std::floor(bytes / 0x1p20), 0.0, 0x1p40)));
}

namespace {

// A deep tree would be walked recursively when it is printed.
bool too_deep(Node root) {
  struct Walker : pugi::xml_tree_walker {
    bool deep = false;
    bool for_each(pugi::xml_node&) override {
      deep = deep || static_cast<std::size_t>(depth()) > kMaxDepth;
      return !deep;
    }
  } walker;
  root.traverse(walker);
  return walker.deep;
}

DeviceRef disk_ref(Node disk) {
  DeviceRef ref;
  bool cdrom = is(disk, "device", "cdrom");
  ref.kind = cdrom ? DeviceRef::Kind::kCdrom : DeviceRef::Kind::kDisk;
  ref.target = attribute(disk.child("target"), "dev");
  ref.bus = attribute(disk.child("target"), "bus");
  Node source = disk.child("source");
  for (const char* name : {"file", "dev", "name", "dir", "volume"})
    if (ref.path.empty()) ref.path = attribute(source, name);
  ref.name = name_of_alias(cdrom ? "cdrom" : "disk", attribute(disk.child("alias"), "name"))
                 .value_or(ref.target);
  return ref;
}

DeviceRef nic_ref(Node nic) {
  DeviceRef ref;
  ref.kind = DeviceRef::Kind::kNic;
  ref.mac = attribute(nic.child("mac"), "address");
  ref.target = attribute(nic.child("target"), "dev");
  Node source = nic.child("source");
  for (const char* name : {"bridge", "network", "dev"})
    if (ref.path.empty()) ref.path = attribute(source, name);
  auto name = name_of_alias("nic", attribute(nic.child("alias"), "name"));
  if (name) {
    ref.name = *name;
  } else {
    ref.name = "nic-" + ref.mac;
    std::erase(ref.name, ':');
  }
  return ref;
}

void read_metadata(Node root, ParsedDomain& domain) {
  for (Node element : root.child("metadata").children()) {
    std::string_view name = element.name();
    if (name != "vm" && !name.ends_with(":vm")) continue;
    bool ours = false;
    for (pugi::xml_attribute each : element.attributes())
      ours = ours || (std::strncmp(each.name(), "xmlns", 5) == 0 &&
                      std::string_view(each.value()) == kMetadataUri);
    if (!ours) continue;
    domain.instance.vm = attribute(element, "id");
    domain.instance.generation = static_cast<std::uint64_t>(
        std::max<std::int64_t>(0, number(attribute(element, "generation")).value_or(0)));
  }
}

void read_size(Node root, ParsedDomain& domain) {
  model::VmSpec& spec = domain.spec;
  Node vcpu = root.child("vcpu");
  std::int32_t most = std::max(1, small_number(vcpu.text().get(), 4096));
  std::int32_t current = small_number(attribute(vcpu, "current"), most);
  spec.vcpus = current > 0 ? current : most;
  spec.max_vcpus = most == spec.vcpus ? 0 : most;
  spec.memory = mib_of(root.child("memory"));
  Mib max = mib_of(root.child("maxMemory"));
  // Memory devices are counted in <memory>: what the guest boots with is its NUMA cells' sum.
  if (max > Mib{}) {
    Mib cells{};
    for (Node cell : root.child("cpu").child("numa").children("cell")) {
      pugi::xml_document holder;
      Node size = holder.append_child("memory");
      xml::with(size, "unit", std::string(attribute(cell, "unit")));
      size.text().set(cell.attribute("memory").value());
      cells += mib_of(size);
    }
    if (cells > Mib{}) spec.memory = cells;
    if (max > spec.memory) spec.max_memory = max;
  }
  domain.instance.vcpus = spec.vcpus;
  Mib balloon = mib_of(root.child("currentMemory"));
  domain.instance.memory = balloon > Mib{} ? balloon : spec.memory;
}

void read_boot(Node root, ParsedDomain& domain) {
  model::VmSpec& spec = domain.spec;
  Node os = root.child("os");
  domain.machine = attribute(os.child("type"), "machine");
  bool plain_q35 = domain.machine == "q35" || domain.machine.starts_with("pc-q35-");
  spec.machine = plain_q35 ? "" : domain.machine;
  bool uefi = is(os, "firmware", "efi") || is(os.child("loader"), "type", "pflash");
  spec.firmware = uefi ? model::Firmware::kUefi : model::Firmware::kBios;
  spec.boot.kernel = os.child("kernel").text().get();
  spec.boot.initrd = os.child("initrd").text().get();
  spec.boot.cmdline = os.child("cmdline").text().get();
  Node cpu = root.child("cpu");
  if (cpu) domain.cpu_xml = xml::print(cpu);
  std::string_view mode = attribute(cpu, "mode");
  if (mode == "host-passthrough") spec.cpu_model = "host-passthrough";
  if (mode == "custom") spec.cpu_model = cpu.child("model").text().get();
}

void read_disk(Node node, const DeviceRef& ref, ParsedDomain& domain) {
  if (ref.kind == DeviceRef::Kind::kCdrom) {
    model::CdromSpec cdrom;
    cdrom.name = ref.name;
    cdrom.path = ref.path;
    domain.spec.cdroms.push_back(std::move(cdrom));
    return;
  }
  model::DiskSpec disk;
  disk.name = ref.name;
  disk.path = ref.path;
  disk.format = is(node.child("driver"), "type", "qcow2") ? model::DiskFormat::kQcow2
                                                          : model::DiskFormat::kRaw;
  disk.bus = ref.bus == "virtio" ? model::DiskBus::kVirtio
             : ref.bus == "scsi" ? model::DiskBus::kScsi
                                 : model::DiskBus::kSata;
  disk.read_only = static_cast<bool>(node.child("readonly"));
  disk.keep = true;  // whoever made it decides over it
  domain.spec.disks.push_back(std::move(disk));
  model::DiskInfo info;
  info.name = ref.name;
  info.target = ref.target;
  info.path = ref.path;
  domain.instance.disks.push_back(std::move(info));
}

void read_nic(Node node, const DeviceRef& ref, ParsedDomain& domain) {
  model::NicSpec nic;
  nic.name = ref.name;
  nic.network = ref.path;
  nic.mac = ref.mac;
  std::string_view model = attribute(node.child("model"), "type");
  if (model != "virtio") nic.model = model;
  domain.spec.nics.push_back(std::move(nic));
  if (!ref.mac.empty()) domain.instance.macs.push_back(ref.mac);
}

void read_devices(Node root, ParsedDomain& domain) {
  Node devices = root.child("devices");
  std::vector<std::pair<std::int64_t, std::string>> order;
  for (DeviceNode& device : scan_devices(devices)) {
    if (device.ref.kind == DeviceRef::Kind::kNic)
      read_nic(device.node, device.ref, domain);
    else
      read_disk(device.node, device.ref, domain);
    if (auto place = number(attribute(device.node.child("boot"), "order")))
      order.emplace_back(*place, device.ref.name);
    device.ref.xml = xml::print(device.node);
    domain.devices.push_back(std::move(device.ref));
  }
  std::ranges::sort(order);
  for (auto& [place, name] : order) domain.spec.boot.order.push_back(std::move(name));
  domain.spec.tpm = static_cast<bool>(devices.child("tpm"));
  domain.spec.vnc = false;
  for (Node graphics : devices.children("graphics"))
    domain.spec.vnc = domain.spec.vnc || is(graphics, "type", "vnc");
  domain.spec.guest_agent = false;
  for (Node channel : devices.children("channel")) {
    Node target = channel.child("target");
    if (!is(target, "name", "org.qemu.guest_agent.0")) continue;
    domain.spec.guest_agent = true;
    domain.agent_connected = is(target, "state", "connected");
  }
  Node memory = devices.find_child_by_attribute("memory", "model", "virtio-mem");
  if (memory) domain.memory_device_xml = xml::print(memory);
  domain.has_host_devices = static_cast<bool>(devices.child("hostdev"));
}

}  // namespace

std::vector<DeviceNode> scan_devices(Node devices) {
  std::vector<DeviceNode> found;
  for (Node node : devices.children()) {
    std::string_view name = node.name();
    bool disk = name == "disk" && !is(node, "device", "floppy") && !is(node, "device", "lun");
    if (disk) found.push_back({node, disk_ref(node)});
    if (name == "interface") found.push_back({node, nic_ref(node)});
    if (found.size() >= kMaxDevices) break;
  }
  return found;
}

Result<ParsedDomain> parse_domain_xml(std::string_view text) {
  if (text.size() > kMaxXmlBytes) return fail(Code::kInvalid, "the domain XML is over 4 MiB");
  pugi::xml_document document;
  pugi::xml_parse_result parsed = document.load_buffer(text.data(), text.size());
  if (!parsed)
    return fail(Code::kInvalid,
                std::string("the domain XML does not parse: ") + parsed.description());
  Node root = document.child("domain");
  if (!root) return fail(Code::kInvalid, "the XML is not a domain's");
  if (too_deep(document)) return fail(Code::kInvalid, "the domain XML is nested too deeply");
  ParsedDomain domain;
  domain.type = attribute(root, "type");
  domain.instance.name = root.child("name").text().get();
  domain.instance.uuid = root.child("uuid").text().get();
  read_metadata(root, domain);
  read_size(root, domain);
  read_boot(root, domain);
  read_devices(root, domain);
  return domain;
}

const DeviceRef* find_device(const ParsedDomain& domain, std::string_view name) {
  for (const DeviceRef& device : domain.devices)
    if (device.name == name) return &device;
  for (const DeviceRef& device : domain.devices)
    if (!device.target.empty() && device.target == name) return &device;
  return nullptr;
}

std::string free_target(const ParsedDomain& domain, model::DiskBus bus) {
  TargetNames names;
  for (const DeviceRef& device : domain.devices) names.take(device.target);
  return names.next(bus);
}

}  // namespace chorok::adapters::libvirt
