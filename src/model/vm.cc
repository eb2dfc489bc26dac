#include "model/vm.h"

namespace chorok::model {
namespace {

constexpr double kMaxVcpus = 768;
constexpr double kMaxMemoryMib = 24.0 * 1024 * 1024;
constexpr double kMaxDiskMib = 64.0 * 1024 * 1024;
constexpr double kMaxShares = 1'000'000;
constexpr double kMaxMhz = 10'000'000;

}  // namespace

const Type& enum_type(const DiskFormat*) {
  static const Type kType = describe_enum<DiskFormat>(
      "DiskFormat", "How a disk is stored.",
      {{0, "qcow2", "grows as it fills, snapshots"}, {1, "raw", "as large as it is"}});
  return kType;
}
const Type& enum_type(const DiskBus*) {
  static const Type kType =
      describe_enum<DiskBus>("DiskBus", "How the guest sees a disk.",
                             {{0, "virtio", ""}, {1, "scsi", ""}, {2, "sata", ""}});
  return kType;
}
const Type& enum_type(const Firmware*) {
  static const Type kType = describe_enum<Firmware>("Firmware", "What boots the guest.",
                                                    {{0, "bios", "SeaBIOS"}, {1, "uefi", "OVMF"}});
  return kType;
}
const Type& enum_type(const VmState*) {
  static const Type kType = describe_enum<VmState>("VmState", "What a VM is doing.",
                                                   {{0, "off", "not running"},
                                                    {1, "starting", "being started"},
                                                    {2, "on", "running"},
                                                    {3, "paused", "stopped in memory (suspend)"},
                                                    {4, "saved", "memory is on disk (save)"},
                                                    {5, "stopping", "shutting down"},
                                                    {6, "crashed", "the guest or its QEMU died"},
                                                    {7, "unknown", "its host cannot be reached"}});
  return kType;
}
const Type& enum_type(const VmPower*) {
  static const Type kType =
      describe_enum<VmPower>("VmPower", "What is wanted of a VM.", {{0, "off", ""}, {1, "on", ""}});
  return kType;
}
const Type& enum_type(const InstanceRole*) {
  static const Type kType =
      describe_enum<InstanceRole>("InstanceRole", "What an instance is for its VM.",
                                  {{0, "primary", "runs the guest"},
                                   {1, "incoming", "target of a migration"},
                                   {2, "shadow", "stands by for a protected VM"},
                                   {3, "unknown", ""}});
  return kType;
}

const Type& CpuAllocation::type() {
  static const Type kType =
      describe<CpuAllocation>("CpuAllocation", "How the VM's CPU is divided and guaranteed.")
          .field("shares", &CpuAllocation::shares,
                 "Weight under contention; 0 is normal, 1000 a vCPU.",
                 {.min = 0, .max = kMaxShares})
          .field("reservation", &CpuAllocation::reservation,
                 "Guaranteed; power-on is refused where it does not fit.",
                 {.min = 0, .max = kMaxMhz})
          .field("limit", &CpuAllocation::limit, "Never exceeded; 0 is none.",
                 {.min = 0, .max = kMaxMhz});
  return kType;
}

const Type& MemoryAllocation::type() {
  static const Type kType =
      describe<MemoryAllocation>("MemoryAllocation",
                                 "How the VM's memory is divided and guaranteed.")
          .field("shares", &MemoryAllocation::shares,
                 "Weight under contention; 0 is normal, 10 a MiB.",
                 {.min = 0, .max = kMaxShares * 10})
          .field("reservation", &MemoryAllocation::reservation,
                 "Guaranteed; power-on is refused where it does not fit.",
                 {.min = 0, .max = kMaxMemoryMib})
          .field("limit", &MemoryAllocation::limit, "Never exceeded; 0 is none.",
                 {.min = 0, .max = kMaxMemoryMib});
  return kType;
}

const Type& DiskSpec::type() {
  static const Type kType =
      describe<DiskSpec>("DiskSpec", "A disk of a VM.")
          .field("name", &DiskSpec::name, "Unique in the VM.",
                 {.max_length = 20, .pattern = Pattern::kName, .required = true})
          .field("datastore", &DiskSpec::datastore, "Where it lives: name or id of a datastore.",
                 {.max_length = 63, .pattern = Pattern::kName, .required = true})
          .field("path", &DiskSpec::path, "File beneath the datastore; empty: chosen by Chorok.",
                 {.max_length = 512, .pattern = Pattern::kPath})
          .field("format", &DiskSpec::format, "How it is stored.")
          .field("size", &DiskSpec::size, "Capacity; 0 with an image: the image's.",
                 {.min = 0, .max = kMaxDiskMib})
          .field("image", &DiskSpec::image, "Made as a copy of this file: DATASTORE:PATH.",
                 {.max_length = 600, .pattern = Pattern::kText})
          .field("bus", &DiskSpec::bus, "How the guest sees it.")
          .field("read_only", &DiskSpec::read_only, "The guest cannot write to it.")
          .field("keep", &DiskSpec::keep,
                 "An existing file: used as it is and never deleted with the VM.");
  return kType;
}

const Type& CdromSpec::type() {
  static const Type kType =
      describe<CdromSpec>("CdromSpec", "A CD-ROM drive of a VM.")
          .field("name", &CdromSpec::name, "Unique in the VM.",
                 {.max_length = 20, .pattern = Pattern::kName, .required = true})
          .field("datastore", &CdromSpec::datastore, "Where the ISO lives.",
                 {.max_length = 63, .pattern = Pattern::kName})
          .field("path", &CdromSpec::path, "ISO file; empty: no medium.",
                 {.max_length = 512, .pattern = Pattern::kPath});
  return kType;
}

const Type& NicSpec::type() {
  static const Type kType =
      describe<NicSpec>("NicSpec", "A network card of a VM.")
          .field("name", &NicSpec::name, "Unique in the VM.",
                 {.max_length = 20, .pattern = Pattern::kName, .required = true})
          .field("network", &NicSpec::network, "Name or id of a network.",
                 {.max_length = 63, .pattern = Pattern::kName, .required = true})
          .field("mac", &NicSpec::mac, "Empty: given by Chorok.",
                 {.max_length = 17, .pattern = Pattern::kMac})
          .field("model", &NicSpec::model, "Empty: virtio.",
                 {.max_length = 20, .pattern = Pattern::kName});
  return kType;
}

const Type& BootSpec::type() {
  static const Type kType =
      describe<BootSpec>("BootSpec", "What the VM boots from.")
          .field("order", &BootSpec::order, "Names of disks, CD-ROMs, NICs; empty: in that order.",
                 {.max_length = 20, .max_count = 32, .pattern = Pattern::kName})
          .field("datastore", &BootSpec::datastore,
                 "Where kernel and initrd live (direct kernel boot).",
                 {.max_length = 63, .pattern = Pattern::kName})
          .field("kernel", &BootSpec::kernel, "Kernel file; empty: boot from a device.",
                 {.max_length = 512, .pattern = Pattern::kPath})
          .field("initrd", &BootSpec::initrd, "Initial RAM disk.",
                 {.max_length = 512, .pattern = Pattern::kPath})
          .field("cmdline", &BootSpec::cmdline, "Kernel's command line.", {.max_length = 2048});
  return kType;
}

const Type& AutostartSpec::type() {
  static const Type kType =
      describe<AutostartSpec>("AutostartSpec", "Whether the VM starts with its host.")
          .field("enabled", &AutostartSpec::enabled,
                 "Start it again after its host has booted, if it was on.")
          .field("order", &AutostartSpec::order, "Lower starts first.", {.min = 0, .max = 10000})
          .field("delay", &AutostartSpec::delay, "Wait after the one before it.",
                 {.min = 0, .max = 3600});
  return kType;
}

const Type& VmSpec::type() {
  static const Type kType =
      describe<VmSpec>("VmSpec", "What a VM is made of.")
          .field("vcpus", &VmSpec::vcpus, "Virtual CPUs.", {.min = 1, .max = kMaxVcpus})
          .field("max_vcpus", &VmSpec::max_vcpus,
                 "Most that can be plugged while it runs; 0: vcpus.", {.min = 0, .max = kMaxVcpus})
          .field("memory", &VmSpec::memory, "Memory.", {.min = 16, .max = kMaxMemoryMib})
          .field("max_memory", &VmSpec::max_memory, "Most it can grow to while it runs; 0: memory.",
                 {.min = 0, .max = kMaxMemoryMib})
          .field("cpu", &VmSpec::cpu, "Shares, reservation and limit of CPU.")
          .field("memory_allocation", &VmSpec::memory_allocation,
                 "Shares, reservation and limit of memory.")
          .field("machine", &VmSpec::machine, "QEMU machine type; empty: q35.",
                 {.max_length = 40, .pattern = Pattern::kName})
          .field("cpu_model", &VmSpec::cpu_model,
                 "Empty: the cluster's baseline, else the host's model.",
                 {.max_length = 60, .pattern = Pattern::kName})
          .field("firmware", &VmSpec::firmware, "What boots the guest.")
          .field("tpm", &VmSpec::tpm, "A virtual TPM 2.0.")
          .field("boot", &VmSpec::boot, "What it boots from.")
          .field("disks", &VmSpec::disks, "Disks.", {.max_count = 32})
          .field("cdroms", &VmSpec::cdroms, "CD-ROM drives.", {.max_count = 4})
          .field("nics", &VmSpec::nics, "Network cards.", {.max_count = 16})
          .field("vnc", &VmSpec::vnc, "A graphical console.")
          .field("guest_agent", &VmSpec::guest_agent, "A channel for the QEMU guest agent.")
          .field("autostart", &VmSpec::autostart, "Start with the host.");
  return kType;
}

const Type& RestartSpec::type() {
  static const Type kType =
      describe<RestartSpec>("RestartSpec", "How it is restarted when its host has failed (HA).")
          .field("priority", &RestartSpec::priority, "1 first … 5 last; 0: not restarted.",
                 {.min = 0, .max = 5})
          .field("after", &RestartSpec::after, "VMs that must be ready before it: names or ids.",
                 {.max_length = 63, .max_count = 64, .pattern = Pattern::kName})
          .field("delay", &RestartSpec::delay, "Wait after those are ready.",
                 {.min = 0, .max = 86400});
  return kType;
}

const Type& SnapshotInfo::type() {
  static const Type kType =
      describe<SnapshotInfo>("SnapshotInfo", "A snapshot of a VM.")
          .field("name", &SnapshotInfo::name, "Unique in the VM.")
          .field("parent", &SnapshotInfo::parent, "The snapshot it was taken after.")
          .field("created", &SnapshotInfo::created, "When it was taken.")
          .field("with_memory", &SnapshotInfo::with_memory, "Holds the running state.")
          .field("current", &SnapshotInfo::current, "The disks stand on it now.");
  return kType;
}

const Type& DiskInfo::type() {
  static const Type kType = describe<DiskInfo>("DiskInfo", "A disk as the host has it.")
                                .field("name", &DiskInfo::name, "")
                                .field("target", &DiskInfo::target, "")
                                .field("path", &DiskInfo::path, "", {.max_length = 1024})
                                .field("capacity", &DiskInfo::capacity, "")
                                .field("allocated", &DiskInfo::allocated, "");
  return kType;
}

const Type& Instance::type() {
  static const Type kType =
      describe<Instance>("Instance", "A VM as one host sees it.")
          .field("uuid", &Instance::uuid, "libvirt's id.")
          .field("vm", &Instance::vm, "Chorok's id; empty for a foreign guest.")
          .field("name", &Instance::name, "As libvirt calls it.")
          .field("state", &Instance::state, "")
          .field("role", &Instance::role, "")
          .field("persistent", &Instance::persistent, "")
          .field("vcpus", &Instance::vcpus, "")
          .field("memory", &Instance::memory, "")
          .field("ips", &Instance::ips, "", {.max_count = 64})
          .field("macs", &Instance::macs, "", {.max_count = 64})
          .field("disks", &Instance::disks, "", {.max_count = 64})
          .field("snapshots", &Instance::snapshots, "", {.max_count = 256})
          .field("generation", &Instance::generation, "Of the spec it was defined from.")
          .field("pending", &Instance::pending, "Its definition waits for the next boot.");
  return kType;
}

const Type& MigrationStats::type() {
  static const Type kType =
      describe<MigrationStats>("MigrationStats", "How a migration went.")
          .field("from", &MigrationStats::from, "Source host.")
          .field("to", &MigrationStats::to, "Target host.")
          .field("kind", &MigrationStats::kind, "live, live-storage, storage or cold.")
          .field("total", &MigrationStats::total, "Whole time.")
          .field("downtime", &MigrationStats::downtime, "How long the guest stood still.")
          .field("transferred", &MigrationStats::transferred, "Memory and disk copied.")
          .field("rounds", &MigrationStats::rounds, "Passes over memory.")
          .field("dirty_rate_mib_s", &MigrationStats::dirty_rate_mib_s, "Last seen, MiB/s.")
          .field("limit_mib_s", &MigrationStats::limit_mib_s, "Limit it had, MiB/s; 0: none.")
          .field("post_copy", &MigrationStats::post_copy, "Finished by post-copy.")
          .field("tls", &MigrationStats::tls, "The stream was encrypted.")
          .field("finished", &MigrationStats::finished, "When.");
  return kType;
}

const Type& VmStatus::type() {
  static const Type kType =
      describe<VmStatus>("VmStatus", "What was last seen of a VM.")
          .field("state", &VmStatus::state, "")
          .field("host", &VmStatus::host, "Where it is, or last was.")
          .field("host_name", &VmStatus::host_name, "")
          .field("since", &VmStatus::since, "Since when it is in this state.")
          .field("message", &VmStatus::message, "Why it is not as wanted.", {.max_length = 4096})
          .field("ips", &VmStatus::ips, "Addresses of the guest.", {.max_count = 64})
          .field("pending", &VmStatus::pending, "Changes that wait for the next boot.")
          .field("snapshots", &VmStatus::snapshots, "")
          .field("task", &VmStatus::task, "The task that is working on it.")
          .field("last_migration", &VmStatus::last_migration, "How its last migration went.")
          .field("stale", &VmStatus::stale,
                 "Hosts with an old copy of it, left by a broken migration; it is cleared away.",
                 {.max_count = 64})
          .field("owed", &VmStatus::owed,
                 "Its host failed while it ran; HA starts it again where there is room.");
  return kType;
}

const Type& Vm::type() {
  static const Type kType =
      describe<Vm>("Vm", "A virtual machine.")
          .field("meta", &Vm::meta, "Name, labels, folder, notes.", {.required = true})
          .field("uuid", &Vm::uuid, "libvirt's id.", {.pattern = Pattern::kId, .read_only = true})
          .field("domain", &Vm::domain, "As libvirt calls it.", {.read_only = true})
          .field("spec", &Vm::spec, "What it is made of.")
          .field("pool", &Vm::pool,
                 "The resource pool it is in: name or id; empty: directly below its cluster.",
                 {.max_length = 63, .pattern = Pattern::kName})
          .field("automation", &Vm::automation,
                 "How far the cluster acts on it by itself; absent: as the cluster is set.")
          .field("restart", &Vm::restart, "When its host has failed.")
          .field("power", &Vm::power, "What is wanted: on or off.", {.read_only = true})
          .field("host", &Vm::host, "The host it belongs to; empty when created: chosen by Chorok.",
                 {.max_length = 63, .pattern = Pattern::kName})
          .field("generation", &Vm::generation, "Counts changes of the spec.", {.read_only = true})
          .field("adopted", &Vm::adopted, "Made outside Chorok and taken over.",
                 {.read_only = true})
          .field("defined", &Vm::defined, "A host has its definition.", {.read_only = true})
          .field("tidied", &Vm::tidied,
                 "When a definition left behind elsewhere was last cleared away.",
                 {.read_only = true})
          .field("autostarted", &Vm::autostarted,
                 "The boot of its host after which it was last started by itself.",
                 {.read_only = true})
          .field("status", &Vm::status, "What was last seen.", {.read_only = true});
  return kType;
}

}  // namespace chorok::model
