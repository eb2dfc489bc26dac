// A machine that runs VMs through libvirt. Three axes, never mixed: power, link, admin.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/units.h"
#include "model/bmc.h"
#include "model/common.h"
#include "model/energy_settings.h"
#include "model/host_watch.h"
#include "model/policy_settings.h"
#include "model/schedule.h"
#include "model/vm.h"

namespace chorok::model {

enum class HostPower : std::uint8_t { kOn, kStandby, kWaking, kOff, kUnknown };
// kAsleep: it is off because somebody or DPM wanted it so; kLost: it should be there.
enum class HostLink : std::uint8_t { kConnected, kLost, kAsleep };
enum class HostAdmin : std::uint8_t { kEnabled, kDraining, kMaintenance };
enum class Accelerator : std::uint8_t {
  kTcg,
  kKvm
};  // KVM only with svm or vmx in the CPU's flags and /dev/kvm open

struct CpuInventory {
  std::string model;  // as libvirt names it
  std::string vendor;
  std::string arch;
  std::int32_t sockets = 0;
  std::int32_t cores = 0;    // a socket
  std::int32_t threads = 0;  // a core
  std::int32_t online = 0;   // logical CPUs
  Mhz mhz{};                 // of one core
  Mhz capacity{};            // mhz times what this host may use; in the lab a slice
  std::string
      definition;  // libvirt's <cpu> XML: compared against other hosts, never shown to a guest
  static const Type& type();
};

struct NumaNode {
  std::int32_t id = 0;
  Mib memory{};
  std::vector<std::int32_t> cpus;
  static const Type& type();
};

// A datastore or network of the inventory as this host reaches it.
struct DatastoreReach {
  std::string datastore;  // id
  bool reachable = false;
  std::string message;  // why not
  Mib capacity{};
  Mib free{};
  static const Type& type();
};
struct NetworkReach {
  std::string network;
  bool reachable = false;
  std::string message;
  static const Type& type();
};

struct HostInventory {
  CpuInventory cpu;
  Mib memory{};
  std::vector<NumaNode> numa;
  Accelerator accelerator = Accelerator::kTcg;
  std::string accelerator_reason;
  std::string kernel;
  std::string libvirt_version;
  std::string qemu_version;
  std::string hypervisor;             // driver: QEMU, Xen, LXC, fake
  std::vector<std::string> machines;  // machine types
  std::vector<std::string>
      capabilities;        // what this driver can do: live-migration, tls, post-copy, multifd, …
  std::string address;     // for migration streams
  bool simulated = false;  // a slice of a machine (the lab) or no machine at all (--sim)
  std::string boot_id;
  std::vector<std::string> warnings;  // what a person should know before trusting it with VMs
  static const Type& type();
};

// Whether a cluster's DPM may switch it off.
enum class HostDpm : std::uint8_t { kAutomatic, kExcluded };

struct Host {
  Meta meta;
  std::string cluster;  // id; empty in records of before there were several: the first one
  HostPower power = HostPower::kOn;
  HostLink link = HostLink::kLost;
  HostAdmin admin = HostAdmin::kEnabled;
  Time enabled_since{};  // when it was enabled last, after maintenance or on the way there
  Time link_since{};
  std::string address;
  std::string agent_version;
  std::string certificate_serial;
  Time certificate_expires{};
  HostInventory inventory;
  std::vector<DatastoreReach> datastores;
  std::vector<NetworkReach> networks;
  std::string libvirt_message;  // why libvirt is not reachable, if it is not
  std::string autostart_boot;   // the boot after which VMs with autostart have had their turn
  BmcSpec bmc;
  Time bmc_changed{};  // what was tested before says nothing of how it is reached now
  HostDpm dpm = HostDpm::kAutomatic;
  std::string dpm_reason;  // why it is excluded, for people
  PowerModel power_model;
  HostWatch watch;                // of the cluster's loops
  std::vector<Instance> foreign;  // guests that Chorok did not make, to be adopted
  static const Type& type();
};

enum class DatastoreKind : std::uint8_t { kDirectory, kNfs };

struct Datastore {
  Meta meta;
  DatastoreKind kind = DatastoreKind::kDirectory;
  std::string path;     // absolute, the same on every host
  bool shared = false;  // the same bytes on every host that reaches it
  static const Type& type();
};

enum class NetworkKind : std::uint8_t { kBridge, kNat, kVlan };

struct Network {
  Meta meta;
  NetworkKind kind = NetworkKind::kBridge;
  std::string bridge;           // bridge and vlan: of the host
  std::int32_t vlan = 0;        // vlan: the tag
  std::string libvirt_network;  // nat: libvirt's network of that name
  static const Type& type();
};

// How a cluster's VMs are moved. Each bound has a default and a reason.
struct MigrationSettings {
  bool tls = true;            // off only on a trusted network
  bool auto_converge = true;  // slow the guest down rather than never finish
  bool post_copy =
      false;  // finish on the target when pre-copy does not; a failure then loses the guest
  std::int32_t post_copy_after_rounds = 5;
  Duration downtime_limit = std::chrono::milliseconds(300);  // libvirt's own default
  Duration timeout = std::chrono::minutes(30);  // then it is cancelled and the VM stays
  std::int64_t bandwidth_mib_s = 0;             // a migration; 0: none
  std::int32_t parallel_per_host = 2;           // more only make each other slow
  std::int32_t multifd_channels = 0;            // 0: off
  bool compression = false;
  static const Type& type();
};

struct Cluster {
  Meta meta;
  std::string cpu_baseline;  // CPU model every VM without its own gets; empty: the host's
  std::string cpu_baseline_definition;
  MigrationSettings migration;
  // Chorok moves nothing that runs, and switches no host, until somebody says so.
  PolicySettings settings = {
      .balance = {.automation = Automation::kPartial}, .power = {}, .ha = {}};
  Schedule schedule;
  EnergySettings energy;
  static const Type& type();
};

const Type& enum_type(const HostPower*);
const Type& enum_type(const HostLink*);
const Type& enum_type(const HostAdmin*);
const Type& enum_type(const HostDpm*);
const Type& enum_type(const Accelerator*);
const Type& enum_type(const DatastoreKind*);
const Type& enum_type(const NetworkKind*);

}  // namespace chorok::model
