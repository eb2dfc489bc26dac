// Domain XML from a typed spec, and a typed spec from domain XML. The only place where the two
// meet: nothing raw ever gets into a domain. Devices carry their names from the spec as user
// aliases ("ua-disk-root"), so that they are found again however libvirt numbers them; Chorok's id
// and the spec's generation are kept in the metadata.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "adapters/libvirt/host_facts.h"
#include "base/result.h"
#include "model/domain.h"

namespace chorok::adapters::libvirt {

inline constexpr const char* kMetadataUri = "urn:chorok:1";
inline constexpr const char* kMetadataPrefix = "chorok";
// How often QEMU asks a guest's balloon driver what its memory is used for.
inline constexpr int kBalloonPeriodSeconds = 10;

std::string build_domain_xml(const model::DomainSpec& domain, const HostFacts& host);

// `existing` made to match the spec: only what differs is touched, so that what Chorok does not
// know (of an adopted domain) and what libvirt filled in (addresses) stay.
Result<std::string> edit_domain_xml(const std::string& existing, const model::DomainSpec& domain,
                                    const HostFacts& host);

// The same domain on a host where some disks have other paths.
Result<std::string> with_disk_paths(const std::string& existing,
                                    const std::vector<std::pair<std::string, std::string>>& paths);

// The same domain with another size; 0: as it is.
Result<std::string> with_size(const std::string& existing, std::int32_t vcpus, Mib memory);
// A virtio-mem element that asks for as much; empty when it cannot be that much.
std::string with_requested_memory(const std::string& device, Mib requested);

std::string disk_xml(const model::DomainDisk& disk, const std::string& target);
std::string cdrom_xml(const model::DomainCdrom& cdrom, const std::string& target);
std::string nic_xml(const model::DomainNic& nic);
std::string metadata_xml(const std::string& vm, std::uint64_t generation);

// "ua-disk-root" of ("disk", "root"): aliases take only letters, digits, - and _.
std::string alias_of(std::string_view kind, std::string_view name);
std::optional<std::string> name_of_alias(std::string_view kind, std::string_view alias);

struct DeviceRef {
  enum class Kind : std::uint8_t { kDisk, kCdrom, kNic } kind = Kind::kDisk;
  std::string name;    // from the alias; else the target of a disk, "nic-" and the MAC of a NIC
  std::string target;  // of a disk or CD-ROM
  std::string path;
  std::string bus;
  std::string mac;
  std::string xml;  // of the element, as libvirt gave it
};

struct ParsedDomain {
  model::Instance instance;  // what the XML says of it; the state is not in the XML
  model::VmSpec spec;        // datastores and networks are paths and bridges here
  std::vector<DeviceRef> devices;
  std::string type;  // kvm, qemu, xen, lxc, …
  std::string machine;
  std::string cpu_xml;
  std::string memory_device_xml;  // virtio-mem, when it has one
  bool agent_connected = false;
  bool has_host_devices = false;
};
// kInvalid for what is not a domain. Never trusts a number or a count.
Result<ParsedDomain> parse_domain_xml(std::string_view xml);

const DeviceRef* find_device(const ParsedDomain& domain, std::string_view name);
// The next free target name of a bus: vda, sdb, …
std::string free_target(const ParsedDomain& domain, model::DiskBus bus);

// Names of VmSpec fields in which what runs differs from its definition.
std::vector<std::string> differing_fields(const ParsedDomain& live, const ParsedDomain& next);

// Weight and quota of the cpu controller for an allocation.
struct CpuTuning {
  std::uint64_t shares = 0;    // 0: this host has no such thing
  std::int64_t quota_us = -1;  // a period, for the whole domain; -1: no limit
  std::uint64_t period_us = 100000;
};
CpuTuning cpu_tuning(const model::CpuAllocation& cpu, std::int32_t vcpus, const HostFacts& host);

}  // namespace chorok::adapters::libvirt
