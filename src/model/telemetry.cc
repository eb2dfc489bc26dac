#include "model/telemetry.h"

namespace chorok::model {

const Type& VmSample::type() {
  static const Type kType = describe<VmSample>("VmSample", "")
                                .field("uuid", &VmSample::uuid, "")
                                .field("life", &VmSample::life, "")
                                .field("ended", &VmSample::ended, "")
                                .field("state", &VmSample::state, "")
                                .field("vcpus", &VmSample::vcpus, "")
                                .field("cpu", &VmSample::cpu_time, "")
                                .field("vcpu_time", &VmSample::cpu_vcpus, "")
                                .field("user", &VmSample::cpu_user, "")
                                .field("system", &VmSample::cpu_system, "")
                                .field("ready", &VmSample::cpu_ready, "")
                                .field("memory", &VmSample::memory, "")
                                .field("maximum", &VmSample::memory_maximum, "")
                                .field("resident", &VmSample::memory_resident, "")
                                .field("available", &VmSample::guest_available, "")
                                .field("unused", &VmSample::guest_unused, "")
                                .field("usable", &VmSample::guest_usable, "")
                                .field("caches", &VmSample::guest_caches, "")
                                .field("age", &VmSample::guest_age, "")
                                .field("swap_in", &VmSample::swap_in, "")
                                .field("swap_out", &VmSample::swap_out, "")
                                .field("read", &VmSample::disk_read, "")
                                .field("written", &VmSample::disk_written, "")
                                .field("reads", &VmSample::disk_reads, "")
                                .field("writes", &VmSample::disk_writes, "")
                                .field("received", &VmSample::net_received, "")
                                .field("sent", &VmSample::net_sent, "")
                                .field("dirty_mib_s", &VmSample::dirty_mib_s, "")
                                .field("dirty_known", &VmSample::dirty_known, "");
  return kType;
}

const Type& HostSample::type() {
  static const Type kType =
      describe<HostSample>("HostSample", "")
          .field("boot_id", &HostSample::boot_id, "")
          .field("sequence", &HostSample::sequence, "")
          .field("time", &HostSample::time, "")
          .field("uptime", &HostSample::uptime, "")
          .field("merged", &HostSample::merged, "")
          .field("more", &HostSample::more, "")
          .field("resumed", &HostSample::resumed, "")
          .field("cpu_known", &HostSample::cpu_known, "")
          .field("busy", &HostSample::cpu_busy, "")
          .field("memory", &HostSample::memory_total, "")
          .field("available", &HostSample::memory_available, "")
          .field("vms", &HostSample::vms, "", {.max_length = 1024, .max_count = 20000})
          .field("power", &HostSample::power, "", {.max_count = 8});
  return kType;
}

const Type& TelemetryBatch::type() {
  static const Type kType =
      describe<TelemetryBatch>("TelemetryBatch", "")
          .field("boot_id", &TelemetryBatch::boot_id, "")
          .field("uptime", &TelemetryBatch::uptime, "")
          .field("samples", &TelemetryBatch::samples, "", {.max_count = 20000});
  return kType;
}

}  // namespace chorok::model
