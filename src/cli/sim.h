// What `chorok sim run` and `chorok sim sweep` share: which experiment is meant.
#pragma once

#include <string>
#include <utility>

#include "cli/commands.h"
#include "sim/datacenter/experiment.h"

namespace chorok::cli {

// A built-in experiment by its name, or a file. Without traces it is a usage error.
Result<sim::datacenter::ExperimentRequest> experiment_request(const Invocation& call);
// "power.deviations=2.5" in two.
Result<std::pair<std::string, std::string>> split_setting(const std::string& setting);

}  // namespace chorok::cli
