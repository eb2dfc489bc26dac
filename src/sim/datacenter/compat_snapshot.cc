#include "sim/datacenter/compat_snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace chorok::sim::datacenter {

namespace {

Time at(double seconds) {
  return Time(from_seconds(seconds));
}

// Migrations share nothing in CloudSim: as many as are asked for run at once, at full speed.
constexpr std::int32_t kParallel = 1'000'000;

}  // namespace

CompatSnapshot::CompatSnapshot(const CompatWorld& world,
                               const model::PolicySettings& policy_settings)
    : world_(world) {
  snapshot_.settings = policy_settings;
  snapshot_.cluster = "cloudsim";
  snapshot_.requirements.resize(1);
  snapshot_.offers.resize(1);
  for (const HostType& type : world.settings.host_types) snapshot_.curves.push_back(type.curve);
  // Memory is not enforced once VMs have been placed: there is room for all of them anywhere.
  const double room = std::accumulate(world.memory.begin(), world.memory.end(), 0.0);
  snapshot_.hosts.resize(world.hosts());
  for (HostId h = 0; h < world.hosts(); ++h) {
    const HostType& type = world.settings.host_types[world.type_of(h)];
    model::SnapshotHost& host = snapshot_.hosts[h];
    host.name = fmt::format("h{}", h);
    host.power = model::HostPower::kOff;
    host.capacity = {.cpu = type.mhz(), .memory = room};
    host.core_mhz = type.core_mhz;
    host.cores = type.cores;
    host.curve = static_cast<model::Index>(world.type_of(h));
    host.migration_bandwidth = world.migration_rate;
    host.migrations_parallel = kParallel;
  }
  snapshot_.vms.resize(world.vms());
  for (VmId v = 0; v < world.vms(); ++v) {
    model::SnapshotVm& vm = snapshot_.vms[v];
    vm.name = world.traces.vms[v].name;
    vm.run = model::VmRun::kWaiting;
    vm.size = {.cpu = world.size[v], .memory = world.memory[v]};
    vm.memory_demand = {.now = world.memory[v],
                        .mean = world.memory[v],
                        .peak = world.memory[v],
                        .expected = world.memory[v],
                        .upper = world.memory[v]};
    vm.consumed = world.memory[v];
  }
  moved_in_.assign(world.vms(), 0);
}

const model::Snapshot& CompatSnapshot::waiting() {
  const double* first = world_.traces.cpu_at(0);
  for (VmId v = 0; v < world_.vms(); ++v) {
    const double now = first[v] * world_.size[v];
    snapshot_.vms[v].cpu_demand = {
        .now = now, .mean = now, .peak = now, .expected = now, .upper = now};
  }
  return snapshot_;
}

const model::Snapshot& CompatSnapshot::at_tick(const Planner& planner) {
  snapshot_.now = at(world_.now);
  ++snapshot_.revision;
  for (HostId h = 0; h < world_.hosts(); ++h) {
    model::SnapshotHost& host = snapshot_.hosts[h];
    const auto power = world_.list[h].empty() ? model::HostPower::kOff : model::HostPower::kOn;
    if (host.power == power) continue;
    host.power = power;
    host.power_since = snapshot_.now;
  }
  for (VmId v = 0; v < world_.vms(); ++v) {
    model::SnapshotVm& vm = snapshot_.vms[v];
    const bool exists = world_.host[v] != kNoHost;
    vm.run = exists ? model::VmRun::kOn : model::VmRun::kOff;
    vm.host = exists ? world_.host[v] : model::kNone;
    const double now = exists ? world_.requested[v] : 0;
    vm.cpu_demand.now = now;
    if (!planner.forecast)
      vm.cpu_demand = {.now = now, .mean = now, .peak = now, .expected = now, .upper = now};
  }
  if (planner.forecast) planner.forecast(snapshot_);
  return snapshot_;
}

Result<void> CompatSnapshot::check(const policy::Action& action) const {
  if (action.vm >= world_.vms() || action.to >= world_.hosts())
    return fail(Code::kInternal,
                fmt::format("the plan at {} s names VM {} and host {}; there are {} and {}",
                            world_.now, action.vm, action.to, world_.vms(), world_.hosts()));
  return {};
}

Result<std::vector<Move>> CompatSnapshot::starts(const policy::Plan& plan) {
  std::vector<Move> out;
  std::vector<std::uint8_t> started(world_.vms(), 0);
  for (const policy::Action& action : plan.actions) {
    if (action.kind != policy::ActionKind::kStart) continue;
    TRY(check(action));
    if (started[action.vm]++)
      return fail(Code::kInternal, fmt::format("the initial placement starts VM {} twice",
                                               snapshot_.vms[action.vm].name));
    out.push_back({action.vm, action.to});
  }
  std::ranges::sort(out, {}, &Move::vm);
  return out;
}

Result<void> CompatSnapshot::moves(const policy::Plan& plan, std::vector<Move>& out) {
  out.clear();
  ++plans_;
  for (const policy::Action& action : plan.actions) {
    if (action.kind != policy::ActionKind::kMigrate) continue;
    TRY(check(action));
    model::SnapshotVm& vm = snapshot_.vms[action.vm];
    if (vm.run != model::VmRun::kOn || vm.host == action.to || moved_in_[action.vm] == plans_)
      return fail(Code::kInternal,
                  fmt::format("the plan at {} s moves VM {} to {}, but it {}", world_.now, vm.name,
                              snapshot_.hosts[action.to].name,
                              vm.run != model::VmRun::kOn ? "does not run"
                              : vm.host == action.to      ? "is there already"
                                                          : "has been moved by the same plan"));
    moved_in_[action.vm] = plans_;
    vm.last_moved = snapshot_.now;
    vm.moved_from = vm.host;
    vm.cpu_when_moved = world_.requested[action.vm];
    out.push_back({action.vm, action.to});
  }
  return {};
}

}  // namespace chorok::sim::datacenter
