#include "sim/datacenter/honest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "policy/survive.h"
#include "sim/datacenter/curves.h"
#include "sim/datacenter/honest_fleet.h"
#include "sim/datacenter/honest_world.h"

namespace chorok::sim::datacenter {

namespace {

using control::ClusterLoop;
using policy::Action;
using policy::ActionKind;

Result<void> check(const TraceSet& traces, const HonestSettings& settings) {
  if (traces.vms.empty() || traces.samples < 3)
    return fail(Code::kInvalid,
                fmt::format("{}: no traces to run; three samples at least", traces.source));
  if (settings.host_types.empty() || settings.hosts < 1)
    return fail(Code::kInvalid, "the data centre needs hosts");
  if (!(settings.boot_s > 0 && settings.shutdown_s > 0 && settings.link_mib_s > 0 &&
        settings.migrations_parallel > 0))
    return fail(Code::kInvalid, "boots, stops and links need a time or rate above nothing");
  if (settings.vm_types.empty())
    for (const TraceVm& vm : traces.vms)
      if (!(vm.cpu_mhz > 0 && vm.memory_mib > 0))
        return fail(Code::kInvalid,
                    fmt::format("{}: the trace does not say how large VM {} is; give it a size",
                                traces.source, vm.name));
  return {};
}

constexpr double kNever = std::numeric_limits<double>::infinity();
// A turn whose orders take effect at once is followed by another; so many, and no more.
constexpr int kTurnsMost = 100;

control::LoopSettings loop_settings(const HonestWorld& world) {
  control::LoopSettings settings = world.settings.loop;
  if (settings.round <= Duration::zero()) settings.round = world.traces.interval;
  return settings;
}

class Day {
 public:
  Day(HonestWorld& world, const Planner& planner, const RowSink& row)
      : world_(world),
        planner_(planner),
        row_(row),
        fleet_(world),
        loop_(planner, loop_settings(world)) {
    world_.stops_without_lease = planner.settings.ha.enabled;
  }

  // Hosts that VMs start on are on from the beginning, at no cost.
  Result<void> begin(bool all_on) {
    world_.ask(0);
    if (planner_.place)
      for (const Action& action : planner_.place(fleet_.waiting(planner_.settings)).actions)
        if (action.kind == ActionKind::kStart && action.vm < world_.vms() &&
            action.to < world_.hosts()) {
          world_.power[action.to] = HonestWorld::Power::kOn;
          world_.start_vm(action.vm, action.to);
        }
    std::vector<double> sold(world_.hosts(), 0);
    for (HonestWorld::Id h = 0; h < world_.hosts(); ++h)
      for (HonestWorld::Id v : world_.list[h]) sold[h] += world_.size[v];
    for (HonestWorld::Id v = 0; v < world_.vms(); ++v)
      if (world_.host[v] == HonestWorld::kNowhere && world_.exists(v)) TRY(fit(v, sold, all_on));
    if (all_on) std::ranges::fill(world_.power, HonestWorld::Power::kOn);
    return {};
  }

  Result<HonestRun> run() {
    const double interval = seconds(world_.traces.interval);
    fleet_.hear();
    for (std::size_t k = 1; k < world_.traces.samples; ++k) {
      TRY(pass_until(static_cast<double>(k) * interval));
      if (k == 1) world_.start_meters();
      if (row_) row_(world_.row());
      // The sample that is over is what a policy has seen; what comes is not.
      fleet_.see_samples();
      TRY(turn());
      world_.ask(k);
      TRY(place_arrivals());
      note();
    }
    TRY(pass_until(static_cast<double>(world_.traces.samples) * interval));
    note();
    if (row_) row_(world_.row());
    run_.metrics = world_.finish();
    run_.off_s = world_.off_s;
    run_.dropped = loop_.dropped();
    run_.vms_lost = world_.vms_lost;
    run_.doubles = world_.doubles;
    run_.vm_down_s = world_.vm_down_s;
    if (reserve_is_short_) run_.reserve_short += world_.now - reserve_seen_;
    run_.reserve_short /= interval * static_cast<double>(world_.traces.samples - 1);
    run_.memory_short =
        run_.metrics.host_hours > 0 ? world_.memory_short_s / (run_.metrics.host_hours * 3600) : 0;
    return std::move(run_);
  }

 private:
  // The first host that fits, or the one of which least was sold.
  Result<void> fit(HonestWorld::Id v, std::vector<double>& sold, bool evenly) {
    order_.resize(world_.hosts());
    std::iota(order_.begin(), order_.end(), 0);
    if (evenly)
      std::ranges::sort(order_, [&](HonestWorld::Id a, HonestWorld::Id b) {
        const double share_a = sold[a] / world_.type_of(a).mhz();
        const double share_b = sold[b] / world_.type_of(b).mhz();
        return share_a != share_b ? share_a < share_b : a < b;
      });
    for (HonestWorld::Id h : order_) {
      const HostType& type = world_.type_of(h);
      const double core = world_.size[v] / world_.cores[v];
      if (core > type.core_mhz * (1 + 1e-9) && world_.settings.vm_types.size() > 0) continue;
      if (sold[h] + world_.size[v] > type.mhz() * world_.settings.cpu_overcommit) continue;
      const auto before = world_.power[h];
      world_.power[h] = HonestWorld::Power::kOn;
      if (world_.start_vm(v, h)) {
        sold[h] += world_.size[v];
        return {};
      }
      world_.power[h] = before;
    }
    return fail(Code::kExhausted,
                fmt::format("no host has room for VM {} ({} MHz, {} MiB) at the start; use more "
                            "hosts",
                            world_.traces.vms[v].name, world_.size[v], world_.memory[v]));
  }

  // VMs that appear. Without a planner they go to the first host that is on and has room.
  Result<void> place_arrivals() {
    bool waiting = false;
    for (HonestWorld::Id v = 0; v < world_.vms(); ++v) {
      if (!world_.exists(v) || world_.host[v] != HonestWorld::kNowhere) continue;
      waiting = true;
      if (planner_.plan) continue;
      for (HonestWorld::Id h = 0; h < world_.hosts(); ++h)
        if (world_.start_vm(v, h)) break;
    }
    if (!waiting || !planner_.plan) return {};
    loop_.plan_soon();
    return turn();
  }

  // The loops look, and what they order is done, until there is nothing more to order now.
  Result<void> turn() {
    if (!planner_.plan) return {};
    for (int i = 0; i < kTurnsMost; ++i) {
      const control::Turn turn = TRY(loop_.turn(fleet_));
      wake_ = turn.wake == Time::max() ? kNever : seconds(turn.wake.time_since_epoch());
      for (const control::Command& command : turn.commands) fleet_.carry_out(command);
      for (const control::LoopEvent& event : turn.events) keep(event);
      if (turn.planned) look_at_reserve();
      if (turn.commands.empty()) return {};
    }
    return {};
  }

  void keep(const control::LoopEvent& event) {
    run_.vms_restarted += event.kind == control::LoopEvent::Kind::kVmRestarted;
    if (run_.events.size() < HonestRun::kEventsMax) run_.events.push_back({world_.now, event});
  }

  // Time since the look before counts as that look found things.
  void look_at_reserve() {
    if (!planner_.settings.ha.enabled) return;
    if (reserve_is_short_) run_.reserve_short += world_.now - reserve_seen_;
    reserve_seen_ = world_.now;
    reserve_is_short_ = !policy::check_failures(loop_.snapshot(), planner_.settings.ha.failures,
                                                {.first_only = true})
                             .survives();
  }

  Result<void> pass_until(double time) {
    while (true) {
      const double event = world_.next_event();
      if (event > time && wake_ >= time) break;
      world_.advance(std::min(event, wake_));
      TRY(turn());
    }
    world_.advance(time);
    return {};
  }

  void note() {
    double demand = 0;
    double memory = 0;
    for (HonestWorld::Id v = 0; v < world_.vms(); ++v) {
      if (!world_.exists(v)) continue;
      demand += world_.asked[v];
      memory += world_.needed_memory(v);
    }
    run_.tick_time.push_back(world_.now);
    run_.demand.push_back(demand);
    run_.memory.push_back(memory);
  }

  HonestWorld& world_;
  const Planner& planner_;
  const RowSink& row_;
  HonestFleet fleet_;
  ClusterLoop loop_;
  double wake_ = kNever;
  double reserve_seen_ = 0;
  bool reserve_is_short_ = false;
  HonestRun run_;
  std::vector<HonestWorld::Id> order_;
};

}  // namespace

HonestSettings planetlab_honest_settings() {
  HonestSettings s;
  s.hosts = 800;
  s.host_types = {
      {.core_mhz = 1860, .cores = 2, .memory_mib = 4096, .curve = known_curve("hp-ml110-g4").curve},
      {.core_mhz = 2660,
       .cores = 2,
       .memory_mib = 4096,
       .curve = known_curve("hp-ml110-g5").curve}};
  s.vm_types = {{2500, 870}, {2000, 1740}, {1000, 1740}, {500, 613}};
  return s;
}

HonestSettings bitbrains_settings(const TraceSet& traces) {
  HonestSettings s;
  const KnownCurve& curve = known_curve("spec-median-2023");
  const HostType host{
      .core_mhz = 3000, .cores = curve.cores, .memory_mib = 1024 * 1024, .curve = curve.curve};
  s.host_types = {host};
  double mhz = 0;
  double memory = 0;
  for (const TraceVm& vm : traces.vms) {
    mhz += vm.cpu_mhz;
    memory += vm.memory_mib;
  }
  // A fifth more than a perfect packing of what was sold.
  s.hosts = static_cast<std::int32_t>(
      std::ceil(1.2 * std::max(mhz / host.mhz(), memory / host.memory_mib)));
  s.hosts = std::max(s.hosts, 2);
  s.link_mib_s = 1120;  // 10 Gbit/s
  s.boot_j = 300 * 240;
  s.shutdown_j = s.shutdown_s * curve.curve.watts[0];
  return s;
}

Result<HonestRun> run_honest(const TraceSet& traces, const HonestSettings& settings,
                             const Planner& planner, const RowSink& row) {
  TRY(check(traces, settings));
  HonestWorld world(traces, settings);
  Day day(world, planner, row);
  TRY(day.begin(false));
  return day.run();
}

Result<HonestRun> run_honest(const TraceSet& traces, const HonestSettings& settings,
                             HonestPolicy policy, const RowSink& row) {
  TRY(check(traces, settings));
  HonestWorld world(traces, settings);
  const Planner nobody;
  Day day(world, nobody, row);
  TRY(day.begin(policy == HonestPolicy::kAlwaysOn));
  return day.run();
}

}  // namespace chorok::sim::datacenter
