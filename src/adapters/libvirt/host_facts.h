// What domain XML depends on besides the spec: facts of the host it is built for.
#pragma once

#include <string>
#include <vector>

#include "base/units.h"
#include "model/host.h"

namespace chorok::adapters::libvirt {

struct AcceleratorChoice {
  model::Accelerator accelerator = model::Accelerator::kTcg;
  std::string reason;
};
// KVM only when the CPU's flags show svm or vmx and /dev/kvm opens: a /dev/kvm on a CPU without
// them hangs guests.
AcceleratorChoice choose_accelerator(const std::string& cpuinfo_path = "/proc/cpuinfo",
                                     const std::string& kvm_path = "/dev/kvm");

enum class CgroupVersion : std::uint8_t { kNone, kV1, kV2 };

struct FirmwareFiles {
  std::string code;  // read-only, mapped into the guest
  std::string vars;  // the template of its variables
};

struct HostFacts {
  AcceleratorChoice accelerator;
  CgroupVersion cpu_cgroup = CgroupVersion::kNone;     // of the cpu controller
  CgroupVersion memory_cgroup = CgroupVersion::kNone;  // of the memory controller
  double usable_cores = 0;  // a limit of as many cores or more is none; 0: unknown
  Mhz core_mhz{};           // 0: unknown
  FirmwareFiles uefi;       // empty: none installed
  std::string arch = "x86_64";
};

// Why live migrations from this host are not safe; empty: they are. QEMU's emulation before 9.0
// forgets pages that the guest writes to while they are sent (docs/design/006-lab.md); KVM does
// not.
std::string live_migration_warning(const model::HostInventory& host);

// Reads files of this machine; no libvirt call. `core_mhz` is left 0.
HostFacts read_host_facts();

// Whether files in the folder of `path` can be opened past the page cache.
bool supports_direct_io(const std::string& path);

}  // namespace chorok::adapters::libvirt
