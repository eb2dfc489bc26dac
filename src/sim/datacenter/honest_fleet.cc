#include "sim/datacenter/honest_snapshot.h"

#include <fmt/format.h>

namespace chorok::sim::datacenter {

namespace {

using Power = HonestWorld::Power;
using Operation = model::SnapshotOperation;

Time at(double seconds) {
  return Time(from_seconds(seconds));
}

model::HostPower seen(Power power) {
  switch (power) {
    case Power::kOff:
      return model::HostPower::kOff;
    case Power::kBooting:
      return model::HostPower::kWaking;
    case Power::kOn:
      return model::HostPower::kOn;
    case Power::kStopping:
      break;
  }
  return model::HostPower::kUnknown;
}

}  // namespace

HonestSnapshot::HonestSnapshot(const HonestWorld& world,
                               const model::PolicySettings& policy_settings)
    : world_(world) {
  snapshot_.cluster = "datacenter";
  snapshot_.settings = policy_settings;
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

void HonestSnapshot::look_at_hosts() {
  for (HonestWorld::Id h = 0; h < world_.hosts(); ++h) {
    model::SnapshotHost& host = snapshot_.hosts[h];
    host.power = seen(world_.power[h]);
    host.power_since = at(world_.power_since[h]);
    if (world_.power[h] == Power::kBooting)
      snapshot_.operations.push_back(
          {.kind = Operation::Kind::kPowerOn, .to = h, .since = host.power_since});
    if (world_.power[h] == Power::kStopping)
      snapshot_.operations.push_back(
          {.kind = Operation::Kind::kPowerOff, .to = h, .since = host.power_since});
  }
}

void HonestSnapshot::look_at_vms() {
  for (HonestWorld::Id v = 0; v < world_.vms(); ++v) {
    model::SnapshotVm& vm = snapshot_.vms[v];
    const bool runs = world_.host[v] != HonestWorld::kNowhere;
    vm.run = runs               ? model::VmRun::kOn
             : world_.exists(v) ? model::VmRun::kWaiting
                                : model::VmRun::kOff;
    vm.host = runs ? world_.host[v] : model::kNone;
    vm.cpu_demand.now = std::max(world_.asked[v], 0.0);
    vm.memory_demand.now = world_.used_memory[v];
    vm.consumed = world_.used_memory[v];
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

const model::Snapshot& HonestSnapshot::waiting() {
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

const model::Snapshot& HonestSnapshot::at_tick(const Planner& planner) {
  snapshot_.now = at(world_.now);
  ++snapshot_.revision;
  snapshot_.operations.clear();
  for (HonestWorld::Id h = 0; h < world_.hosts(); ++h) {
    model::SnapshotHost& host = snapshot_.hosts[h];
    host.time_on = from_seconds(world_.boot_s(h));
    host.time_off = from_seconds(world_.shutdown_s(h));
    host.boot_energy = world_.boot_j(h);
    host.shutdown_energy = world_.shutdown_j(h);
  }
  look_at_hosts();
  if (planner.forecast) {
    look_at_vms();
    planner.forecast(snapshot_);
  } else {
    waiting();
  }
  return snapshot_;
}

void HonestSnapshot::moved(HonestWorld::Id v, HonestWorld::Id from) {
  model::SnapshotVm& vm = snapshot_.vms[v];
  vm.last_moved = at(world_.now);
  vm.moved_from = from;
  vm.cpu_when_moved = std::max(world_.asked[v], 0.0);
}

}  // namespace chorok::sim::datacenter
