// A VM resolved for one host: every name of the spec turned into what this host calls it. The agent
// builds it from the typed spec and its own registered datastores and networks; nothing of it comes
// over the wire as a path.
#pragma once

#include <string>
#include <vector>

#include "model/vm.h"

namespace chorok::model {

struct DomainDisk {
  DiskSpec spec;
  std::string path;  // absolute, beneath a registered datastore
};
struct DomainCdrom {
  CdromSpec spec;
  std::string path;  // empty: no medium
};
struct DomainNic {
  NicSpec spec;
  std::string bridge;           // of the host, or
  std::string libvirt_network;  // libvirt's network
  std::int32_t vlan = 0;
};

struct DomainSpec {
  std::string uuid;
  std::string vm;    // Chorok's id, kept in the domain's metadata
  std::string name;  // the VM's name; unique in the inventory and so on the host
  std::uint64_t generation = 0;
  VmSpec spec;
  std::string kernel;  // absolute, or empty
  std::string initrd;
  std::vector<DomainDisk> disks;
  std::vector<DomainCdrom> cdroms;
  std::vector<DomainNic> nics;
};

}  // namespace chorok::model
