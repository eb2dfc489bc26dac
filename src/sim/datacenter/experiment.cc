#include "sim/datacenter/experiment.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "base/json.h"
#include "sim/datacenter/bounds.h"
#include "sim/datacenter/chorok_planner.h"
#include "sim/datacenter/compat.h"
#include "sim/datacenter/honest.h"

namespace chorok::sim::datacenter {

namespace {

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

// One data centre, its demand and who decides, ready to run.
struct Setup {
  const ExperimentFile& file;
  const ExperimentRequest& request;
  const TraceSet& traces;
  const HostMix& mix;
  const RowSink& row;
  std::function<void(const BoundInput&)> bound;  // told what the bounds were computed from
  Planner planner() const {
    return request.planner ? *request.planner : chorok_planner({.policy = file.settings});
  }
};

Metrics judged(Metrics metrics, const Setup& setup, const BoundInput& input) {
  metrics.bounds = lower_bounds(input);
  if (setup.bound) setup.bound(input);
  return metrics;
}

Result<Metrics> compat(const Setup& setup) {
  const ExperimentFile& file = setup.file;
  const CompatSettings settings = TRY(compat_settings(file, setup.mix, setup.traces));
  CompatRun run;
  if (file.policy == "chorok")
    run = TRY(run_compat(setup.traces, settings, setup.planner(), setup.row));
  else
    run = TRY(run_compat(setup.traces, settings, TRY(parse_policy(file.policy)), setup.row));
  const BoundInput input{.time_s = run.tick_time,
                         .demand_mhz = run.demand,
                         .memory_mib = run.memory,
                         .types = setup.mix.types,
                         .counts = setup.mix.counts};
  return judged(run.metrics, setup, input);
}

Result<HonestRun> honest_run(const Setup& setup, const HonestSettings& settings) {
  const std::string& policy = setup.file.policy;
  const RowSink& row = setup.row;
  if (policy == "always-on")
    return run_honest(setup.traces, settings, HonestPolicy::kAlwaysOn, row);
  if (policy == "dvfs") return run_honest(setup.traces, settings, HonestPolicy::kDvfs, row);
  if (policy == "chorok") return run_honest(setup.traces, settings, setup.planner(), row);
  return fail(Code::kInvalid,
              fmt::format("'{}' is no policy of {}; there are chorok, chorok-provisioned, "
                          "always-on and dvfs",
                          policy.substr(0, 40), setup.file.name),
              "/policy");
}

Result<Metrics> honest(const Setup& setup, Report& report) {
  const HonestSettings settings = TRY(honest_settings(setup.file, setup.mix, setup.traces));
  HonestRun run = TRY(honest_run(setup, settings));
  report.actions_dropped = run.dropped;
  report.memory_short = run.memory_short;
  report.faults = static_cast<std::int64_t>(settings.faults.size());
  report.vms_lost = run.vms_lost;
  report.vms_restarted = run.vms_restarted;
  report.vm_down_s = run.vm_down_s;
  report.doubles = run.doubles;
  report.reserve_short = run.reserve_short;
  double boot_j = setup.mix.types[0].boot_j;  // the least: the bound stays one
  for (const HostType& type : setup.mix.types) boot_j = std::min(boot_j, type.boot_j);
  const BoundInput input{.time_s = run.tick_time,
                         .demand_mhz = run.demand,
                         .memory_mib = run.memory,
                         .types = setup.mix.types,
                         .counts = setup.mix.counts,
                         .boot_j = boot_j,
                         .steps = true};
  return judged(run.metrics, setup, input);
}

std::string source_of(const model::Calendar& calendar) {
  return calendar.as_of.empty() ? calendar.source
                                : fmt::format("{}, as of {}", calendar.source, calendar.as_of);
}

// IT energy and facility energy apart: the multiplier overstates what is saved at the margin.
void fill(Report& report, const AccountSettings& settings, const EnergyAccount& account) {
  report.pue = settings.pue;
  if (settings.price) {
    report.currency = settings.price->unit;
    report.cost = account.cost();
    report.price_source = source_of(*settings.price);
  }
  if (settings.carbon) {
    report.co2_kg = account.co2_kg();
    report.co2_source = source_of(*settings.carbon);
  }
  if (settings.pue == 1) return;
  report.facility_kwh = report.energy_kwh * settings.pue;
  if (report.cost) report.facility_cost = *report.cost * settings.pue;
  if (report.co2_kg) report.facility_co2_kg = *report.co2_kg * settings.pue;
}

// Seconds from the start of the traces to the end of the run.
double end_of(const ExperimentFile& file, const TraceSet& traces) {
  return file.mode == Mode::kCompat && file.duration_s > 0
             ? file.duration_s
             : static_cast<double>(traces.samples) * seconds(traces.interval);
}

Recorder record(Recording& out, const ExperimentFile& file, const HostMix& mix,
                const TraceSet& traces) {
  std::vector<std::size_t> sets;
  for (std::int32_t h = 0; h < mix.hosts; ++h)
    sets.push_back(mix.sets[static_cast<std::size_t>(h) % mix.sets.size()]);
  Recorder recorder(out, sets, traces.samples, end_of(file, traces));
  for (std::size_t set = 0; set < out.bands.size(); ++set)
    out.bands[set].name = mix.types[set].curve.name;
  out.experiment_json = json::encode(file, {.pretty = true});
  return recorder;
}

}  // namespace

Result<ExperimentFile> experiment_of(const ExperimentRequest& request) {
  ExperimentFile file;
  if (request.file)
    file = *request.file;
  else
    file = TRY(parse_experiment(TRY(find_experiment(request.experiment))->toml));
  if (!request.traces.empty()) file.traces = request.traces.string();
  if (!request.policy.empty()) file.policy = request.policy;
  if (file.name.empty()) file.name = request.experiment;
  // Chorok where memory counts as it was sold, and once.
  if (file.policy == "chorok-provisioned" && file.mode == Mode::kHonest) {
    file.memory = MemoryRule::kProvisioned;
    file.settings.power.memory_overcommit = 1;
  }
  return file;
}

Result<Report> run_experiment(const ExperimentRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  ExperimentFile file = TRY(experiment_of(request));
  TraceSet own;
  if (request.read_already == nullptr) own = TRY(open_traces(file, request.limits));
  const TraceSet& traces = request.read_already != nullptr ? *request.read_already : own;
  Report report{
      .experiment = file.name, .traces = traces.source, .policy = file.policy, .mode = file.mode};
  if (file.policy == "chorok-provisioned" && file.mode == Mode::kHonest) file.policy = "chorok";
  const HostMix mix = TRY(host_mix(file, traces));
  std::optional<Recorder> recorder;
  if (request.recording != nullptr) recorder.emplace(record(*request.recording, file, mix, traces));
  const double end_s = end_of(file, traces);
  const AccountSettings prices = TRY(account_settings(file, end_s));
  EnergyAccount account(prices);
  const bool wants_rows =
      recorder || request.row || request.progress || prices.price || prices.carbon;
  RowSink row;  // rows cost a look at every host: nobody asks for them, nobody pays
  if (wants_rows)
    row = [&](const TickRow& tick) {
      account.take(tick.time_s, tick.energy_kwh);
      if (recorder) recorder->take(tick);
      if (request.row) request.row(tick);
      if (request.progress) request.progress(std::clamp(tick.time_s / end_s, 0.0, 1.0));
    };
  Setup setup{.file = file, .request = request, .traces = traces, .mix = mix, .row = row};
  if (recorder)
    setup.bound = [&](const BoundInput& input) {
      BoundInput reachable = input;
      if (file.mode == Mode::kCompat) reachable.memory_mib = {};  // as Report::bound_kwh()
      recorder->finish({input.time_s.begin(), input.time_s.end()}, least_watts(reachable));
    };
  fill(report, TRY(file.mode == Mode::kCompat ? compat(setup) : honest(setup, report)));
  fill(report, prices, account);
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
          .field("mode", &Report::mode, "By whose rules.")
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
          .field("actions_dropped", &Report::actions_dropped,
                 "Honest mode: planned actions that could not start before the next plan.")
          .field("memory_short", &Report::memory_short,
                 "Honest mode: share of hosts' active time with more memory in use than there is.")
          .field("pue", &Report::pue, "Facility energy over IT energy; 1: not applied.")
          .field("currency", &Report::currency, "Of the price.")
          .field("cost", &Report::cost, "Of IT energy, by the price at each tick.")
          .field("co2_kg", &Report::co2_kg, "Kilograms of CO2 of IT energy, the same way.")
          .field("facility_kwh", &Report::facility_kwh,
                 "IT energy times PUE; absent where it is 1.")
          .field("facility_cost", &Report::facility_cost, "cost times PUE; absent where it is 1.")
          .field("facility_co2_kg", &Report::facility_co2_kg,
                 "co2_kg times PUE; absent where it is 1.")
          .field("price_source", &Report::price_source, "Where the price is from, and its date.",
                 {.max_length = 512})
          .field("co2_source", &Report::co2_source, "Where the CO2 figure is from, and its date.",
                 {.max_length = 512})
          .field("faults", &Report::faults, "Faults that were to strike.")
          .field("vms_lost", &Report::vms_lost, "VMs whose host failed under them.")
          .field("vms_restarted", &Report::vms_restarted,
                 "Those that were started again elsewhere.")
          .field("vm_down_s", &Report::vm_down_s, "Seconds that VMs were down, added up.")
          .field("doubles", &Report::doubles,
                 "Starts of a VM that still ran somewhere, which its disks' locks refused.")
          .field("reserve_short", &Report::reserve_short,
                 "Share of time with less than the HA reserve; 0 where HA is off.")
          .field("wall_s", &Report::wall_s, "Seconds this took, reading and bounds included.")
          .field("peak_rss_mib", &Report::peak_rss_mib, "The most memory the process held.");
  return kType;
}

}  // namespace chorok::sim::datacenter
