// What a host measures of itself and of the VMs on it. Counters only grow, so that a sample that is
// lost costs resolution and no consumption; what is not known is left at its default.
//
// A sample is known by (host, boot id, sequence): who has counted it once does not count it again.
#pragma once

#include <string>
#include <vector>

#include "model/power.h"
#include "model/vm.h"

namespace chorok::model {

struct VmSample {
  std::string uuid;
  // One run of its hypervisor process: counters of another one started at zero.
  std::uint64_t life = 0;
  bool ended = false;  // it ran no more when the host was looked at last
  VmState state = VmState::kUnknown;
  std::int32_t vcpus = 0;  // online
  Duration cpu_time{};     // all of it: vCPUs, emulator, I/O threads, copying for a migration
  Duration cpu_vcpus{};    // of that, the vCPUs': what the guest asked for; 0: not known
  Duration cpu_user{};
  Duration cpu_system{};
  Duration cpu_ready{};  // of all vCPUs: wanted to run and had to wait for a core
  Mib memory{};          // what the guest has now
  Mib memory_maximum{};
  Mib memory_resident{};  // what the hypervisor's process holds of the host
  // As the guest's balloon driver says; all 0 where there is none, or it says nothing.
  Mib guest_available{};  // what the guest's kernel manages
  Mib guest_unused{};     // of that, free
  Mib guest_usable{};     // what a program in it could get without swapping
  Mib guest_caches{};
  Duration guest_age{};  // since the balloon driver spoke
  Bytes swap_in{};
  Bytes swap_out{};
  Bytes disk_read{};
  Bytes disk_written{};
  std::int64_t disk_reads = 0;
  std::int64_t disk_writes = 0;
  Bytes net_received{};
  Bytes net_sent{};
  double dirty_mib_s = 0;  // memory written; measured now and then
  bool dirty_known = false;

  bool guest_known() const { return guest_available > Mib{}; }
  static const Type& type();
};

struct HostSample {
  std::string boot_id;
  std::uint64_t sequence = 0;  // ascending within one boot: milliseconds of `uptime`
  Time time{};                 // of the host's clock, which may step
  Duration uptime{};           // since boot; never steps
  std::int32_t merged = 0;     // samples before it that were given up for room: a gap
  bool more = false;           // too many VMs for a message: the next sample has others of them
  // The host was suspended since the sample before: what is counted begins with this one.
  bool resumed = false;
  bool cpu_known = false;
  Duration cpu_busy{};  // of all cores, by guests and everything else
  Mib memory_total{};
  Mib memory_available{};
  std::vector<VmSample> vms;  // everything that runs
  // Of the host's own meters, each as it is; their times are of the host's clock.
  std::vector<PowerReading> power;
  static const Type& type();
};

// "telemetry" -> {}: taken; the agent forgets them. Oldest first.
struct TelemetryBatch {
  std::string boot_id;  // of the running system; samples may be of one before it
  Duration uptime{};    // when it was sent: how old a sample is does not depend on any clock
  std::vector<HostSample> samples;
  static const Type& type();
};

}  // namespace chorok::model
