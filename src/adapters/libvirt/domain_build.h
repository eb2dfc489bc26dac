// The parts that a domain's XML is made of, for the builder and the editor.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "adapters/libvirt/domain_xml.h"
#include "adapters/libvirt/host_facts.h"
#include "adapters/libvirt/xml_util.h"
#include "model/domain.h"

namespace chorok::adapters::libvirt {

// Gives out the targets of disks, those that are taken left out.
class TargetNames {
 public:
  void take(std::string name);
  std::string next(model::DiskBus bus);

 private:
  std::set<std::string> taken_;
  std::size_t virtio_ = 0;
  std::size_t other_ = 0;
};

bool is_pcie_machine(const std::string& machine);

xml::Node add_disk(xml::Node devices, const model::DomainDisk& disk, const std::string& target);
xml::Node add_cdrom(xml::Node devices, const model::DomainCdrom& cdrom, const std::string& target);
xml::Node add_nic(xml::Node devices, const model::DomainNic& nic);
void set_nic_source(xml::Node element, const model::DomainNic& nic);
void add_metadata(xml::Node root, const std::string& vm, std::uint64_t generation);
void add_memory(xml::Node root, const model::VmSpec& spec);  // after <metadata>
void add_memory_device(xml::Node devices, const model::VmSpec& spec);
Mib mib_of(xml::Node element);  // its number in its unit
void add_vcpus(xml::Node root, const model::VmSpec& spec);
void add_tuning(xml::Node root, const model::VmSpec& spec, const HostFacts& host);
void add_os(xml::Node root, const model::DomainSpec& domain, const HostFacts& host);
void add_cpu(xml::Node root, const model::VmSpec& spec, const HostFacts& host);
// A model that was asked for, by name or as libvirt's <cpu>, and not the host's own.
bool is_custom_cpu(const std::string& text);
// Whether `cpu` asks for just the model and features of `text`.
bool has_cpu_model(xml::Node cpu, const std::string& text);
void add_cpu_shape(xml::Node cpu, const model::VmSpec& spec);  // topology and NUMA cells

// A disk, CD-ROM or NIC below <devices>, with its element.
struct DeviceNode {
  xml::Node node;
  DeviceRef ref;
};
std::vector<DeviceNode> scan_devices(xml::Node devices);

}  // namespace chorok::adapters::libvirt
