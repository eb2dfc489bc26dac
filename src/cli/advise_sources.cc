#include "cli/advise_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/datacenter/curves.h"

namespace chorok::cli {

namespace dc = sim::datacenter;

namespace {

constexpr double kGapSeconds = 3600;
constexpr std::string_view kPattern = "spec-median-2023";

// Nobody has measured this host: the pattern's watts by the core.
advise::HostClass class_like_pattern(const FoundHost& host) {
  const dc::KnownCurve& known = dc::known_curve(kPattern);
  advise::HostClass out;
  out.name = fmt::format("{} cores, {:.0f} GiB", host.cores, host.memory_mib / 1024);
  out.source = fmt::format("{} by the core: nobody has measured these hosts", known.source);
  out.type = {.core_mhz = host.core_mhz,
              .cores = host.cores,
              .memory_mib = host.memory_mib,
              .curve = known.curve};
  for (double& watts : out.type.curve.watts) watts *= double(host.cores) / known.cores;
  return out;
}

}  // namespace

std::size_t SampleBook::vm(const std::string& name, const dc::TraceVm& size) {
  const auto [it, is_new] = place_.try_emplace(name, set_.vms.size());
  if (is_new) set_.vms.push_back({.name = name});
  dc::TraceVm& known = set_.vms[it->second];
  known.cores = std::max(known.cores, size.cores);
  known.cpu_mhz = std::max(known.cpu_mhz, size.cpu_mhz);
  known.memory_mib = std::max(known.memory_mib, size.memory_mib);
  return it->second;
}

Result<Recorded> SampleBook::close(const Period& period) && {
  Recorded out{.traces = std::move(set_)};
  out.traces.interval = period.step;
  const bool has_memory =
      std::ranges::any_of(samples_, [](const dc::TraceSample& s) { return s.memory >= 0; });
  TRY(dc::into_slots(samples_, has_memory, {}, out.traces, kGapSeconds));
  const double step = seconds(period.step);
  const double first = std::ranges::min(samples_, {}, &dc::TraceSample::time_s).time_s;
  out.start = Time{from_seconds(std::floor(first / step) * step)};
  return out;
}

Result<advise::Hosts> classes_of(const std::vector<FoundHost>& found) {
  advise::Hosts hosts;
  for (const FoundHost& host : found) {
    if (host.cores < 1 || !(host.core_mhz > 0) || !(host.memory_mib > 0))
      return fail(Code::kInvalid,
                  fmt::format("the size of host {} is not known; give --hosts", host.name));
    advise::HostClass one = class_like_pattern(host);
    const auto alike = std::ranges::find_if(hosts.classes, [&](const advise::HostClass& known) {
      return known.name == one.name && known.type.core_mhz == one.type.core_mhz;
    });
    if (alike == hosts.classes.end()) {
      one.count = 1;
      hosts.classes.push_back(std::move(one));
    } else {
      ++alike->count;
    }
  }
  if (hosts.classes.size() > advise::kClassesMost)
    return fail(Code::kInvalid,
                fmt::format("hosts of more than {} sizes; give --hosts", advise::kClassesMost));
  return hosts;
}

}  // namespace chorok::cli
