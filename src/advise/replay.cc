#include "advise/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/datacenter/chorok_planner.h"

namespace chorok::advise {

namespace dc = sim::datacenter;
using model::HostPower;
using model::Snapshot;

namespace {

constexpr double kHoursAYear = 8760;
constexpr double kMemorySoldMost = 4;  // in the high case
constexpr double kTargetLow = 0.81;    // VMware DPM's upper edge: 63 + 18 %
constexpr std::size_t kHolds = 8;
constexpr double kWeek = 6.9;  // days; the first interval of seven is not judged

// ---- Why hosts stay on ----

// Looks over the planner's shoulder, round by round: what keeps a host on in one has kept it on
// since the one before. Rounds come at every sample and when something has happened in between.
class Watch {
 public:
  Watch(std::size_t hosts, double interval_h, bool memory_by_use)
      : hours_(hosts), interval_h_(interval_h), memory_by_use_(memory_by_use) {}

  void see(const Snapshot& snapshot, const policy::Plan& plan) {
    mark(snapshot, plan);
    add_up(snapshot);
    const double since = seconds(snapshot.now - last_) / 3600;
    const double span = last_ == Time{} ? interval_h_ : std::min(since, interval_h_);
    last_ = snapshot.now;
    for (std::size_t h = 0; h < hours_.size(); ++h)
      if (snapshot.hosts[h].power != HostPower::kOff)
        hours_[h][static_cast<std::size_t>(why(snapshot, plan, h))] += span;
  }

  std::vector<Held> held(std::size_t host) const {
    std::vector<Held> out;
    for (std::size_t i = 0; i < kHolds; ++i)
      if (hours_[host][i] > 0) out.push_back({static_cast<Hold>(i), hours_[host][i]});
    std::ranges::sort(out, [](const Held& a, const Held& b) {
      return a.hours != b.hours ? a.hours > b.hours : a.why < b.why;
    });
    return out;
  }

 private:
  void mark(const Snapshot& snapshot, const policy::Plan& plan) {
    leaves_.assign(hours_.size(), 0);
    moves_.assign(hours_.size(), 0);
    for (const policy::Action& action : plan.actions) {
      if (action.kind == policy::ActionKind::kPowerOff) leaves_[action.to] = 1;
      if (action.kind != policy::ActionKind::kMigrate) continue;
      moves_[action.from] = 1;
      moves_[action.to] = 1;
    }
    for (const model::SnapshotOperation& under_way : snapshot.operations) {
      if (under_way.kind != model::SnapshotOperation::Kind::kMigrate) continue;
      for (const model::Index host : {under_way.from, under_way.to})
        if (host != model::kNone) moves_[host] = 1;
    }
  }

  // What those that stay on must carry, as the planner sees it.
  void add_up(const Snapshot& snapshot) {
    const model::PowerSettings& power = snapshot.settings.power;
    double expected = 0;
    double variance = 0;
    memory_ = 0;
    for (const model::SnapshotVm& vm : snapshot.vms) {
      if (vm.host == model::kNone) continue;
      expected += vm.cpu_demand.expected;
      variance += vm.cpu_demand.deviation * vm.cpu_demand.deviation;
      memory_ += memory_by_use_
                     ? std::max(vm.memory_demand.now, vm.size.memory / power.memory_overcommit)
                     : vm.size.memory;
    }
    cpu_ = expected + power.deviations * std::sqrt(variance);
    cpu_on_ = 0;
    memory_on_ = 0;
    for (std::size_t h = 0; h < hours_.size(); ++h) {
      if (snapshot.hosts[h].power != HostPower::kOn || leaves_[h]) continue;
      cpu_on_ += snapshot.hosts[h].capacity.cpu;
      memory_on_ += snapshot.hosts[h].capacity.memory;
    }
  }

  static bool turned_down(const policy::Plan& plan, policy::Why why) {
    return std::ranges::any_of(plan.turned_down, [why](const policy::TurnedDown& turned) {
      return turned.why == why && turned.count > 0;
    });
  }

  Hold why(const Snapshot& snapshot, const policy::Plan& plan, std::size_t h) const {
    const model::SnapshotHost& host = snapshot.hosts[h];
    const model::PowerSettings& power = snapshot.settings.power;
    if (leaves_[h] || host.power == HostPower::kUnknown) return Hold::kLeaving;
    if (host.power == HostPower::kWaking) return Hold::kDemand;
    if (host.power_since != Time{} && snapshot.now - host.power_since < power.uptime_min)
      return Hold::kUptime;
    if (cpu_ > power.target * (cpu_on_ - host.capacity.cpu)) return Hold::kDemand;
    if (memory_ > power.memory_target * (memory_on_ - host.capacity.memory)) return Hold::kMemory;
    if (turned_down(plan, policy::Why::kHaReserve)) return Hold::kReserve;
    if (turned_down(plan, policy::Why::kCostExceedsGain)) return Hold::kCost;
    return moves_[h] ? Hold::kInFlight : Hold::kPacking;
  }

  std::vector<std::array<double, kHolds>> hours_;
  double interval_h_;
  Time last_{};
  bool memory_by_use_;
  std::vector<std::uint8_t> leaves_;  // by host
  std::vector<std::uint8_t> moves_;
  double cpu_ = 0;  // MHz to expect
  double memory_ = 0;
  double cpu_on_ = 0;
  double memory_on_ = 0;
};

// ---- One case ----

// Follows the rows of a run: spare capacity, shortfalls, how many hosts were on.
class Rows {
 public:
  Rows(double interval_s, std::size_t rows, Case& out)
      : interval_s_(interval_s), step_((rows + kOnRows - 1) / kOnRows), out_(out) {
    out_.least_spare_share = 1;
  }

  void take(const dc::TickRow& row) {
    const double hour = (row.time_s - interval_s_) / 3600;
    if (count_ % step_ == 0) out_.on.push_back({hour, row.active_hosts});
    if (count_++ > 0) look(row, hour);
    unmet_ = row.unmet_mhz_s;
  }

 private:
  void look(const dc::TickRow& row, double hour) {
    const double on = row.capacity_mhz;
    const double spare = on > 0 ? std::max(0.0, 1 - row.requested_mhz / on) : 0;
    if (spare <= out_.least_spare_share) {
      out_.least_spare_share = spare;
      out_.least_spare_mhz = spare * on;
    }
    const double asked = row.requested_mhz * interval_s_;
    const double missing = asked > 0 ? (row.unmet_mhz_s - unmet_) / asked : 0;
    if (missing > out_.worst_shortfall_share) {
      out_.worst_shortfall_share = missing;
      out_.worst_shortfall_hour = hour - interval_s_ / 3600;
    }
  }

  double interval_s_;
  std::size_t step_;
  Case& out_;
  std::size_t count_ = 0;
  double unmet_ = 0;
};

struct Period {
  double interval_s = 0;
  double hours = 0;  // metered: all but the first interval
};

struct CaseSettings {
  std::string name;
  std::string how;
  model::PolicySettings policy;
  dc::MemoryRule memory = dc::MemoryRule::kProvisioned;
  bool always_on = false;
};

std::vector<CaseSettings> three_cases(bool memory_is_known) {
  CaseSettings low{.name = "low",
                   .how =
                       "one host may fail at any time, hosts filled to 81 %, memory as "
                       "configured",
                   .policy = dc::ChorokPlannerSettings::defaults()};
  low.policy.power.target = kTargetLow;
  low.policy.ha.enabled = true;
  CaseSettings mid{.name = "mid",
                   .how = "the defaults, memory as configured",
                   .policy = dc::ChorokPlannerSettings::defaults()};
  CaseSettings high = mid;
  high.name = "high";
  high.how = "the defaults, memory as configured: its use was not recorded";
  if (memory_is_known) {
    high.how = "the defaults, memory as used, sold up to four times";
    high.memory = dc::MemoryRule::kUsed;
    high.policy.power.memory_overcommit = kMemorySoldMost;
  }
  return {low, mid, high};
}

void fill(const dc::HonestRun& run, const Period& period, Case& out) {
  const dc::Metrics& m = run.metrics;
  out.energy_kwh = m.energy_kwh;
  out.migrations = m.migrations;
  out.migrations_per_day = static_cast<double>(m.migrations) * 24 / period.hours;
  out.boots = m.host_on_count;
  out.unmet_share = m.unmet_demand;
  out.memory_short_share = run.memory_short;
  double off = 0;
  for (double seconds_off : run.off_s) off += seconds_off / 3600;
  out.off_hours_per_host = off / static_cast<double>(run.off_s.size());
}

Result<Case> run_case(const AdviceRequest& request, const Cluster& cluster,
                      const CaseSettings& settings, const Period& period) {
  const dc::TraceSet& traces = request.traces;
  Case out{.name = settings.name, .how = settings.how};
  Rows rows(period.interval_s, traces.samples, out);
  const dc::AccountSettings prices = request.prices.account();
  dc::EnergyAccount account(prices);
  const dc::RowSink sink = [&](const dc::TickRow& row) {
    rows.take(row);
    account.take(row.time_s, row.energy_kwh);
    out.money = account.cost();
    out.co2_kg = account.co2_kg();
  };
  dc::HonestSettings world = cluster.settings;
  world.memory = settings.memory;
  if (settings.always_on) {
    fill(TRY(dc::run_honest(traces, world, dc::HonestPolicy::kAlwaysOn, sink)), period, out);
    return out;
  }
  Watch watch(static_cast<std::size_t>(world.hosts), period.interval_s / 3600,
              settings.memory == dc::MemoryRule::kUsed);
  dc::Planner planner = dc::chorok_planner({.policy = settings.policy, .forecast = {}});
  planner.plan = [&watch, plan = planner.plan](const Snapshot& snapshot) {
    policy::Plan made = plan(snapshot);
    watch.see(snapshot, made);
    return made;
  };
  const dc::HonestRun run = TRY(dc::run_honest(traces, world, planner, sink));
  fill(run, period, out);
  std::vector<std::size_t> named(request.hosts.classes.size());
  for (std::size_t h = 0; h < run.off_s.size(); ++h) {
    const std::size_t which = cluster.class_of[h % cluster.class_of.size()];
    const HostClass& one = request.hosts.classes[which];
    const std::size_t place = named[which]++;
    out.hosts.push_back(
        {.name = place < one.names.size() ? one.names[place] : fmt::format("h{}", h),
         .host_class = one.name,
         .off_hours = run.off_s[h] / 3600,
         .held = watch.held(h)});
  }
  return out;
}

// ---- All of it ----

Result<void> give_sizes(AdviceRequest& request, std::vector<std::string>& notes) {
  std::int64_t assumed = 0;
  for (dc::TraceVm& vm : request.traces.vms) {
    if (vm.cpu_mhz > 0 && vm.memory_mib > 0) continue;
    if ((!(vm.cpu_mhz > 0) && !(request.vm_mhz > 0)) ||
        (!(vm.memory_mib > 0) && !(request.vm_memory_mib > 0)))
      return fail(
          Code::kInvalid,
          fmt::format("{} does not say how large VM {} is; say it for all such VMs, such as "
                      "--vm-mhz 2000 --vm-memory 1024",
                      request.traces.source, vm.name));
    if (!(vm.cpu_mhz > 0)) vm.cpu_mhz = request.vm_mhz;
    if (!(vm.memory_mib > 0)) vm.memory_mib = request.vm_memory_mib;
    ++assumed;
  }
  if (assumed > 0)
    notes.push_back(
        fmt::format("{} VMs have the size that flags gave them ({:g} MHz, {:g} MiB) "
                    "where the traces do not say.",
                    assumed, request.vm_mhz, request.vm_memory_mib));
  std::int64_t faster = 0;
  const dc::HostType& host = request.hosts.classes[0].type;
  for (const dc::TraceVm& vm : request.traces.vms) {
    if (!request.hosts.carries(vm.cpu_mhz, vm.memory_mib))
      return fail(Code::kInvalid,
                  fmt::format("VM {} ({:g} MHz, {:g} MiB) is larger than a host ({:g} MHz, {:g} "
                              "MiB); name a larger class, or --host-memory",
                              vm.name, vm.cpu_mhz, vm.memory_mib, host.mhz(), host.memory_mib));
    faster += vm.cpu_mhz > vm.cores * request.hosts.core_mhz_most() * 1.001;
  }
  if (faster > 0)
    notes.push_back(
        fmt::format("{} VMs have faster cores than the hosts; what they asked for "
                    "above counts as not given, with every host on too.",
                    faster));
  return {};
}

// Of hosts, by what VMs are configured for; one at least.
std::int32_t fewest(const dc::TraceSet& traces, const dc::HostType& host) {
  double mhz = 0;
  double memory = 0;
  for (const dc::TraceVm& vm : traces.vms) {
    mhz += vm.cpu_mhz;
    memory += vm.memory_mib;
  }
  return std::max(1, static_cast<std::int32_t>(
                         std::ceil(std::max(mhz / host.mhz(), memory / host.memory_mib) - 1e-9)));
}

void add_up_savings(const AdviceRequest& request, const Case& always_on, const Period& period,
                    Case& out) {
  out.saved_kwh = always_on.energy_kwh - out.energy_kwh;
  out.saved_share = out.saved_kwh / always_on.energy_kwh;
  out.saved_money = always_on.money - out.money;
  out.saved_co2_kg = always_on.co2_kg - out.co2_kg;
  const double times = kHoursAYear / period.hours;
  out.year_kwh = out.saved_kwh * times;
  out.year_money = out.saved_money * times;
  out.year_co2_kg = out.saved_co2_kg * times;
  const double pue = request.prices.pue;
  if (pue == 1) return;
  out.year_facility_kwh = out.year_kwh * pue;
  out.year_facility_money = out.year_money * pue;
  out.year_facility_co2_kg = out.year_co2_kg * pue;
}

// Every case on `count` hosts.
Result<void> run_all(const AdviceRequest& request, std::int32_t count, const Period& period,
                     Advice& advice) {
  Cluster cluster = cluster_of(request.hosts, count);
  double mhz = 0;
  for (const dc::TraceVm& vm : request.traces.vms) mhz += vm.cpu_mhz;
  // Hosts that somebody stated may sell their CPU more than once, a little unevenly.
  if (request.hosts.count() > 0)
    cluster.settings.cpu_overcommit = std::max(1.0, 1.2 * mhz / request.hosts.mhz());
  const auto tell = [&](std::string_view name) {
    if (request.progress) request.progress(name);
  };
  tell("always on");
  advice.always_on = TRY(run_case(request, cluster,
                                  {.name = "always on",
                                   .how = "the same hosts, never switched off, VMs spread evenly",
                                   .policy = {},
                                   .always_on = true},
                                  period));
  advice.cases.clear();
  for (const CaseSettings& settings : three_cases(!request.traces.memory.empty())) {
    tell(settings.name);
    Case result = TRY(run_case(request, cluster, settings, period));
    add_up_savings(request, advice.always_on, period, result);
    advice.cases.push_back(std::move(result));
  }
  return {};
}

void add_notes(const AdviceRequest& request, Advice& advice) {
  if (advice.days < kWeek)
    advice.notes.push_back(
        "Less than a week was recorded: weekends and month ends may be missing.");
  advice.memory_is_known = !request.traces.memory.empty();
  if (!advice.memory_is_known)
    advice.notes.push_back("Memory in use was not recorded; high is mid.");
  if (advice.always_on.unmet_share > 0)
    advice.notes.push_back(
        fmt::format("With every host on, {:.3f} % of the CPU asked for was not "
                    "given either.",
                    100 * advice.always_on.unmet_share));
  advice.notes.push_back(
      request.prices.pue == 1
          ? "Energy is that of the hosts, modelled by the curve; cooling and losses are not in it "
            "(--pue)."
          : "Energy is that of the hosts, modelled by the curve. A PUE overstates what is saved at "
            "the margin: cooling and losses do not fall in step.");
  if (!request.prices.price.is_constant() || !request.prices.carbon.is_constant())
    advice.notes.push_back(
        "Prices and CO2 go by the hour: a year is the period repeated, with its hours and its "
        "season.");
}

}  // namespace

Result<Advice> advise(AdviceRequest request) {
  const dc::TraceSet& traces = request.traces;
  if (traces.samples < 3)
    return fail(Code::kInvalid, fmt::format("{}: three samples at least are needed, there are {}",
                                            traces.source, traces.samples));
  const double interval = seconds(traces.interval);
  const Period period{.interval_s = interval,
                      .hours = static_cast<double>(traces.samples - 1) * interval / 3600};
  Advice advice{.from = traces.source,
                .vms = static_cast<std::int64_t>(traces.vms.size()),
                .days = period.hours / 24,
                .interval_minutes = interval / 60,
                .hosts = request.hosts.count(),
                .hosts_found = request.hosts.count() == 0,
                .currency = request.prices.price.unit,
                .tariff_source = source_of(request.prices.price),
                .co2_source = source_of(request.prices.carbon),
                .pue = request.prices.pue};
  TRY(dc::check(request.prices.account(), static_cast<double>(traces.samples) * interval));
  TRY(give_sizes(request, advice.notes));
  if (!advice.hosts_found) {
    TRY(run_all(request, advice.hosts, period, advice));
  } else {
    // What adds up need not fit host by host: one more until every VM has a place.
    const std::int32_t first = fewest(traces, request.hosts.classes[0].type);
    const std::int32_t last = first + 2 + first / 4;
    for (advice.hosts = first;; ++advice.hosts) {
      auto done = run_all(request, advice.hosts, period, advice);
      if (done) break;
      if (done.error().code != Code::kExhausted || advice.hosts >= last)
        return Unexpected(done.error());
    }
  }
  for (const HostClass& one : request.hosts.classes)
    advice.classes.push_back({.name = one.name,
                              .source = one.source,
                              .count = advice.hosts_found ? advice.hosts : one.count,
                              .cores = one.type.cores,
                              .core_mhz = one.type.core_mhz,
                              .memory_mib = one.type.memory_mib});
  advice.tariff_per_kwh = advice.always_on.money / advice.always_on.energy_kwh;
  advice.co2_kg_per_kwh = advice.always_on.co2_kg / advice.always_on.energy_kwh;
  add_notes(request, advice);
  return advice;
}

}  // namespace chorok::advise
