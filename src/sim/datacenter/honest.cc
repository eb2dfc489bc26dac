#include "sim/datacenter/honest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/datacenter/curves.h"
#include "sim/datacenter/honest_snapshot.h"
#include "sim/datacenter/honest_world.h"

namespace chorok::sim::datacenter {

namespace {

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

// The actions of the newest plan that have not started yet, in its order. What cannot start now is
// tried again whenever something has ended, until the next plan.
class Queue {
 public:
  Queue(HonestWorld& world, HonestSnapshot& snapshot) : world_(world), snapshot_(snapshot) {}

  Result<void> take(policy::Plan plan) {
    dropped_ += static_cast<std::int64_t>(waiting_.size());
    plan_ = std::move(plan);
    state_.assign(plan_.actions.size(), State::kWaiting);
    waiting_.clear();
    for (std::uint32_t i = 0; i < plan_.actions.size(); ++i) {
      TRY(check_action(plan_.actions[i], i));
      waiting_.push_back(i);
    }
    return {};
  }

  // Starts what can be started.
  void work() {
    see_ends();
    std::erase_if(waiting_, [&](std::uint32_t i) {
      const Action& action = plan_.actions[i];
      const bool ready = std::ranges::all_of(
          action.after, [&](std::uint32_t before) { return state_[before] == State::kDone; });
      if (!ready || !start(action)) return false;
      state_[i] = is_done(action) ? State::kDone : State::kRunning;
      return true;
    });
  }
  std::int64_t dropped() const { return dropped_ + static_cast<std::int64_t>(waiting_.size()); }

 private:
  enum class State : std::uint8_t { kWaiting, kRunning, kDone };

  Result<void> check_action(const Action& action, std::uint32_t i) const {
    const bool needs_vm = action.kind == ActionKind::kMigrate || action.kind == ActionKind::kStart;
    if (action.to >= world_.hosts() || (needs_vm && action.vm >= world_.vms()))
      return fail(Code::kInternal,
                  fmt::format("the plan at {:g} s names VM {} and host {}; there "
                              "are {} and {}",
                              world_.now, action.vm, action.to, world_.vms(), world_.hosts()));
    for (std::uint32_t before : action.after)
      if (before >= i)
        return fail(Code::kInternal, fmt::format("action {} of the plan at {:g} s waits for {}, "
                                                 "which stands after it",
                                                 i, world_.now, before));
    return {};
  }

  bool start(const Action& action) {
    switch (action.kind) {
      case ActionKind::kMigrate: {
        const HonestWorld::Id from = world_.host[action.vm];
        if (!world_.migrate(action.vm, action.to)) return false;
        snapshot_.moved(action.vm, from);
        return true;
      }
      case ActionKind::kStart:
        return world_.start_vm(action.vm, action.to);
      case ActionKind::kPowerOn:
        return world_.power_on(action.to);
      case ActionKind::kPowerOff:
        return world_.power_off(action.to);
    }
    return false;
  }

  bool is_done(const Action& action) const {
    switch (action.kind) {
      case ActionKind::kMigrate:
      case ActionKind::kStart:
        return world_.host[action.vm] == action.to;
      case ActionKind::kPowerOn:
        return world_.power[action.to] == HonestWorld::Power::kOn;
      case ActionKind::kPowerOff:
        return world_.power[action.to] == HonestWorld::Power::kOff;
    }
    return false;
  }

  void see_ends() {
    for (std::size_t i = 0; i < state_.size(); ++i)
      if (state_[i] == State::kRunning && is_done(plan_.actions[i])) state_[i] = State::kDone;
  }

  HonestWorld& world_;
  HonestSnapshot& snapshot_;
  policy::Plan plan_;
  std::vector<State> state_;  // by action
  std::vector<std::uint32_t> waiting_;
  std::int64_t dropped_ = 0;
};

class Day {
 public:
  Day(HonestWorld& world, const Planner& planner, const RowSink& row)
      : world_(world),
        planner_(planner),
        row_(row),
        snapshot_(world, planner.settings),
        queue_(world, snapshot_) {}

  // Hosts that VMs start on are on from the beginning, at no cost.
  Result<void> begin(bool all_on) {
    world_.ask(0);
    if (planner_.place)
      for (const Action& action : planner_.place(snapshot_.waiting()).actions)
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
    for (std::size_t k = 1; k < world_.traces.samples; ++k) {
      pass_until(static_cast<double>(k) * interval);
      if (k == 1) world_.start_meters();
      if (row_) row_(world_.row());
      if (planner_.plan) {
        // The sample that is over is what a policy has seen; what comes is not.
        TRY(queue_.take(planner_.plan(snapshot_.at_tick(planner_))));
      }
      world_.ask(k);
      place_arrivals();
      queue_.work();
      note();
    }
    pass_until(static_cast<double>(world_.traces.samples) * interval);
    note();
    if (row_) row_(world_.row());
    run_.metrics = world_.finish();
    run_.off_s = world_.off_s;
    run_.dropped = queue_.dropped();
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

  // Without a planner, VMs that appear later go to the first host that is on and has room.
  void place_arrivals() {
    if (planner_.plan) return;
    for (HonestWorld::Id v = 0; v < world_.vms(); ++v) {
      if (!world_.exists(v) || world_.host[v] != HonestWorld::kNowhere) continue;
      for (HonestWorld::Id h = 0; h < world_.hosts(); ++h)
        if (world_.start_vm(v, h)) break;
    }
  }

  void pass_until(double time) {
    while (true) {
      const double next = world_.next_event();
      if (next > time) break;
      world_.advance(next);
      queue_.work();
    }
    world_.advance(time);
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
  HonestSnapshot snapshot_;
  Queue queue_;
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
