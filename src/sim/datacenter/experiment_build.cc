// What an experiment's file says, made what the engines take.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/datacenter/curves.h"
#include "sim/datacenter/experiment_file.h"

namespace chorok::sim::datacenter {

namespace {

constexpr double kSpare = 1.2;         // hosts over a perfect packing of what was sold
constexpr double kBootLoad = 1.0 / 6;  // a boot's power between idle and full load: what the 240 W
                                       // of a server of 2023 come to
constexpr std::size_t kPatternMax = 32;  // kinds of host in turn that compat mode knows

Result<model::PowerCurve> curve_of(const HostSet& set, const std::string& where,
                                   std::int32_t& cores) {
  if (!set.watts.empty()) {
    if (set.watts.size() != 11)
      return fail(Code::kInvalid, "eleven watts, at 0, 10 … 100 % load", where + "/watts");
    model::PowerCurve curve{.name = set.curve.empty() ? "own" : set.curve};
    std::ranges::copy(set.watts, curve.watts.begin());
    return curve;
  }
  std::vector<std::string_view> names;
  std::string list;
  for (const KnownCurve& known : known_curves()) {
    names.push_back(known.curve.name);
    list += fmt::format("{}{}", list.empty() ? "" : ", ", known.curve.name);
    if (known.curve.name != set.curve) continue;
    cores = known.cores;
    return known.curve;
  }
  const std::string_view close = nearest(set.curve, names);
  return fail(Code::kInvalid,
              fmt::format("there is no curve '{}'{}; there are {}; or give eleven watts",
                          set.curve.substr(0, 64),
                          close.empty() ? "" : fmt::format(", did you mean '{}'?", close), list),
              where + "/curve");
}

Result<HostType> type_of_set(const HostSet& set, std::size_t index) {
  const std::string where = fmt::format("/hosts/{}", index);
  HostType type{.core_mhz = set.core_mhz, .cores = set.cores, .memory_mib = set.memory_mib};
  std::int32_t measured = 0;
  type.curve = TRY(curve_of(set, where, measured));
  if (set.standby_w > 0) type.curve.standby = set.standby_w;
  if (type.cores == 0) type.cores = measured;
  if (type.cores == 0)
    return fail(Code::kInvalid, "how many cores has a host of this set?", where + "/cores");
  const double idle = type.curve.watts[0];
  type.boot_s = set.boot_s;
  type.boot_j =
      set.boot_j > 0 ? set.boot_j : set.boot_s * (idle + kBootLoad * (type.curve.watts[10] - idle));
  type.shutdown_s = set.shutdown_s;
  type.shutdown_j = set.shutdown_j > 0 ? set.shutdown_j : set.shutdown_s * idle;
  return type;
}

// By VM, or one a set where the engine divides VMs into equal parts itself.
Result<std::vector<VmType>> sizes(const ExperimentFile& experiment, std::size_t vms) {
  std::vector<VmType> out;
  std::size_t counted = 0;
  std::size_t open = 0;
  for (const VmSet& set : experiment.vms) {
    counted += static_cast<std::size_t>(set.count);
    open += set.count == 0;
  }
  if (counted == 0) {
    for (const VmSet& set : experiment.vms) out.push_back({set.mhz, set.memory_mib, set.cores});
    return out;
  }
  if (counted > vms || (open == 0 && counted < vms))
    return fail(Code::kInvalid,
                fmt::format("the sets count {} VMs, the traces {}; give one set the count 0: it "
                            "takes the rest",
                            counted, vms),
                "/vms");
  std::size_t rest = vms - counted;
  for (const VmSet& set : experiment.vms) {
    std::size_t take = static_cast<std::size_t>(set.count);
    if (take == 0) {
      take = (rest + open - 1) / open;
      rest -= take;
      --open;
    }
    out.insert(out.end(), take, {set.mhz, set.memory_mib, set.cores});
  }
  return out;
}

// Hosts that carry what was sold, and a fifth more.
Result<std::int32_t> hosts_needed(const ExperimentFile& experiment, const HostType& host,
                                  const TraceSet& traces) {
  const std::vector<VmType> types = TRY(sizes(experiment, traces.vms.size()));
  const std::size_t part =
      types.empty() ? 1 : (traces.vms.size() + types.size() - 1) / types.size();
  double mhz = 0;
  double memory = 0;
  for (std::size_t v = 0; v < traces.vms.size(); ++v) {
    mhz += types.empty() ? traces.vms[v].cpu_mhz : types[v / part].mhz;
    memory += types.empty() ? traces.vms[v].memory_mib : types[v / part].memory_mib;
  }
  const double needed = std::ceil(kSpare * std::max(mhz / host.mhz(), memory / host.memory_mib));
  if (!(needed <= 100'000))
    return fail(Code::kInvalid, "these VMs would need more than 100,000 hosts", "/hosts");
  return std::max(static_cast<std::int32_t>(needed), 2);
}

// Those that are named and those by chance.
Result<std::vector<Fault>> faults(const ExperimentFile& experiment, const HostMix& mix,
                                  const TraceSet& traces) {
  std::vector<Fault> out = experiment.faults;
  for (std::size_t i = 0; i < out.size(); ++i)
    if (out[i].host >= mix.hosts)
      return fail(Code::kInvalid, fmt::format("there are hosts 0 to {}", mix.hosts - 1),
                  fmt::format("/faults/{}/host", i));
  if (!experiment.fault_rates) return out;
  const double duration = static_cast<double>(traces.samples) * seconds(traces.interval);
  const std::vector<Fault> more =
      random_faults(*experiment.fault_rates, static_cast<std::uint32_t>(mix.hosts), duration,
                    static_cast<std::uint64_t>(experiment.seed));
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

// What is made up is bounded as what is read is.
Result<TraceSet> made_up(const ExperimentFile& experiment, const TraceLimits& limits) {
  const SyntheticSettings settings{.vms = static_cast<std::size_t>(experiment.synthetic->vms),
                                   .days = experiment.synthetic->days,
                                   .level = experiment.synthetic->level,
                                   .interval = from_seconds(experiment.interval_s),
                                   .seed = static_cast<std::uint64_t>(experiment.seed)};
  const double samples = settings.days * 86400 / experiment.interval_s;
  if (samples > static_cast<double>(limits.samples_max) ||
      samples * static_cast<double>(settings.vms) > static_cast<double>(limits.values_max))
    return fail(
        Code::kInvalid,
        fmt::format("{} VMs with {:.0f} samples each are more than the {} and the {} in all "
                    "that are taken; give fewer VMs or days, or a longer interval_s",
                    settings.vms, samples, limits.samples_max, limits.values_max),
        "/synthetic");
  return synthetic_traces(settings);
}

}  // namespace

std::vector<std::size_t> turns(std::span<const std::int32_t> counts) {
  std::int32_t divisor = 0;
  for (std::int32_t count : counts) divisor = std::gcd(divisor, count);
  const std::int32_t length = std::reduce(counts.begin(), counts.end()) / divisor;
  std::vector<std::size_t> out;
  std::vector<double> had(counts.size(), 0);
  for (std::int32_t turn = 0; turn < length; ++turn) {
    std::size_t best = 0;
    double behind = -1e300;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const double due = static_cast<double>(counts[i]) / divisor * (turn + 1) / length - had[i];
      if (due > behind + 1e-9) {
        behind = due;
        best = i;
      }
    }
    had[best] += 1;
    out.push_back(best);
  }
  return out;
}

Result<HostMix> host_mix(const ExperimentFile& experiment, const TraceSet& traces) {
  HostMix mix;
  for (std::size_t i = 0; i < experiment.hosts.size(); ++i) {
    mix.types.push_back(TRY(type_of_set(experiment.hosts[i], i)));
    mix.counts.push_back(experiment.hosts[i].count);
  }
  if (mix.types.empty()) return fail(Code::kInvalid, "a data centre needs hosts", "/hosts");
  if (mix.types.size() == 1 && mix.counts[0] == 0)
    mix.counts[0] = TRY(hosts_needed(experiment, mix.types[0], traces));
  for (std::size_t i = 0; i < mix.counts.size(); ++i)
    if (mix.counts[i] == 0)
      return fail(Code::kInvalid, "how many of these? only a single set can do without",
                  fmt::format("/hosts/{}/count", i));
  mix.sets = turns(mix.counts);
  for (std::size_t set : mix.sets) mix.pattern.push_back(mix.types[set]);
  mix.hosts = std::reduce(mix.counts.begin(), mix.counts.end());
  return mix;
}

Result<TraceSet> open_traces(const ExperimentFile& experiment, const TraceLimits& limits) {
  auto open = [&]() -> Result<TraceSet> {
    if (experiment.synthetic && experiment.traces.empty()) return made_up(experiment, limits);
    if (experiment.traces.empty())
      return fail(Code::kInvalid,
                  "nothing says what the VMs ask for; give traces (--traces PATH) or [synthetic]",
                  "/traces");
    return read_traces(experiment.traces, limits, from_seconds(experiment.interval_s));
  };
  TraceSet traces = TRY(open());
  if (experiment.duration_s > 0) {
    const auto most =
        static_cast<std::size_t>(std::ceil(experiment.duration_s / seconds(traces.interval)));
    // Compat mode's clock ends by itself; its histories may look one sample further.
    if (experiment.mode == Mode::kHonest && most < traces.samples) {
      traces.samples = std::max<std::size_t>(most, 1);
      traces.cpu.resize(traces.samples * traces.vms.size());
      if (!traces.memory.empty()) traces.memory.resize(traces.cpu.size());
    }
  }
  return traces;
}

Result<AccountSettings> account_settings(const ExperimentFile& experiment, double seconds_long) {
  AccountSettings settings{.pue = experiment.pue};
  if (experiment.price)
    settings.price = TRY(open_calendar(*experiment.price, CalendarKind::kPrice, "/price"));
  if (experiment.carbon)
    settings.carbon = TRY(open_calendar(*experiment.carbon, CalendarKind::kCarbon, "/carbon"));
  if (!experiment.start.empty()) {
    const double offset = settings.price    ? settings.price->utc_offset_h
                          : settings.carbon ? settings.carbon->utc_offset_h
                                            : 0;
    auto start = model::parse_when(experiment.start, offset);
    if (!start) return fail(Code::kInvalid, start.error().message, "/start");
    settings.start = *start;
  }
  TRY(check(settings, seconds_long));
  return settings;
}

Result<CompatSettings> compat_settings(const ExperimentFile& experiment, const HostMix& mix,
                                       const TraceSet& traces) {
  CompatSettings s;
  if (mix.pattern.size() > kPatternMax)
    return fail(Code::kInvalid,
                fmt::format("compat mode takes hosts in turns of at most {}; make the counts "
                            "multiples of each other",
                            kPatternMax),
                "/hosts");
  s.hosts = mix.hosts;
  s.host_types = mix.pattern;
  s.vm_types = TRY(sizes(experiment, traces.vms.size()));
  if (s.vm_types.empty())
    return fail(Code::kInvalid, "compat mode needs sizes of VMs: [[vms]]", "/vms");
  s.interval_s = seconds(traces.interval);
  s.end_s = experiment.duration_s > 0 ? experiment.duration_s
                                      : static_cast<double>(traces.samples) * s.interval_s;
  s.keep_vms = experiment.keep_vms;
  return s;
}

Result<HonestSettings> honest_settings(const ExperimentFile& experiment, const HostMix& mix,
                                       const TraceSet& traces) {
  HonestSettings s;
  s.hosts = mix.hosts;
  s.host_types = mix.pattern;
  s.vm_types = TRY(sizes(experiment, traces.vms.size()));
  s.memory = experiment.memory;
  s.link_mib_s = experiment.migration.link_mib_s;
  s.migrations_parallel = experiment.migration.parallel;
  s.dirty_mib_s = experiment.migration.dirty_mib_s;
  s.slowed = experiment.migration.slowed;
  s.migration_load_mhz = experiment.migration.load_mhz;
  s.cpu_overcommit = experiment.cpu_overcommit;
  s.loop.round = from_seconds(experiment.round_s);
  s.faults = TRY(faults(experiment, mix, traces));
  return s;
}

}  // namespace chorok::sim::datacenter
