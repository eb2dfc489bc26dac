// What VMs and hosts use, as the API shows it: rates of now, and series of the past. MHz are those
// of the host's core: CPU time times its clock.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/vm.h"

namespace chorok::model {

// Rates over one interval between two samples of a host.
struct VmUsage {
  std::string vm;  // id; empty for a guest that Chorok did not make
  std::string name;
  std::string uuid;
  std::string host;  // id
  std::string host_name;
  Time at{};
  Duration interval{};
  VmState state = VmState::kUnknown;
  std::int32_t vcpus = 0;
  double cpu_mhz = 0;
  double vcpus_mhz = 0;  // of that, by its vCPUs: copying for a migration is not what it asks for
  double ready_mhz = 0;  // wanted and not got
  double memory = 0;     // MiB that the guest has
  double balloon = 0;   // MiB of its size that its balloon has taken; 0 where the size is not known
  double active = 0;    // MiB that it works with
  double consumed = 0;  // MiB of the host that its process holds
  double reclaimable = 0;
  bool guest_known = false;  // `active` is the guest's word; else what is consumed
  double disk_read = 0;      // bytes/s
  double disk_written = 0;
  double disk_reads = 0;  // requests/s
  double disk_writes = 0;
  double net_received = 0;  // bytes/s
  double net_sent = 0;
  double swap_in = 0;
  double swap_out = 0;
  double dirty_mib_s = 0;
  bool dirty_known = false;
  static const Type& type();
};

struct HostUsage {
  std::string host;  // id
  std::string name;
  Time at{};
  Duration interval{};
  bool cpu_known = false;
  double cpu_mhz = 0;     // everything
  double guests_mhz = 0;  // its VMs
  double ready_mhz = 0;   // that its VMs wanted and did not get
  double capacity_mhz = 0;
  double memory = 0;  // MiB
  double available = 0;
  double guests = 0;  // MiB that its VMs hold
  std::int32_t vms = 0;
  static const Type& type();
};

// How fast a guest writes to its memory: what a migration has to keep up with.
struct DirtyRate {
  std::string vm;  // id
  std::string name;
  std::string host_name;
  Time at{};          // when the window was over
  Duration window{};  // 1 to 60 s
  double mib_s = 0;
  static const Type& type();
};

// GET /usage: everything that is known to run, now.
struct UsageNow {
  Time at{};
  std::vector<HostUsage> hosts;
  std::vector<VmUsage> vms;
  static const Type& type();
};

// Means over a step; totals are mean x measured.
struct UsagePoint {
  Time at{};            // where the step begins
  Duration measured{};  // of the step; the rest is not known, or it did not run
  double cpu_mhz = 0;
  double cpu_peak_mhz = 0;  // the highest of the intervals in it
  double ready_mhz = 0;
  double memory = 0;  // MiB
  double active = 0;
  double consumed = 0;
  double disk = 0;  // bytes/s, read and written
  double net = 0;   // bytes/s, both ways
  static const Type& type();
};

// GET /vms/{ref}/stats, GET /hosts/{ref}/stats.
struct UsageSeries {
  std::string id;
  std::string name;
  Time from{};
  Time to{};
  Duration step{};
  double cpu_mhz_hours = 0;  // of the whole time
  double memory_gib_hours = 0;
  Duration measured{};
  std::vector<UsagePoint> points;  // where something was measured, oldest first
  static const Type& type();
};

}  // namespace chorok::model
