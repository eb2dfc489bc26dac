// TOML text as JSON text, so that the reflection tables decode and judge it like everything else:
// limits, JSON pointers and "did you mean" come from there. toml++ is named in toml.cc alone.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::sim::datacenter {

// One document of at most a MiB. Errors: no TOML (with line and column), and what JSON has no word
// for: infinities. Dates become text.
Result<std::string> toml_to_json(std::string_view toml);

}  // namespace chorok::sim::datacenter
