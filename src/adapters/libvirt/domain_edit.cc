#include <fmt/format.h>

#include <algorithm>

#include "adapters/libvirt/domain_build.h"
#include "adapters/libvirt/domain_xml.h"

namespace chorok::adapters::libvirt {

using xml::is;
using xml::Node;
using xml::with;

namespace {

struct Match {
  std::vector<DeviceNode> devices;

  Node disk(const std::string& name) const { return find(DeviceRef::Kind::kDisk, name); }
  Node cdrom(const std::string& name) const { return find(DeviceRef::Kind::kCdrom, name); }
  Node nic(const model::NicSpec& spec) const {
    Node found = find(DeviceRef::Kind::kNic, spec.name);
    if (found || spec.mac.empty()) return found;
    for (const DeviceNode& each : devices)
      if (each.ref.kind == DeviceRef::Kind::kNic && each.ref.mac == spec.mac) return each.node;
    return {};
  }
  Node find(DeviceRef::Kind kind, const std::string& name) const {
    for (const DeviceNode& each : devices)
      if (each.ref.kind == kind && each.ref.name == name) return each.node;
    return {};
  }
};

std::string source_of(const Match& match, Node element) {
  for (const DeviceNode& each : match.devices)
    if (each.node == element) return each.ref.path;
  return {};
}

void set_source_file(const Match& match, Node element, const std::string& path) {
  if (source_of(match, element) == path) return;
  if (path.empty()) {
    element.remove_child("source");
    return;
  }
  Node source = xml::child(element, "source");
  with(element, "type", "file");
  source.remove_attributes();
  source.remove_children();
  with(source, "file", path);
  element.remove_child("backingStore");
}

void edit_disks(Node devices, const Match& match, const model::DomainSpec& domain,
                std::vector<Node>& kept) {
  TargetNames targets;
  for (const DeviceNode& each : match.devices) targets.take(each.ref.target);
  for (const auto& disk : domain.disks) {
    Node found = match.disk(disk.spec.name);
    if (found) {
      set_source_file(match, found, disk.path);
      Node driver = xml::child(found, "driver");
      with(driver, "type", disk.spec.format == model::DiskFormat::kQcow2 ? "qcow2" : "raw");
      if (disk.spec.read_only) xml::child(found, "readonly");
      if (!disk.spec.read_only) found.remove_child("readonly");
    } else {
      found = add_disk(devices, disk, targets.next(disk.spec.bus));
    }
    kept.push_back(found);
  }
  for (const auto& cdrom : domain.cdroms) {
    Node found = match.cdrom(cdrom.spec.name);
    if (found)
      set_source_file(match, found, cdrom.path);
    else
      found = add_cdrom(devices, cdrom, targets.next(model::DiskBus::kSata));
    kept.push_back(found);
  }
}

void edit_nics(Node devices, const Match& match, const model::DomainSpec& domain,
               std::vector<Node>& kept) {
  for (const auto& nic : domain.nics) {
    Node found = match.nic(nic.spec);
    if (!found) {
      kept.push_back(add_nic(devices, nic));
      continue;
    }
    const std::string& wanted = nic.libvirt_network.empty() ? nic.bridge : nic.libvirt_network;
    const char* attribute = nic.libvirt_network.empty() ? "bridge" : "network";
    int vlan = found.child("vlan").child("tag").attribute("id").as_int();
    if (!is(found.child("source"), attribute, wanted) || vlan != nic.vlan)
      set_nic_source(found, nic);
    if (!nic.spec.mac.empty()) with(xml::child(found, "mac"), "address", nic.spec.mac);
    kept.push_back(found);
  }
}

void edit_boot_order(Node root, const Match& match, const model::DomainSpec& domain) {
  Node os = root.child("os");
  while (os.remove_child("boot")) {
  }
  for (const DeviceNode& each : match.devices)
    each.node.parent() ? Node(each.node).remove_child("boot") : false;
  std::size_t place = 0;
  for (const std::string& name : domain.spec.boot.order)
    for (const DeviceNode& each : scan_devices(root.child("devices")))
      if (each.ref.name == name)
        with(xml::add(each.node, "boot"), "order", static_cast<std::int64_t>(++place));
}

void edit_devices(Node root, const ParsedDomain& before, const model::DomainSpec& domain) {
  Node devices = xml::child(root, "devices");
  Match match{scan_devices(devices)};
  std::vector<Node> kept;
  edit_disks(devices, match, domain, kept);
  edit_nics(devices, match, domain, kept);
  std::erase_if(match.devices, [&](const DeviceNode& each) {
    if (std::ranges::find(kept, each.node) != kept.end()) return false;
    devices.remove_child(each.node);
    return true;
  });
  if (!domain.spec.boot.order.empty() && domain.spec.boot.order != before.spec.boot.order)
    edit_boot_order(root, match, domain);
}

// Replaces an element by one that the builder makes, in its place.
template <class F>
void rebuild(Node root, const char* name, F build) {
  Node old = root.child(name);
  pugi::xml_document scratch;
  build(scratch);
  Node made = scratch.child(name);
  if (!made) {
    root.remove_child(name);
    return;
  }
  if (old) {
    root.insert_copy_after(made, old);
    root.remove_child(old);
  } else {
    root.append_copy(made);
  }
}

void edit_memory(Node root, const model::VmSpec& spec) {
  for (const char* name : {"maxMemory", "memory", "currentMemory"}) root.remove_child(name);
  add_memory(root, spec);
  Node devices = xml::child(root, "devices");
  Node device = devices.find_child_by_attribute("memory", "model", "virtio-mem");
  if (device) devices.remove_child(device);
  add_memory_device(devices, spec);
}

void edit_cputune(Node root, const model::VmSpec& spec, const HostFacts& host) {
  CpuTuning cpu = cpu_tuning(spec.cpu, spec.vcpus, host);
  Node tune = xml::child(root, "cputune");
  for (const char* name : {"shares", "global_period", "global_quota"}) tune.remove_child(name);
  if (cpu.shares != 0) {
    xml::add(tune, "shares", static_cast<std::int64_t>(cpu.shares));
    if (cpu.quota_us > 0) {
      xml::add(tune, "global_period", static_cast<std::int64_t>(cpu.period_us));
      xml::add(tune, "global_quota", cpu.quota_us);
    }
  }
  if (!tune.first_child()) root.remove_child("cputune");
}

bool same_shape(const model::VmSpec& a, const model::VmSpec& b) {
  auto most = [](const model::VmSpec& s) { return std::max(s.vcpus, s.max_vcpus); };
  auto top = [](const model::VmSpec& s) { return std::max(s.memory, s.max_memory); };
  bool hotplug_a = top(a) > a.memory;
  bool hotplug_b = top(b) > b.memory;
  return most(a) == most(b) && hotplug_a == hotplug_b && (!hotplug_a || a.memory == b.memory);
}

void edit_vcpus(Node root, const model::VmSpec& before, const model::VmSpec& wanted) {
  Node vcpu = xml::child(root, "vcpu");  // may say where to run: that stays
  std::int32_t most = std::max(wanted.vcpus, wanted.max_vcpus);
  vcpu.text().set(std::to_string(most).c_str());
  vcpu.remove_attribute("current");
  if (most != wanted.vcpus) with(vcpu, "current", wanted.vcpus);
  // The list of single vCPUs would contradict the new count.
  if (before.vcpus != wanted.vcpus || !same_shape(before, wanted)) root.remove_child("vcpus");
}

// Threads and NUMA cells must add up to the new size; the model and its features stay.
void edit_cpu_shape(Node root, const model::VmSpec& spec) {
  Node cpu = xml::child(root, "cpu");
  cpu.remove_child("topology");
  cpu.remove_child("numa");
  add_cpu_shape(cpu, spec);
}

void edit_size(Node root, const ParsedDomain& before, const model::VmSpec& wanted) {
  const model::VmSpec& old = before.spec;
  // A definition whose balloon starts smaller than its memory is not the spec's either.
  if (old.memory != wanted.memory || old.max_memory != wanted.max_memory ||
      before.instance.memory != wanted.memory)
    edit_memory(root, wanted);
  edit_vcpus(root, old, wanted);
  if (!same_shape(old, wanted)) edit_cpu_shape(root, wanted);
}

// The spec says nothing of the model: the host decided, and its choice may stay.
bool same_cpu(const model::VmSpec& before, const model::VmSpec& wanted) {
  return wanted.cpu_model.empty() || before.cpu_model == wanted.cpu_model;
}

// Name and path of each device of a kind, in one order.
std::vector<std::pair<std::string, std::string>> devices_of(const ParsedDomain& domain,
                                                            DeviceRef::Kind kind) {
  std::vector<std::pair<std::string, std::string>> found;
  for (const DeviceRef& device : domain.devices)
    if (device.kind == kind) found.emplace_back(device.name, device.path);
  std::ranges::sort(found);
  return found;
}

bool same_os(const ParsedDomain& before, const model::DomainSpec& wanted) {
  const model::VmSpec& spec = wanted.spec;
  bool machine = spec.machine.empty()
                     ? before.spec.machine.empty()
                     : spec.machine == before.machine || spec.machine == before.spec.machine;
  // A kernel by a path that is no datastore's (of an adopted domain) stays.
  bool kernel =
      wanted.kernel == before.spec.boot.kernel && wanted.initrd == before.spec.boot.initrd;
  return machine && kernel && spec.firmware == before.spec.firmware &&
         spec.boot.cmdline == before.spec.boot.cmdline;
}

}  // namespace

Result<std::string> edit_domain_xml(const std::string& existing, const model::DomainSpec& domain,
                                    const HostFacts& host) {
  ParsedDomain before = TRY(parse_domain_xml(existing));
  pugi::xml_document document;
  if (!document.load_buffer(existing.data(), existing.size()))
    return fail(Code::kInvalid, "the domain's own XML does not parse");
  Node root = document.child("domain");
  const model::VmSpec& spec = domain.spec;
  xml::child(root, "name").text().set(domain.name.c_str());
  if (!root.child("metadata")) root.insert_child_after("metadata", root.child("uuid"));
  add_metadata(root, domain.vm, domain.generation);
  edit_size(root, before, spec);
  edit_cputune(root, spec, host);
  if (!same_os(before, domain)) rebuild(root, "os", [&](Node s) { add_os(s, domain, host); });
  bool same = is_custom_cpu(spec.cpu_model) ? has_cpu_model(root.child("cpu"), spec.cpu_model)
                                            : same_cpu(before.spec, spec);
  if (!same) rebuild(root, "cpu", [&](Node scratch) { add_cpu(scratch, spec, host); });
  edit_devices(root, before, domain);
  return xml::print(root);
}

Result<std::string> with_disk_paths(const std::string& existing,
                                    const std::vector<std::pair<std::string, std::string>>& paths) {
  pugi::xml_document document;
  if (!document.load_buffer(existing.data(), existing.size()))
    return fail(Code::kInvalid, "the domain's own XML does not parse");
  Node devices = document.child("domain").child("devices");
  Match match{scan_devices(devices)};
  for (const auto& [name, path] : paths) {
    Node found = match.disk(name);
    if (!found)
      return fail(Code::kNotFound, fmt::format("the domain has no disk named '{}'", name));
    set_source_file(match, found, path);
  }
  return xml::print(document.child("domain"));
}

Result<std::string> with_size(const std::string& existing, std::int32_t vcpus, Mib memory) {
  ParsedDomain before = TRY(parse_domain_xml(existing));
  pugi::xml_document document;
  document.load_buffer(existing.data(), existing.size());
  Node root = document.child("domain");
  model::VmSpec wanted = before.spec;
  if (vcpus > 0) {
    wanted.max_vcpus = std::max({before.spec.vcpus, before.spec.max_vcpus, vcpus});
    wanted.vcpus = vcpus;
  }
  if (memory > Mib{}) wanted.memory = memory;
  edit_size(root, before, wanted);
  return xml::print(root);
}

std::string with_requested_memory(const std::string& device, Mib requested) {
  pugi::xml_document document;
  document.load_buffer(device.data(), device.size());
  Node memory = document.child("memory");
  Node target = memory.child("target");
  std::int64_t block = std::max<std::int64_t>(1, mib_of(target.child("block")).value);
  std::int64_t rounded = (requested.value + block - 1) / block * block;
  if (rounded > mib_of(target.child("size")).value) return {};
  Node element = xml::child(target, "requested");
  with(element, "unit", "MiB").text().set(std::to_string(rounded).c_str());
  target.remove_child("current");  // only libvirt says how much it is
  return xml::print(memory);
}

std::vector<std::string> differing_fields(const ParsedDomain& live, const ParsedDomain& next) {
  std::vector<std::string> fields;
  const model::VmSpec& a = live.spec;
  const model::VmSpec& b = next.spec;
  auto check = [&](bool same, const char* name) {
    if (!same) fields.emplace_back(name);
  };
  check(a.vcpus == b.vcpus, "vcpus");
  check(std::max(a.vcpus, a.max_vcpus) == std::max(b.vcpus, b.max_vcpus), "max_vcpus");
  // What the balloon can give back without a boot does not wait for one.
  const bool gives_back =
      live.instance.memory < next.instance.memory && next.instance.memory <= live.spec.memory;
  check(gives_back || live.instance.memory == next.instance.memory, "memory");
  check(std::max(a.memory, a.max_memory) == std::max(b.memory, b.max_memory), "max_memory");
  check(same_cpu(a, b), "cpu_model");
  check(live.machine == next.machine, "machine");
  check(a.firmware == b.firmware, "firmware");
  bool boot = a.boot.order == b.boot.order && a.boot.kernel == b.boot.kernel &&
              a.boot.initrd == b.boot.initrd && a.boot.cmdline == b.boot.cmdline;
  check(boot, "boot");
  check(a.tpm == b.tpm, "tpm");
  check(a.vnc == b.vnc, "vnc");
  for (auto [kind, name] : {std::pair{DeviceRef::Kind::kDisk, "disks"},
                            {DeviceRef::Kind::kCdrom, "cdroms"},
                            {DeviceRef::Kind::kNic, "nics"}})
    check(devices_of(live, kind) == devices_of(next, kind), name);
  return fields;
}

}  // namespace chorok::adapters::libvirt
