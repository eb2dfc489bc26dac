// Domain XML comes from libvirt, and some of it from whoever defined the domain before Chorok
// adopted it: whatever it says, parsing and editing it must end well, and what was read must
// survive being written and read again.
#include <cstdint>
#include <string_view>

#include "adapters/libvirt/domain_xml.h"

namespace {

using namespace chorok;
using namespace chorok::adapters::libvirt;

model::DomainSpec wanted_from(const ParsedDomain& domain) {
  model::DomainSpec wanted;
  wanted.uuid = domain.instance.uuid;
  wanted.name = domain.instance.name;
  wanted.vm = "vm-1";
  wanted.spec = domain.spec;
  for (const auto& disk : domain.spec.disks) wanted.disks.push_back({disk, disk.path});
  for (const auto& cdrom : domain.spec.cdroms) wanted.cdroms.push_back({cdrom, cdrom.path});
  for (const auto& nic : domain.spec.nics) wanted.nics.push_back({nic, nic.network, "", 0});
  wanted.kernel = domain.spec.boot.kernel;
  wanted.initrd = domain.spec.boot.initrd;
  return wanted;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  Result<ParsedDomain> domain = parse_domain_xml(text);
  if (!domain) return 0;
  HostFacts host;
  host.cpu_cgroup = CgroupVersion::kV2;
  Result<std::string> edited = edit_domain_xml(text, wanted_from(*domain), host);
  CHOROK_ASSERT(edited.has_value());
  CHOROK_ASSERT(parse_domain_xml(*edited).has_value());
  for (const DeviceRef& device : domain->devices) (void)find_device(*domain, device.name);
  (void)free_target(*domain, model::DiskBus::kSata);
  (void)with_disk_paths(text, {{"root", "/elsewhere"}});
  return 0;
}
