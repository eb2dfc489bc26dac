// A virtual machine: what was asked for (VmSpec), what is wanted of it now (power, host), what was
// last seen (VmStatus). The manager owns the record; an agent only reports instances, which the VM
// controller turns into status.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/common.h"
#include "model/policy_settings.h"

namespace chorok::model {

// Shares divide what is scarce in proportion; the reservation is guaranteed (admission control),
// the limit is never exceeded.
struct CpuAllocation {
  std::int64_t shares = 0;  // 0: normal, 1000 a vCPU
  Mhz reservation{};
  Mhz limit{};  // 0: none
  static const Type& type();
};
struct MemoryAllocation {
  std::int64_t shares = 0;  // 0: normal, 10 a MiB
  Mib reservation{};
  Mib limit{};  // 0: none
  static const Type& type();
};

enum class DiskFormat : std::uint8_t { kQcow2, kRaw };
enum class DiskBus : std::uint8_t { kVirtio, kScsi, kSata };
enum class Firmware : std::uint8_t { kBios, kUefi };

struct DiskSpec {
  std::string name;       // unique in the VM: "root"
  std::string datastore;  // name or id
  std::string path;       // beneath the datastore; empty: vms/<vm id>/<name>.<format>
  DiskFormat format = DiskFormat::kQcow2;
  Mib size{};         // capacity; with an image at least the image's
  std::string image;  // file of the same or another datastore, "datastore:path", copied when the
                      // disk is made
  DiskBus bus = DiskBus::kVirtio;
  bool read_only = false;
  bool keep = false;  // an existing file that Chorok did not make: never deleted with the VM
  static const Type& type();
};

struct CdromSpec {
  std::string name;
  std::string datastore;
  std::string path;  // empty: no medium
  static const Type& type();
};

struct NicSpec {
  std::string name;     // unique in the VM: "eth0"
  std::string network;  // name or id
  std::string mac;      // empty: given by Chorok, unique in the inventory
  std::string model;    // empty: virtio
  static const Type& type();
};

struct BootSpec {
  std::vector<std::string>
      order;              // names of disks, CD-ROMs and NICs; empty: disks, then CD-ROMs, then NICs
  std::string datastore;  // of kernel and initrd (direct kernel boot)
  std::string kernel;
  std::string initrd;
  std::string cmdline;
  static const Type& type();
};

struct AutostartSpec {
  bool enabled = false;    // start with its host
  std::int32_t order = 0;  // lower first
  Duration delay{};        // after the one before it
  static const Type& type();
};

struct VmSpec {
  std::int32_t vcpus = 1;
  std::int32_t max_vcpus = 0;  // 0: vcpus; more allows hotplug
  Mib memory{512};
  Mib max_memory{};  // 0: memory
  CpuAllocation cpu;
  MemoryAllocation memory_allocation;
  std::string machine;    // empty: q35
  std::string cpu_model;  // empty: the cluster's baseline, or the host's own model
  Firmware firmware = Firmware::kBios;
  bool tpm = false;
  BootSpec boot;
  std::vector<DiskSpec> disks;
  std::vector<CdromSpec> cdroms;
  std::vector<NicSpec> nics;
  bool vnc = true;
  bool guest_agent = true;
  AutostartSpec autostart;
  static const Type& type();
};

// When hosts fail (HA). What depends on what is started in that order; priority comes after.
struct RestartSpec {
  std::int32_t priority = 3;       // 1 first … 5 last, 0 never
  std::vector<std::string> after;  // ids of VMs that must be ready before this one starts
  Duration delay{};                // after those are ready
  static const Type& type();
};

enum class VmState : std::uint8_t {
  kOff,
  kStarting,
  kOn,
  kPaused,
  kSaved,
  kStopping,
  kCrashed,
  kUnknown
};
enum class VmPower : std::uint8_t { kOff, kOn };  // what is wanted

enum class InstanceRole : std::uint8_t { kPrimary, kIncoming, kShadow, kUnknown };

struct SnapshotInfo {
  std::string name;
  std::string parent;
  Time created{};
  bool with_memory = false;
  bool current = false;
  static const Type& type();
};

struct DiskInfo {
  std::string name;
  std::string target;  // as libvirt calls it: vda
  std::string path;    // absolute, on the host
  Mib capacity{};
  Mib allocated{};
  static const Type& type();
};

// A VM as one host sees it. A migrating VM has two.
struct Instance {
  std::string uuid;  // libvirt's
  std::string vm;    // Chorok's id, empty for a guest that Chorok did not make
  std::string name;  // as libvirt calls it
  VmState state = VmState::kUnknown;
  InstanceRole role = InstanceRole::kPrimary;
  bool persistent = true;
  std::int32_t vcpus = 0;
  Mib memory{};
  std::vector<std::string> ips;
  std::vector<std::string> macs;
  std::vector<DiskInfo> disks;
  std::vector<SnapshotInfo> snapshots;
  std::uint64_t generation = 0;  // of the spec that its definition was made from
  bool pending = false;          // the definition differs from what runs: applied on next boot
  static const Type& type();
};

struct MigrationStats {
  std::string from;  // host names
  std::string to;
  std::string kind;  // live, live-storage, storage, cold
  Duration total{};
  Duration downtime{};
  Bytes transferred{};
  std::int64_t rounds = 0;
  double dirty_rate_mib_s = 0;
  std::int64_t limit_mib_s = 0;  // of what it was told to copy at; 0: none
  bool post_copy = false;
  bool tls = false;
  Time finished{};
  static const Type& type();
};

struct VmStatus {
  VmState state = VmState::kOff;
  std::string host;  // where it is, or last was
  std::string host_name;
  Time since{};         // of this state
  std::string message;  // why it is not as wanted, if it is not
  std::vector<std::string> ips;
  std::vector<std::string> pending;  // fields of the spec that wait for the next boot
  std::vector<SnapshotInfo> snapshots;
  std::string task;  // the one that is working on it
  std::optional<MigrationStats> last_migration;
  // Hosts (ids) that hold a copy of it that a broken migration left paused while it ran on
  // elsewhere: never taken for the VM again, and cleared away.
  std::vector<std::string> stale;
  bool owed = false;  // its host failed while it ran, and HA has not started it again yet
  static const Type& type();
};

struct Vm {
  Meta meta;
  std::string uuid;
  std::string
      domain;  // as libvirt calls it: the name it was created with, made unique; never changes
  VmSpec spec;
  std::string pool;                      // id; empty: directly below its cluster
  std::optional<Automation> automation;  // instead of the cluster's, which bounds it
  RestartSpec restart;
  VmPower power = VmPower::kOff;  // wanted
  std::string host;               // where it belongs (id)
  std::uint64_t generation = 0;   // counts changes of spec
  bool adopted = false;           // made outside Chorok and taken over
  bool defined = false;           // some host has, or had, its definition
  Time tidied{};            // when a definition left behind on another host was last cleared away
  std::string autostarted;  // the boot of its host after which it was last started by itself
  VmStatus status;
  static const Type& type();
};

const Type& enum_type(const DiskFormat*);
const Type& enum_type(const DiskBus*);
const Type& enum_type(const Firmware*);
const Type& enum_type(const VmState*);
const Type& enum_type(const VmPower*);
const Type& enum_type(const InstanceRole*);

}  // namespace chorok::model
