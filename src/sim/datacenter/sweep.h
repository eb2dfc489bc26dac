// The same experiment many times: every combination of what is varied, on all cores. A run has its
// own state and shares nothing but the traces, which are read once and then only read, so that the
// figures do not depend on how many threads there are.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/datacenter/experiment.h"

namespace chorok::sim::datacenter {

struct SweepAxis {
  std::string name;  // of a field, as set_field() takes it: "power.deviations", "traces", "policy"
  std::vector<std::string> values;
};

struct SweepRequest {
  ExperimentFile base;
  std::vector<SweepAxis> axes;  // the last one varies fastest
  unsigned threads = 0;         // 0: as many as there are cores
  std::size_t runs_max = 10'000;
  // Called on the thread that sweeps, at the start and after every run.
  std::function<void(std::size_t done, std::size_t of)> progress;
  TraceLimits limits;
};

struct SweepRun {
  std::vector<std::string> values;  // by axis
  Report report;
  std::optional<Error> error;  // then the report is empty
};

// In the order of the combinations, however they ended. Errors: a field or value that cannot be,
// before anything runs; traces that cannot be read; more than runs_max.
Result<std::vector<SweepRun>> run_sweep(const SweepRequest& request);

}  // namespace chorok::sim::datacenter
