#include "model/host.h"

namespace chorok::model {

const Type& enum_type(const HostPower*) {
  static const Type kType = describe_enum<HostPower>(
      "HostPower", "Whether the machine has power.",
      {{0, "on", ""}, {1, "standby", ""}, {2, "waking", ""}, {3, "off", ""}, {4, "unknown", ""}});
  return kType;
}
const Type& enum_type(const HostLink*) {
  static const Type kType = describe_enum<HostLink>("HostLink", "Whether its agent can be reached.",
                                                    {{0, "connected", ""},
                                                     {1, "lost", "it should be, and is not"},
                                                     {2, "asleep", "off on purpose"}});
  return kType;
}
const Type& enum_type(const HostAdmin*) {
  static const Type kType = describe_enum<HostAdmin>("HostAdmin", "What people allow it.",
                                                     {{0, "enabled", "takes VMs"},
                                                      {1, "draining", "is being emptied"},
                                                      {2, "maintenance", "empty, and takes none"}});
  return kType;
}
const Type& enum_type(const HostDpm*) {
  static const Type kType =
      describe_enum<HostDpm>("HostDpm", "Whether DPM may switch a host off.",
                             {{0, "automatic", "as the cluster's settings say"},
                              {1, "excluded", "never: a person has said so"}});
  return kType;
}
const Type& enum_type(const Accelerator*) {
  static const Type kType = describe_enum<Accelerator>(
      "Accelerator", "What runs guest code.", {{0, "tcg", "software"}, {1, "kvm", "hardware"}});
  return kType;
}
const Type& enum_type(const DatastoreKind*) {
  static const Type kType =
      describe_enum<DatastoreKind>("DatastoreKind", "What a datastore stands on.",
                                   {{0, "directory", ""}, {1, "nfs", "mounted by the host"}});
  return kType;
}
const Type& enum_type(const NetworkKind*) {
  static const Type kType =
      describe_enum<NetworkKind>("NetworkKind", "How a network reaches the wire.",
                                 {{0, "bridge", "a bridge of the host"},
                                  {1, "nat", "libvirt's NAT network"},
                                  {2, "vlan", "a tag on a VLAN-aware bridge"}});
  return kType;
}

const Type& CpuInventory::type() {
  static const Type kType =
      describe<CpuInventory>("CpuInventory", "A host's processors.")
          .field("model", &CpuInventory::model, "As libvirt names it.")
          .field("vendor", &CpuInventory::vendor, "")
          .field("arch", &CpuInventory::arch, "")
          .field("sockets", &CpuInventory::sockets, "")
          .field("cores", &CpuInventory::cores, "Of a socket.")
          .field("threads", &CpuInventory::threads, "Of a core.")
          .field("online", &CpuInventory::online, "Logical CPUs.")
          .field("mhz", &CpuInventory::mhz, "Of one core.")
          .field("capacity", &CpuInventory::capacity, "What VMs can use in all.")
          .field("definition", &CpuInventory::definition, "libvirt's CPU XML.",
                 {.max_length = 65536});
  return kType;
}
const Type& NumaNode::type() {
  static const Type kType = describe<NumaNode>("NumaNode", "A NUMA node of a host.")
                                .field("id", &NumaNode::id, "")
                                .field("memory", &NumaNode::memory, "")
                                .field("cpus", &NumaNode::cpus, "", {.max_count = 4096});
  return kType;
}
const Type& DatastoreReach::type() {
  static const Type kType =
      describe<DatastoreReach>("DatastoreReach", "A datastore as one host reaches it.")
          .field("datastore", &DatastoreReach::datastore, "")
          .field("reachable", &DatastoreReach::reachable, "")
          .field("message", &DatastoreReach::message, "Why not.", {.max_length = 1024})
          .field("capacity", &DatastoreReach::capacity, "")
          .field("free", &DatastoreReach::free, "");
  return kType;
}
const Type& NetworkReach::type() {
  static const Type kType =
      describe<NetworkReach>("NetworkReach", "A network as one host reaches it.")
          .field("network", &NetworkReach::network, "")
          .field("reachable", &NetworkReach::reachable, "")
          .field("message", &NetworkReach::message, "Why not.", {.max_length = 1024});
  return kType;
}
const Type& HostInventory::type() {
  static const Type kType =
      describe<HostInventory>("HostInventory", "What a host is made of.")
          .field("cpu", &HostInventory::cpu, "")
          .field("memory", &HostInventory::memory, "What VMs can use in all.")
          .field("numa", &HostInventory::numa, "")
          .field("accelerator", &HostInventory::accelerator, "KVM, or TCG (software).")
          .field("accelerator_reason", &HostInventory::accelerator_reason, "Why it is TCG.")
          .field("kernel", &HostInventory::kernel, "")
          .field("libvirt_version", &HostInventory::libvirt_version, "")
          .field("qemu_version", &HostInventory::qemu_version, "")
          .field("hypervisor", &HostInventory::hypervisor, "libvirt's driver.")
          .field("machines", &HostInventory::machines, "Machine types.", {.max_count = 1024})
          .field("capabilities", &HostInventory::capabilities, "What the driver can do.")
          .field("address", &HostInventory::address, "For migration streams.")
          .field("simulated", &HostInventory::simulated, "A slice of a machine, or none at all.")
          .field("boot_id", &HostInventory::boot_id, "Changes with every boot.")
          .field("warnings", &HostInventory::warnings,
                 "What to know before it is trusted with VMs.",
                 {.max_length = 512, .max_count = 16});
  return kType;
}
const Type& Host::type() {
  static const Type kType =
      describe<Host>("Host", "A machine that runs VMs.")
          .field("meta", &Host::meta, "Name, labels, folder, notes.", {.required = true})
          .field("cluster", &Host::cluster,
                 "The cluster it belongs to: name or id. Changed only while no VM runs on it.",
                 {.max_length = 63, .pattern = Pattern::kName})
          .field("power", &Host::power, "", {.read_only = true})
          .field("link", &Host::link, "", {.read_only = true})
          .field("admin", &Host::admin, "", {.read_only = true})
          .field("enabled_since", &Host::enabled_since, "When it came back from maintenance.",
                 {.read_only = true})
          .field("link_since", &Host::link_since, "", {.read_only = true})
          .field("address", &Host::address, "", {.read_only = true})
          .field("agent_version", &Host::agent_version, "", {.read_only = true})
          .field("certificate_serial", &Host::certificate_serial, "", {.read_only = true})
          .field("certificate_expires", &Host::certificate_expires, "", {.read_only = true})
          .field("inventory", &Host::inventory, "", {.read_only = true})
          .field("datastores", &Host::datastores, "", {.read_only = true})
          .field("networks", &Host::networks, "", {.read_only = true})
          .field("libvirt_message", &Host::libvirt_message, "Why libvirt is not reachable.",
                 {.max_length = 1024, .read_only = true})
          .field("autostart_boot", &Host::autostart_boot,
                 "The boot after which VMs with autostart have had their turn.",
                 {.read_only = true})
          .field("bmc", &Host::bmc, "The controller that switches it on and off.")
          .field("bmc_changed", &Host::bmc_changed, "When that was changed last.",
                 {.read_only = true})
          .field("dpm", &Host::dpm, "Whether DPM may switch it off.")
          .field("dpm_reason", &Host::dpm_reason, "Why it is excluded.", {.max_length = 255})
          .field("power_model", &Host::power_model, "What it draws, where no meter says it.")
          .field("watch", &Host::watch, "What is known of its power and done about it.",
                 {.read_only = true})
          .field("foreign", &Host::foreign, "Guests that can be adopted.", {.read_only = true});
  return kType;
}
const Type& Datastore::type() {
  static const Type kType =
      describe<Datastore>("Datastore", "Where disks live.")
          .field("meta", &Datastore::meta, "Name, labels, folder, notes.", {.required = true})
          .field("kind", &Datastore::kind, "What it stands on.")
          .field("path", &Datastore::path, "Absolute path, the same on every host.",
                 {.max_length = 512, .required = true})
          .field("shared", &Datastore::shared, "The same files on every host that reaches it.");
  return kType;
}
const Type& Network::type() {
  static const Type kType =
      describe<Network>("Network", "What NICs are plugged into.")
          .field("meta", &Network::meta, "Name, labels, folder, notes.", {.required = true})
          .field("kind", &Network::kind, "How it reaches the wire.")
          .field("bridge", &Network::bridge, "The host's bridge.",
                 {.max_length = 15, .pattern = Pattern::kName})
          .field("vlan", &Network::vlan, "VLAN tag.", {.min = 0, .max = 4094})
          .field("libvirt_network", &Network::libvirt_network, "libvirt's network, for NAT.",
                 {.max_length = 63, .pattern = Pattern::kName});
  return kType;
}
const Type& MigrationSettings::type() {
  static const Type kType =
      describe<MigrationSettings>("MigrationSettings", "How live migrations are done.")
          .field("tls", &MigrationSettings::tls,
                 "Encrypt the stream; off only on a trusted network.")
          .field("auto_converge", &MigrationSettings::auto_converge,
                 "Slow a guest down that dirties too fast.")
          .field(
              "post_copy", &MigrationSettings::post_copy,
              "Switch to post-copy when pre-copy does not end; a host lost then loses the guest.")
          .field("post_copy_after_rounds", &MigrationSettings::post_copy_after_rounds,
                 "Rounds of pre-copy before that.", {.min = 1, .max = 100})
          .field("downtime_limit", &MigrationSettings::downtime_limit,
                 "Longest stand-still aimed at.", {.min = 0.001, .max = 60})
          .field("timeout", &MigrationSettings::timeout, "Then it is cancelled and the VM stays.",
                 {.min = 1, .max = 86400})
          .field("bandwidth_mib_s", &MigrationSettings::bandwidth_mib_s,
                 "MiB/s a migration; 0 is no limit.", {.min = 0, .max = 1e6})
          .field("parallel_per_host", &MigrationSettings::parallel_per_host,
                 "At once, in and out of a host.", {.min = 1, .max = 16})
          .field("multifd_channels", &MigrationSettings::multifd_channels,
                 "Parallel streams; 0 is one.", {.min = 0, .max = 16})
          .field("compression", &MigrationSettings::compression, "Where both ends can.");
  return kType;
}
const Type& Cluster::type() {
  static const Type kType =
      describe<Cluster>("Cluster", "Hosts that share load, and their settings.")
          .field("meta", &Cluster::meta, "Name, labels, folder, notes.", {.required = true})
          .field("cpu_baseline", &Cluster::cpu_baseline, "CPU model for every VM without its own.",
                 {.max_length = 60, .pattern = Pattern::kName})
          .field("cpu_baseline_definition", &Cluster::cpu_baseline_definition,
                 "As libvirt computed it.", {.max_length = 65536, .read_only = true})
          .field("migration", &Cluster::migration, "How live migrations are done.")
          .field("settings", &Cluster::settings, "What DRS, DPM and HA go by.")
          .field("schedule", &Cluster::schedule, "What they go by at certain hours.")
          .field("energy", &Cluster::energy, "What its energy costs.");
  return kType;
}

}  // namespace chorok::model
