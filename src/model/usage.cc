#include "model/usage.h"

namespace chorok::model {

namespace {

constexpr Limits kMany{.max_count = 1'000'000};

}  // namespace

const Type& VmUsage::type() {
  static const Type kType =
      describe<VmUsage>("VmUsage", "What a VM uses now.")
          .field("vm", &VmUsage::vm, "Id; empty for a guest that Chorok did not make.")
          .field("name", &VmUsage::name, "")
          .field("uuid", &VmUsage::uuid, "")
          .field("host", &VmUsage::host, "Id of the host that runs it.")
          .field("host_name", &VmUsage::host_name, "")
          .field("at", &VmUsage::at, "End of the interval that this was measured over.")
          .field("interval", &VmUsage::interval, "")
          .field("state", &VmUsage::state, "")
          .field("vcpus", &VmUsage::vcpus, "")
          .field("cpu_mhz", &VmUsage::cpu_mhz, "CPU time x the clock of the host's core.")
          .field("vcpus_mhz", &VmUsage::vcpus_mhz,
                 "Of that, by its vCPUs: what the guest asked for.")
          .field("ready_mhz", &VmUsage::ready_mhz, "Wanted, and the host had no core for it.")
          .field("memory", &VmUsage::memory, "MiB that the guest has.")
          .field("balloon", &VmUsage::balloon, "MiB of its size that its balloon has taken.")
          .field("active", &VmUsage::active, "MiB that it works with.")
          .field("consumed", &VmUsage::consumed, "MiB of the host that its process holds.")
          .field("reclaimable", &VmUsage::reclaimable, "MiB of that which it could do without.")
          .field("guest_known", &VmUsage::guest_known,
                 "`active` is what the guest says; else it is what is consumed.")
          .field("disk_read", &VmUsage::disk_read, "Bytes a second.")
          .field("disk_written", &VmUsage::disk_written, "Bytes a second.")
          .field("disk_reads", &VmUsage::disk_reads, "Requests a second.")
          .field("disk_writes", &VmUsage::disk_writes, "Requests a second.")
          .field("net_received", &VmUsage::net_received, "Bytes a second.")
          .field("net_sent", &VmUsage::net_sent, "Bytes a second.")
          .field("swap_in", &VmUsage::swap_in, "Bytes a second, inside the guest.")
          .field("swap_out", &VmUsage::swap_out, "Bytes a second, inside the guest.")
          .field("dirty_mib_s", &VmUsage::dirty_mib_s, "MiB of memory written a second.")
          .field("dirty_known", &VmUsage::dirty_known, "That was measured.");
  return kType;
}

const Type& HostUsage::type() {
  static const Type kType =
      describe<HostUsage>("HostUsage", "What a host and its VMs use now.")
          .field("host", &HostUsage::host, "Id.")
          .field("name", &HostUsage::name, "")
          .field("at", &HostUsage::at, "End of the interval that this was measured over.")
          .field("interval", &HostUsage::interval, "")
          .field("cpu_known", &HostUsage::cpu_known,
                 "cpu_mhz is the host's; else it is the sum of its VMs.")
          .field("cpu_mhz", &HostUsage::cpu_mhz, "VMs and everything else.")
          .field("guests_mhz", &HostUsage::guests_mhz, "Its VMs.")
          .field("ready_mhz", &HostUsage::ready_mhz, "That its VMs wanted and did not get.")
          .field("capacity_mhz", &HostUsage::capacity_mhz, "")
          .field("memory", &HostUsage::memory, "MiB.")
          .field("available", &HostUsage::available, "MiB.")
          .field("guests", &HostUsage::guests, "MiB that its VMs hold.")
          .field("vms", &HostUsage::vms, "That run.");
  return kType;
}

const Type& UsageNow::type() {
  static const Type kType = describe<UsageNow>("UsageNow", "What everything uses now.")
                                .field("at", &UsageNow::at, "")
                                .field("hosts", &UsageNow::hosts, "", kMany)
                                .field("vms", &UsageNow::vms, "", kMany);
  return kType;
}

const Type& UsagePoint::type() {
  static const Type kType =
      describe<UsagePoint>("UsagePoint", "Means over a step.")
          .field("at", &UsagePoint::at, "Where the step begins.")
          .field("measured", &UsagePoint::measured,
                 "Of the step; the rest is not known, or it did not run.")
          .field("cpu_mhz", &UsagePoint::cpu_mhz, "")
          .field("cpu_peak_mhz", &UsagePoint::cpu_peak_mhz, "The highest sample in the step.")
          .field("ready_mhz", &UsagePoint::ready_mhz, "Wanted and not got.")
          .field("memory", &UsagePoint::memory, "MiB: what a VM has, what a host uses.")
          .field("active", &UsagePoint::active, "MiB that a VM, or a host's VMs, work with.")
          .field("consumed", &UsagePoint::consumed, "MiB that a VM, or a host's VMs, hold.")
          .field("disk", &UsagePoint::disk, "Bytes a second, read and written.")
          .field("net", &UsagePoint::net, "Bytes a second, both ways.");
  return kType;
}

const Type& DirtyRate::type() {
  static const Type kType =
      describe<DirtyRate>("DirtyRate", "How fast a guest writes to its memory, measured now.")
          .field("vm", &DirtyRate::vm, "Id.")
          .field("name", &DirtyRate::name, "")
          .field("host_name", &DirtyRate::host_name, "")
          .field("at", &DirtyRate::at, "When the window was over.")
          .field("window", &DirtyRate::window, "Seconds that were watched.")
          .field("mib_s", &DirtyRate::mib_s,
                 "MiB/s of memory pages written; each counts once a window.");
  return kType;
}
const Type& UsageSeries::type() {
  static const Type kType =
      describe<UsageSeries>("UsageSeries", "What was used over some time.")
          .field("id", &UsageSeries::id, "")
          .field("name", &UsageSeries::name, "")
          .field("from", &UsageSeries::from, "")
          .field("to", &UsageSeries::to, "")
          .field("step", &UsageSeries::step, "")
          .field("cpu_mhz_hours", &UsageSeries::cpu_mhz_hours, "Consumed in all that time.")
          .field("memory_gib_hours", &UsageSeries::memory_gib_hours, "Had in all that time.")
          .field("measured", &UsageSeries::measured, "")
          .field("points", &UsageSeries::points, "Where something was measured.", kMany);
  return kType;
}

}  // namespace chorok::model
