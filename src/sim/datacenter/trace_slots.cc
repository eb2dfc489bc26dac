#include "sim/datacenter/trace_slots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace chorok::sim::datacenter {

namespace {

struct Column {
  std::vector<double> sums;
  std::vector<float> counts;

  explicit Column(std::size_t values) : sums(values, 0), counts(values, 0) {}
  void add(std::size_t at, double value) {
    sums[at] += value;
    ++counts[at];
  }
  // Sums become means; where nothing was measured stands the value before.
  std::vector<double> means(std::size_t vms, double repeat_slots) && {
    std::vector<double> silent(vms, 0);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      double& missed = silent[i % vms];
      missed = counts[i] > 0 ? 0 : missed + 1;
      if (counts[i] > 0)
        sums[i] /= static_cast<double>(counts[i]);
      else if (i < vms || sums[i - vms] < 0)
        sums[i] = -1;
      else
        sums[i] = missed <= repeat_slots ? sums[i - vms] : 0;
    }
    return std::move(sums);
  }
};

}  // namespace

Result<void> into_slots(std::span<const TraceSample> samples, bool has_memory,
                        const TraceLimits& limits, TraceSet& set, double repeat_s) {
  if (samples.empty()) return fail(Code::kInvalid, fmt::format("{}: no sample in it", set.source));
  const double interval = seconds(set.interval);
  const auto [first, last] = std::ranges::minmax(samples, {}, &TraceSample::time_s);
  const double begin = std::floor(first.time_s / interval) * interval;
  const double slots = std::floor((last.time_s - begin) / interval) + 1;
  if (slots < 2)
    return fail(Code::kInvalid,
                fmt::format("{}: all samples are in one interval; two are needed", set.source));
  const std::size_t vms = set.vms.size();
  if (slots > static_cast<double>(limits.samples_max) ||
      slots * static_cast<double>(vms) > static_cast<double>(limits.values_max))
    return fail(Code::kInvalid,
                fmt::format("{}: {} intervals are more than the limit; split the traces",
                            set.source, slots));
  set.samples = static_cast<std::size_t>(slots);
  Column cpu(set.samples * vms);
  Column memory(has_memory ? set.samples * vms : 0);
  for (const TraceSample& s : samples) {
    const std::size_t at = static_cast<std::size_t>((s.time_s - begin) / interval) * vms + s.vm;
    cpu.add(at, s.cpu);
    if (has_memory && s.memory >= 0) memory.add(at, s.memory);
  }
  set.cpu = std::move(cpu).means(vms, repeat_s / interval);
  if (has_memory) set.memory = std::move(memory).means(vms, repeat_s / interval);
  return {};
}

}  // namespace chorok::sim::datacenter
