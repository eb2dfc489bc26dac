#include "sim/datacenter/compat.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "sim/datacenter/compat_consolidate.h"
#include "sim/datacenter/compat_snapshot.h"
#include "sim/datacenter/compat_world.h"
#include "sim/datacenter/curves.h"
#include "sim/datacenter/trace_text.h"

namespace chorok::sim::datacenter {

#pragma STDC FP_CONTRACT OFF

namespace {

Result<void> check(const TraceSet& traces, const CompatSettings& settings) {
  if (traces.vms.empty() || traces.samples < 2)
    return fail(Code::kInvalid, fmt::format("{}: no traces to run", traces.source));
  if (settings.hosts < 1 || settings.host_types.empty() || settings.host_types.size() > 32 ||
      settings.vm_types.empty())
    return fail(Code::kInvalid, "the data centre needs hosts, at most 32 types of them, and VMs");
  if (std::abs(seconds(traces.interval) - settings.interval_s) > 1e-9)
    return fail(
        Code::kInvalid,
        fmt::format("{}: a sample every {:g} s, but a tick every {:g} s; give traces of that "
                    "pace",
                    traces.source, seconds(traces.interval), settings.interval_s));
  for (double share : traces.cpu)
    if (!(share >= 0 && share <= 1))
      return fail(Code::kInvalid,
                  fmt::format("{}: compat mode needs a CPU share from 0 to 1 at every sample",
                              traces.source));
  for (const VmType& vm : settings.vm_types)
    if (vm.memory_mib / (settings.host_bandwidth / (2 * 8000)) >= settings.interval_s)
      return fail(Code::kInvalid,
                  "a migration would last longer than a tick; compat mode has no "
                  "rule for that");
  return {};
}

Result<void> place_rest(CompatWorld& world, Consolidation& rule) {
  for (VmId v = 0; v < world.vms(); ++v) {
    if (world.host[v] != kNoHost) continue;
    const HostId h = rule.first_host(v);
    if (h == kNoHost)
      return fail(Code::kExhausted,
                  fmt::format("no host has room for VM {} ({} MHz, {} MiB) at the start; use more "
                              "hosts",
                              world.traces.vms[v].name, world.size[v], world.memory[v]));
    rule.placed(v, h);
    world.place(v, h);
  }
  return {};
}

// What is done at a tick, once everything has been updated: the moves to start.
using Decide = std::function<Result<const std::vector<Move>*>()>;

class Run {
 public:
  Run(CompatWorld& world, const RowSink& row) : world_(world), row_(row) {}

  Result<CompatRun> day(const Decide& decide, bool full_power) {
    // CloudSim adds the interval to its clock again and again; histories grow when the sum still
    // looks like a multiple of it.
    for (double time = world_.settings.first_s + world_.settings.interval_s;
         time <= world_.settings.end_s; time += world_.settings.interval_s) {
      const double before = time_;
      world_.update(time);
      time_ = time;
      if (full_power) world_.energy_j = energy_at_full_power(time - before);
      if (std::fmod(time - world_.settings.first_s, world_.settings.interval_s) == 0)
        world_.remember();
      note();
      world_.destroy_idle();
      world_.report(row_);
      if (!decide) continue;
      world_.start(*TRY(decide()));
      world_.finish_migrations(row_);
    }
    run_.metrics = world_.finish();
    return std::move(run_);
  }

 private:
  double energy_at_full_power(double span) {
    for (HostId h = 0; h < world_.hosts(); ++h)
      full_power_j_ += world_.settings.host_types[world_.type_of(h)].curve.watts[10] * span;
    return full_power_j_;
  }
  void note() {
    double memory = 0;
    for (VmId v = 0; v < world_.vms(); ++v)
      if (world_.host[v] != kNoHost) memory += world_.memory[v];
    run_.demand.push_back(world_.requested_sum());
    run_.memory.push_back(memory);
    run_.tick_time.push_back(world_.now);
  }

  CompatWorld& world_;
  const RowSink& row_;
  CompatRun run_;
  double time_ = 0;
  double full_power_j_ = 0;
};

}  // namespace

CompatSettings planetlab_settings() {
  CompatSettings s;
  s.host_types = {
      {.core_mhz = 1860, .cores = 2, .memory_mib = 4096, .curve = known_curve("hp-ml110-g4").curve},
      {.core_mhz = 2660,
       .cores = 2,
       .memory_mib = 4096,
       .curve = known_curve("hp-ml110-g5").curve}};
  s.vm_types = {{2500, 870}, {2000, 1740}, {1000, 1740}, {500, 613}};
  return s;
}

Result<PolicyName> parse_policy(std::string_view name) {
  if (name == "npa") return PolicyName{CompatPolicy::kNpa, 0};
  if (name == "dvfs") return PolicyName{CompatPolicy::kDvfs, 0};
  struct Row {
    std::string_view prefix;
    CompatPolicy policy;
  };
  constexpr std::array kRows = {
      Row{"thr-mmt-", CompatPolicy::kThr}, Row{"iqr-mmt-", CompatPolicy::kIqr},
      Row{"mad-mmt-", CompatPolicy::kMad}, Row{"lr-mmt-", CompatPolicy::kLr},
      Row{"lrr-mmt-", CompatPolicy::kLr}};
  for (const Row& row : kRows) {
    if (!name.starts_with(row.prefix)) continue;
    auto parameter = number<double>(name.substr(row.prefix.size()));
    if (parameter && *parameter > 0 && *parameter <= 100) return PolicyName{row.policy, *parameter};
  }
  return fail(Code::kInvalid,
              fmt::format("'{}' is no policy; there are npa, dvfs, thr-mmt-0.8, iqr-mmt-1.5, "
                          "mad-mmt-2.5, lr-mmt-1.2 (with any number up to 100)",
                          shown(name)));
}

Result<CompatRun> run_compat(const TraceSet& traces, const CompatSettings& settings,
                             const PolicyName& policy, const RowSink& row) {
  TRY(check(traces, settings));
  CompatWorld world(traces, settings);
  Consolidation consolidation(world, policy);
  TRY(place_rest(world, consolidation));
  Decide decide;
  if (policy.policy != CompatPolicy::kNpa && policy.policy != CompatPolicy::kDvfs)
    decide = [&]() -> Result<const std::vector<Move>*> { return &consolidation.decide(); };
  return Run(world, row).day(decide, policy.policy == CompatPolicy::kNpa);
}

Result<CompatRun> run_compat(const TraceSet& traces, const CompatSettings& settings,
                             const Planner& planner, const RowSink& row) {
  TRY(check(traces, settings));
  CompatWorld world(traces, settings);
  Consolidation rule(world, {});
  CompatSnapshot snapshot(world, planner.settings);
  if (planner.place)
    for (const Move& start : TRY(snapshot.starts(planner.place(snapshot.waiting())))) {
      rule.placed(start.vm, start.to);
      world.place(start.vm, start.to);
    }
  TRY(place_rest(world, rule));
  std::vector<Move> moves;
  Decide decide = [&]() -> Result<const std::vector<Move>*> {
    TRY(snapshot.moves(planner.plan(snapshot.at_tick(planner)), moves));
    return &moves;
  };
  return Run(world, row).day(planner.plan ? decide : Decide{}, false);
}

}  // namespace chorok::sim::datacenter
