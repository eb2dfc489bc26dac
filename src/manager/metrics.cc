#include "manager/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "manager/alarms.h"
#include "manager/cluster_driver.h"

namespace chorok::manager {
namespace {

constexpr double kMib = 1 << 20;

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\\' || c == '"') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
}

// One family over all rows.
template <class Usage>
struct Family {
  std::string_view name;
  std::string_view help;
  double (*value)(const Usage&);
};

constexpr Family<VmUsage> kVmFamilies[] = {
    {"chorok_vm_cpu_mhz", "CPU that the VM uses, in MHz of its host's core.",
     [](const VmUsage& u) { return u.cpu_mhz; }},
    {"chorok_vm_cpu_ready_mhz", "CPU that the VM wanted and its host did not have.",
     [](const VmUsage& u) { return u.ready_mhz; }},
    {"chorok_vm_vcpus", "Virtual CPUs online.",
     [](const VmUsage& u) { return static_cast<double>(u.vcpus); }},
    {"chorok_vm_memory_bytes", "Memory that the guest has: its balloon takes the rest.",
     [](const VmUsage& u) { return u.memory * kMib; }},
    {"chorok_vm_memory_active_bytes", "Memory that the guest works with.",
     [](const VmUsage& u) { return u.active * kMib; }},
    {"chorok_vm_memory_consumed_bytes", "Memory of the host that the VM holds.",
     [](const VmUsage& u) { return u.consumed * kMib; }},
    {"chorok_vm_memory_reclaimable_bytes", "Memory that the VM holds and could do without.",
     [](const VmUsage& u) { return u.reclaimable * kMib; }},
    {"chorok_vm_disk_read_bytes_per_second", "Read from its disks.",
     [](const VmUsage& u) { return u.disk_read; }},
    {"chorok_vm_disk_written_bytes_per_second", "Written to its disks.",
     [](const VmUsage& u) { return u.disk_written; }},
    {"chorok_vm_network_received_bytes_per_second", "Received by its NICs.",
     [](const VmUsage& u) { return u.net_received; }},
    {"chorok_vm_network_sent_bytes_per_second", "Sent by its NICs.",
     [](const VmUsage& u) { return u.net_sent; }},
};

constexpr Family<HostUsage> kHostFamilies[] = {
    {"chorok_host_cpu_mhz", "CPU that the host uses, VMs and everything else.",
     [](const HostUsage& u) { return u.cpu_mhz; }},
    {"chorok_host_cpu_guests_mhz", "CPU that the host's VMs use.",
     [](const HostUsage& u) { return u.guests_mhz; }},
    {"chorok_host_cpu_ready_mhz", "CPU that the host's VMs wanted and did not get.",
     [](const HostUsage& u) { return u.ready_mhz; }},
    {"chorok_host_memory_bytes", "Memory of the host.",
     [](const HostUsage& u) { return u.memory * kMib; }},
    {"chorok_host_memory_available_bytes", "Memory that the host could still give.",
     [](const HostUsage& u) { return u.available * kMib; }},
    {"chorok_host_memory_guests_bytes", "Memory that the host's VMs hold.",
     [](const HostUsage& u) { return u.guests * kMib; }},
};

void vm_families(MetricsText& text, const Engine& engine, const Telemetry& telemetry) {
  struct Seen {
    std::shared_ptr<const model::Vm> vm;
    const VmUsage* usage;
    std::string host;
  };
  std::vector<Seen> seen;
  for (const auto& [id, vm] : engine.inventory().vms().all()) {
    const VmUsage* usage = telemetry.vm_by_uuid(vm->uuid);
    if (usage == nullptr || telemetry.is_stale(usage->at)) continue;
    auto host = engine.inventory().hosts().find(usage->host);
    seen.push_back({vm, usage, host == nullptr ? usage->host : host->meta.name});
  }
  for (const Family<VmUsage>& family : kVmFamilies) {
    if (seen.empty()) break;
    text.family(family.name, "gauge", family.help);
    for (const Seen& each : seen)
      text.sample({{"vm", each.vm->meta.name}, {"id", each.vm->meta.id}, {"host", each.host}},
                  family.value(*each.usage));
  }
  bool is_first = true;
  for (const Seen& each : seen) {
    if (!each.usage->dirty_known) continue;  // a 0 would say that it writes nothing
    if (is_first)
      text.family("chorok_vm_dirty_bytes_per_second", "gauge",
                  "Memory that the guest writes, as measured last.");
    is_first = false;
    text.sample({{"vm", each.vm->meta.name}, {"id", each.vm->meta.id}, {"host", each.host}},
                each.usage->dirty_mib_s * kMib);
  }
  is_first = true;
  for (const Seen& each : seen) {
    const auto size = static_cast<double>(each.vm->spec.memory.value);
    if (is_first)
      text.family("chorok_vm_memory_balloon_bytes", "gauge",
                  "Memory that the balloon has taken from the guest.");
    is_first = false;
    text.sample({{"vm", each.vm->meta.name}, {"id", each.vm->meta.id}, {"host", each.host}},
                std::max(0.0, size - each.usage->memory) * kMib);
  }
}

void host_families(MetricsText& text, const Engine& engine, const Telemetry& telemetry) {
  std::vector<std::pair<std::shared_ptr<const model::Host>, const HostUsage*>> seen;
  const auto& hosts = engine.inventory().hosts().all();
  for (const auto& [id, host] : hosts) {
    const HostUsage* usage = telemetry.host(id);
    if (usage != nullptr && !telemetry.is_stale(usage->at)) seen.emplace_back(host, usage);
  }
  for (const Family<HostUsage>& family : kHostFamilies) {
    if (seen.empty()) break;
    text.family(family.name, "gauge", family.help);
    for (const auto& [host, usage] : seen)
      text.sample({{"host", host->meta.name}, {"id", host->meta.id}}, family.value(*usage));
  }
  if (hosts.empty()) return;
  text.family("chorok_host_connected", "gauge", "Whether the host's agent is connected.");
  for (const auto& [id, host] : hosts)
    text.sample({{"host", host->meta.name}, {"id", id}},
                host->link == model::HostLink::kConnected ? 1 : 0);
  text.family("chorok_host_power", "gauge", "1 for the state that the host's power is in.");
  for (const auto& [id, host] : hosts)
    for (const EnumValue& state : type_of<model::HostPower>().values)
      text.sample({{"host", host->meta.name}, {"id", id}, {"state", state.name}},
                  static_cast<std::int64_t>(host->power) == state.value ? 1 : 0);
  text.family("chorok_host_cpu_capacity_mhz", "gauge", "CPU that the host has for VMs.");
  for (const auto& [id, host] : hosts)
    text.sample({{"host", host->meta.name}, {"id", id}},
                static_cast<double>(host->inventory.cpu.capacity.value));
}

void energy_families(MetricsText& text, const Engine& engine, const EnergyAccounts& energy) {
  using HostNow = EnergyAccounts::HostNow;
  const auto& hosts = engine.inventory().hosts().all();
  auto host_family = [&](std::string_view name, std::string_view type, std::string_view help,
                         double (*value)(const HostNow&)) {
    text.family(name, type, help);
    for (const auto& [id, host] : hosts)
      if (const HostNow* now = energy.host(id))
        text.sample({{"host", host->meta.name},
                     {"id", id},
                     {"source", name_of(now->source)},
                     {"method", name_of(now->method)}},
                    value(*now));
  };
  host_family("chorok_host_watts", "gauge", "What the host draws.",
              [](const HostNow& now) { return now.watts; });
  host_family("chorok_host_watts_error_ratio", "gauge", "The truth lies within +- this fraction.",
              [](const HostNow& now) { return now.error; });
  host_family("chorok_host_unused_watts", "gauge", "Of what the host draws, what no VM uses.",
              [](const HostNow& now) { return now.unused; });
  // Without the source: a counter is one series whatever meter is read.
  text.family("chorok_host_energy_joules_total", "counter", "Energy that the host has drawn.");
  for (const auto& [id, host] : hosts)
    if (const HostNow* now = energy.host(id))
      text.sample({{"host", host->meta.name}, {"id", id}}, now->joules);
  // No counter: what was saved shrinks where switching cost more than it won.
  text.family("chorok_host_saved_joules", "gauge",
              "Saved by keeping the host off, against its idling; since the manager began.");
  for (const auto& [id, host] : hosts)
    if (const HostNow* now = energy.host(id))
      text.sample({{"host", host->meta.name}, {"id", id}}, now->saved);
  const auto& vms = engine.inventory().vms().all();
  text.family("chorok_vm_watts", "gauge", "The VM's part of what its host draws.");
  for (const auto& [id, vm] : vms)
    if (const auto* now = energy.vm(vm->uuid))
      text.sample({{"vm", vm->meta.name}, {"id", id}}, now->watts);
  text.family("chorok_vm_energy_joules_total", "counter", "The VM's part of its hosts' energy.");
  for (const auto& [id, vm] : vms)
    if (const auto* now = energy.vm(vm->uuid))
      text.sample({{"vm", vm->meta.name}, {"id", id}}, now->joules);
  text.family("chorok_energy_sum_violations_total", "counter",
              "Accounts whose VMs and unused did not make the host's energy within 0.1 %.");
  text.sample({}, static_cast<double>(energy.violations()));
}

// How the clusters' rounds go.
void round_families(MetricsText& text, const Engine& engine, const DriverOf& drivers) {
  std::vector<std::pair<std::string, const PlanRecord*>> last;
  for (const auto& [id, cluster] : engine.inventory().clusters().all())
    if (const ClusterDriver* driver = drivers(id); driver != nullptr && !driver->plans().empty())
      last.emplace_back(cluster->meta.name, &driver->plans().back());
  if (last.empty()) return;
  text.family("chorok_cluster_rounds_total", "counter", "Rounds that the cluster was planned in.");
  for (const auto& [name, plan] : last)
    text.sample({{"cluster", name}}, static_cast<double>(plan->number));
  text.family("chorok_cluster_round_seconds", "gauge", "How long its last round took.");
  for (const auto& [name, plan] : last) text.sample({{"cluster", name}}, seconds(plan->took));
  text.family("chorok_cluster_round_timestamp_seconds", "gauge", "When its last round was.");
  for (const auto& [name, plan] : last)
    text.sample({{"cluster", name}}, seconds(plan->at.time_since_epoch()));
}

void manager_families(MetricsText& text, const Engine& engine, std::string_view version,
                      Time started) {
  const Inventory& inventory = engine.inventory();
  text.family("chorok_manager_info", "gauge", "Always 1; the version is a label.");
  text.sample({{"version", version}}, 1);
  text.family("chorok_manager_start_time_seconds", "gauge", "When it became the leader.");
  text.sample({}, seconds(started.time_since_epoch()));
  text.family("chorok_manager_term", "gauge", "The leader's term.");
  text.sample({}, static_cast<double>(engine.term()));
  text.family("chorok_manager_store_ok", "gauge", "Whether the store takes writes.");
  text.sample({}, engine.store_problem().empty() ? 1 : 0);
  text.family("chorok_vms", "gauge", "VMs by state.");
  std::map<model::VmState, int> states;
  for (const auto& [id, vm] : inventory.vms().all()) ++states[vm->status.state];
  for (const EnumValue& state : type_of<model::VmState>().values)
    text.sample({{"state", state.name}}, states[static_cast<model::VmState>(state.value)]);
  text.family("chorok_alarms", "gauge", "Alarms that are not cleared, by severity.");
  auto alarms = alarms_up(inventory);
  for (const EnumValue& severity : type_of<model::AlarmSeverity>().values)
    text.sample({{"severity", severity.name}},
                static_cast<double>(alarms[static_cast<model::AlarmSeverity>(severity.value)]));
  int open = 0;
  for (const auto& [id, task] : inventory.tasks().all()) open += task->finished_state() ? 0 : 1;
  text.family("chorok_tasks_open", "gauge", "Tasks that are not finished.");
  text.sample({}, open);
}

}  // namespace

void MetricsText::family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void MetricsText::sample(const Labels& labels, double value) {
  out_ += name_;
  char before = '{';
  for (const auto& [key, text] : labels) {
    out_ += before;
    out_ += key;
    out_ += "=\"";
    append_escaped(out_, text);
    out_ += '"';
    before = ',';
  }
  if (!labels.empty()) out_ += '}';
  fmt::format_to(std::back_inserter(out_), " {}\n", value);
}

std::string metrics_text(const Engine& engine, const Telemetry& telemetry,
                         const EnergyAccounts* energy, std::string_view version, Time started,
                         const DriverOf& drivers) {
  MetricsText text;
  manager_families(text, engine, version, started);
  if (drivers) round_families(text, engine, drivers);
  host_families(text, engine, telemetry);
  vm_families(text, engine, telemetry);
  if (energy != nullptr) energy_families(text, engine, *energy);
  return text.take();
}

}  // namespace chorok::manager
