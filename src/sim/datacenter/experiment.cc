#include "sim/datacenter/experiment.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "sim/datacenter/bounds.h"
#include "sim/datacenter/chorok_planner.h"
#include "sim/datacenter/compat.h"
#include "sim/datacenter/honest.h"

namespace chorok::sim::datacenter {

namespace {

// How often a MiB may be sold where what counts is use.
constexpr double kMemorySoldMost = 4;

double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

void fill(Report& report, const Metrics& m) {
  report.energy_kwh = m.energy_kwh;
  report.migrations = m.migrations;
  report.migration_s = m.migration_s;
  report.true_overload = m.true_overload;
  report.unmet_demand = m.unmet_demand;
  report.slatah = m.slatah;
  report.pdm = m.pdm;
  report.slav = m.slav;
  report.esv = m.esv;
  report.host_on_count = m.host_on_count;
  report.host_off_count = m.host_off_count;
  report.host_hours = m.host_hours;
  report.overload_depth = m.overload_depth;
  report.unused_kwh = m.unused_kwh;
  report.lb0_kwh = m.bounds.lb0_kwh;
  report.lb1_kwh = m.bounds.lb1_kwh;
  report.lb2_kwh = m.bounds.lb2_kwh;
  report.lb3_kwh = m.bounds.lb3_kwh;
  report.vms = m.vms;
  report.vms_left = m.vms_left;
}

Result<Metrics> compat(const ExperimentRequest& request, const TraceSet& traces) {
  const CompatSettings settings = planetlab_settings();
  CompatRun run;
  if (request.policy == "chorok")
    run =
        TRY(run_compat(traces, settings, request.planner.value_or(chorok_planner()), request.row));
  else
    run = TRY(run_compat(traces, settings, TRY(parse_policy(request.policy)), request.row));
  std::vector<std::int32_t> counts(settings.host_types.size(), 0);
  for (std::int32_t h = 0; h < settings.hosts; ++h)
    ++counts[static_cast<std::size_t>(h) % counts.size()];
  run.metrics.bounds = lower_bounds({.time_s = run.tick_time,
                                     .demand_mhz = run.demand,
                                     .memory_mib = run.memory,
                                     .types = settings.host_types,
                                     .counts = counts});
  return run.metrics;
}

Result<Metrics> honest(const ExperimentRequest& request, const TraceSet& traces) {
  const bool is_bitbrains = request.experiment == "bitbrains";
  HonestSettings settings = is_bitbrains ? bitbrains_settings(traces) : planetlab_honest_settings();
  // Memory as used: what VMs have but do not use can be given to others.
  ChorokPlannerSettings chorok;
  const bool by_use = is_bitbrains && request.policy != "chorok-provisioned";
  if (by_use) {
    settings.memory = MemoryRule::kUsed;
    chorok.policy.power.memory_overcommit = kMemorySoldMost;
  }
  HonestRun run;
  if (request.policy == "always-on") {
    run = TRY(run_honest(traces, settings, HonestPolicy::kAlwaysOn, request.row));
  } else if (request.policy == "dvfs") {
    run = TRY(run_honest(traces, settings, HonestPolicy::kDvfs, request.row));
  } else if (request.policy == "chorok" || (is_bitbrains && !by_use)) {
    run = TRY(run_honest(traces, settings, request.planner.value_or(chorok_planner(chorok)),
                         request.row));
  } else {
    return fail(Code::kInvalid, fmt::format("'{}' is no policy of {}; there are chorok, always-on "
                                            "and dvfs",
                                            request.policy.substr(0, 40), request.experiment));
  }
  std::vector<std::int32_t> counts(settings.host_types.size(), 0);
  for (std::int32_t h = 0; h < settings.hosts; ++h)
    ++counts[static_cast<std::size_t>(h) % counts.size()];
  run.metrics.bounds = lower_bounds({.time_s = run.tick_time,
                                     .demand_mhz = run.demand,
                                     .memory_mib = run.memory,
                                     .types = settings.host_types,
                                     .counts = counts,
                                     .boot_j = settings.boot_j,
                                     .steps = true});
  return run.metrics;
}

Unexpected unknown(std::string_view name) {
  std::string names;
  for (const KnownExperiment& known : known_experiments())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", known.name);
  return fail(Code::kNotFound,
              fmt::format("there is no experiment '{}'; there are {}", name.substr(0, 60), names));
}

}  // namespace

const std::vector<KnownExperiment>& known_experiments() {
  static const std::vector<KnownExperiment> kKnown = {
      {"planetlab-compat",
       "A PlanetLab day on 800 small hosts with CloudSim 3.0.3's released semantics, to compare.",
       {"chorok", "npa", "dvfs", "thr-mmt-0.8", "iqr-mmt-1.5", "mad-mmt-2.5", "lr-mmt-1.2"}},
      {"planetlab-honest",
       "The same day and hosts where VMs live on, memory is enforced and boots and idling cost.",
       {"chorok", "always-on", "dvfs"}},
      {"bitbrains",
       "Traces with sizes (Bitbrains, CSV) on two-socket hosts of 2023; memory counts as used.",
       {"chorok", "chorok-provisioned", "always-on", "dvfs"}},
  };
  return kKnown;
}

Result<Report> run_experiment(const ExperimentRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  if (std::ranges::find(known_experiments(), std::string_view(request.experiment),
                        &KnownExperiment::name) == known_experiments().end())
    return unknown(request.experiment);
  const TraceSet traces = TRY(read_traces(request.traces, request.limits));
  Report report{
      .experiment = request.experiment, .traces = traces.source, .policy = request.policy};
  fill(report, TRY(request.experiment == "planetlab-compat" ? compat(request, traces)
                                                            : honest(request, traces)));
  report.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report.peak_rss_mib = peak_rss_mib();
  return report;
}

std::string_view csv_header() {
  return "time_s,active_hosts,active_first_type,vms,requested_mhz,energy_kwh,migrations";
}

std::string csv_line(const TickRow& row) {
  return fmt::format("{:.3f},{},{},{},{:.3f},{:.6f},{}", row.time_s, row.active_hosts,
                     row.active_first_type, row.vms, row.requested_mhz, row.energy_kwh,
                     row.migrations);
}

const Type& Report::type() {
  static const Type kType =
      describe<Report>("SimReport", "What one run of an experiment came to; shares are of one.")
          .field("experiment", &Report::experiment, "Its name.")
          .field("traces", &Report::traces, "The file or folder that the demand came from.")
          .field("policy", &Report::policy, "Who decided.")
          .field("energy_kwh", &Report::energy_kwh, "Energy of all hosts.")
          .field("migrations", &Report::migrations, "Migrations that were started.")
          .field("migration_s", &Report::migration_s, "Seconds of VMs in migration, added up.")
          .field("true_overload", &Report::true_overload,
                 "Share of hosts' active time with demand above capacity.")
          .field("unmet_demand", &Report::unmet_demand,
                 "Share of the CPU time asked for that was not given.")
          .field("slatah", &Report::slatah,
                 "SLA violation time per active host: share of active time in which some VM got "
                 "less than it asked for.")
          .field("pdm", &Report::pdm, "Performance degradation due to migrations.")
          .field("slav", &Report::slav, "slatah times pdm.")
          .field("esv", &Report::esv, "energy_kwh times slav.")
          .field("host_on_count", &Report::host_on_count, "How often a host came on.")
          .field("host_off_count", &Report::host_off_count,
                 "How often one went off; in compat mode, hosts never used count once.")
          .field("host_hours", &Report::host_hours, "Hours that hosts were active, added up.")
          .field("overload_depth", &Report::overload_depth,
                 "Demand above capacity as a share of it, mean over true_overload's time.")
          .field("unused_kwh", &Report::unused_kwh, "Idle power that no VM's size accounts for.")
          .field("lb0_kwh", &Report::lb0_kwh, "Lower bound: every MHz at the best watts per MHz.")
          .field("lb1_kwh", &Report::lb1_kwh, "Lower bound: whole hosts.")
          .field("lb2_kwh", &Report::lb2_kwh, "Lower bound: whole hosts, and memory fits.")
          .field("lb3_kwh", &Report::lb3_kwh, "Lower bound: whole hosts, and boots cost energy.")
          .field("vms", &Report::vms, "VMs at the start.")
          .field("vms_left", &Report::vms_left, "VMs at the end.")
          .field("wall_s", &Report::wall_s, "Seconds this took, reading and bounds included.")
          .field("peak_rss_mib", &Report::peak_rss_mib, "The most memory the process held.");
  return kType;
}

}  // namespace chorok::sim::datacenter
