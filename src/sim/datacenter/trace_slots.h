// Samples that come in any order and at any pace, made into the even table that a TraceSet is.
#pragma once

#include <limits>
#include <span>
#include <string_view>

#include "sim/datacenter/trace.h"

namespace chorok::sim::datacenter {

struct TraceSample {
  std::size_t vm = 0;  // in TraceSet::vms
  double time_s = 0;
  double cpu = 0;      // share of the VM's provisioned CPU
  double memory = -1;  // MiB in use; negative: not measured
};

inline constexpr double kRepeatForever = std::numeric_limits<double>::infinity();

// Means of the samples in each interval. A gap repeats the value before it, for `repeat_s` at
// most: a VM that is silent for longer was off. Before its first sample a VM does not exist. Fills
// `cpu`, `samples` and, where `has_memory`, `memory` of a set whose `vms` and `interval` are there.
// Errors: fewer than two intervals, more than the limits. O(samples + intervals times VMs).
Result<void> into_slots(std::span<const TraceSample> samples, bool has_memory,
                        const TraceLimits& limits, TraceSet& set, double repeat_s = kRepeatForever);

}  // namespace chorok::sim::datacenter
