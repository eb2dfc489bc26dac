#include "sim/datacenter/honest_fleet.h"

#include <fmt/format.h>

namespace chorok::sim::datacenter {

namespace {

using Power = HonestWorld::Power;
using control::BmcSays;
using control::Command;
using Operation = model::SnapshotOperation;

Time at(double seconds) {
  return Time(from_seconds(seconds));
}

}  // namespace

HonestFleet::HonestFleet(HonestWorld& world)
    : world_(world), seen_cpu_(world.vms(), -1), seen_memory_(world.memory) {
  seen_on_.assign(world.vms(), model::kNone);
  snapshot_.cluster = "datacenter";
  snapshot_.requirements.resize(1);
  snapshot_.offers.resize(1);
  for (const HostType& type : world.settings.host_types) snapshot_.curves.push_back(type.curve);
  snapshot_.hosts.resize(world.hosts());
  for (HonestWorld::Id h = 0; h < world.hosts(); ++h) {
    const HostType& type = world.type_of(h);
    model::SnapshotHost& host = snapshot_.hosts[h];
    host.name = fmt::format("h{}", h);
    host.power = model::HostPower::kOff;
    host.capacity = {.cpu = type.mhz(), .memory = type.memory_mib};
    host.core_mhz = type.core_mhz;
    host.cores = type.cores;
    host.curve = static_cast<model::Index>(h % world.settings.host_types.size());
    host.migration_bandwidth = world.settings.link_mib_s;
    host.migrations_parallel = world.settings.migrations_parallel;
  }
  snapshot_.vms.resize(world.vms());
  for (HonestWorld::Id v = 0; v < world.vms(); ++v) {
    model::SnapshotVm& vm = snapshot_.vms[v];
    vm.name = world.traces.vms[v].name;
    vm.vcpus = world.cores[v];
    vm.size = {.cpu = world.size[v], .memory = world.memory[v]};
  }
}

Time HonestFleet::now() const {
  return at(world_.now);
}

control::HostSeen HonestFleet::host(Index h) const {
  BmcSays bmc = world_.power[h] == Power::kOff ? BmcSays::kOff : BmcSays::kOn;
  if (world_.suffers(h, FaultKind::kBmc)) bmc = BmcSays::kSilent;
  return {.connected = world_.connected(h), .bmc = bmc, .heard = at(world_.heard[h])};
}

HonestFleet::Index HonestFleet::host_of(Index v) const {
  const HonestWorld::Id on = world_.host[v];
  Index& seen = seen_on_[v];
  if (on != HonestWorld::kNowhere && world_.connected(on))
    seen = on;
  else if (seen != model::kNone && world_.connected(seen))
    seen = model::kNone;
  return world_.exists(v) ? seen : model::kNone;
}

void HonestFleet::hear() {
  for (Index v = 0; v < vms(); ++v) host_of(v);
}

void HonestFleet::see_samples() {
  for (HonestWorld::Id v = 0; v < world_.vms(); ++v) {
    seen_cpu_[v] = world_.asked[v];
    seen_memory_[v] = world_.used_memory[v];
  }
}

void HonestFleet::carry_out(const Command& command) {
  switch (command.kind) {
    case Command::Kind::kMigrate: {
      const HonestWorld::Id from = world_.host[command.vm];
      if (!world_.migrate(command.vm, command.host)) return;
      model::SnapshotVm& vm = snapshot_.vms[command.vm];
      vm.last_moved = now();
      vm.moved_from = from;
      vm.cpu_when_moved = vm.cpu_demand.now;
      return;
    }
    case Command::Kind::kStart:
      world_.start_vm(command.vm, command.host);
      return;
    case Command::Kind::kPowerOn:
      world_.power_on(command.host);
      return;
    case Command::Kind::kPowerOff:
      world_.power_off(command.host);
      return;
    case Command::Kind::kFence:
      world_.cut_power(command.host);
      return;
  }
}

// Power is marked by who watches the hosts; what stands here is for the first look.
void HonestFleet::look_at_hosts() {
  for (HonestWorld::Id h = 0; h < world_.hosts(); ++h) {
    model::SnapshotHost& host = snapshot_.hosts[h];
    host.power = world_.connected(h) ? model::HostPower::kOn : model::HostPower::kOff;
    host.link = model::HostLink::kConnected;
    host.keep_on.clear();
    host.keep_off.clear();
    host.recent_failures = 0;
    host.power_since = at(world_.power_since[h]);
    host.time_on = from_seconds(world_.boot_s(h));
    host.time_off = from_seconds(world_.shutdown_s(h));
    host.boot_energy = world_.boot_j(h);
    host.shutdown_energy = world_.shutdown_j(h);
  }
}

void HonestFleet::look_at_vms() {
  for (HonestWorld::Id v = 0; v < world_.vms(); ++v) {
    model::SnapshotVm& vm = snapshot_.vms[v];
    vm.host = host_of(v);
    vm.run = !world_.exists(v)         ? model::VmRun::kOff
             : vm.host != model::kNone ? model::VmRun::kOn
                                       : model::VmRun::kWaiting;
    // Of a VM that has just come, what it asks for at first.
    const bool new_one = seen_cpu_[v] < 0;
    vm.cpu_demand.now = std::max(new_one ? world_.asked[v] : seen_cpu_[v], 0.0);
    vm.memory_demand.now = new_one ? world_.used_memory[v] : seen_memory_[v];
    vm.consumed = vm.memory_demand.now;
    vm.dirty_rate = world_.size[v] > 0 ? world_.settings.dirty_mib_s *
                                             std::min(1.0, vm.cpu_demand.now / world_.size[v])
                                       : 0;
  }
  for (const HonestWorld::Migration& m : world_.migrations)
    snapshot_.operations.push_back({.kind = Operation::Kind::kMigrate,
                                    .vm = m.vm,
                                    .from = m.from,
                                    .to = m.to,
                                    .since = at(m.since)});
}

model::Snapshot& HonestFleet::snapshot() {
  snapshot_.now = now();
  ++snapshot_.revision;
  snapshot_.operations.clear();
  look_at_hosts();
  look_at_vms();
  return snapshot_;
}

const model::Snapshot& HonestFleet::waiting(const model::PolicySettings& settings) {
  snapshot_.settings = settings;
  snapshot_.operations.clear();
  look_at_vms();
  for (model::SnapshotVm& vm : snapshot_.vms)
    for (model::Demand* demand : {&vm.cpu_demand, &vm.memory_demand})
      *demand = {.now = demand->now,
                 .mean = demand->now,
                 .peak = demand->now,
                 .expected = demand->now,
                 .upper = demand->now};
  return snapshot_;
}

}  // namespace chorok::sim::datacenter
