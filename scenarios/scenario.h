// Plays a scenario: a cluster in text and a list of events over time, to a log of what the policies
// decide and why. The log is compared with the expected one by scenarios_test.cc; adding a scenario
// needs a folder and no code. README.md says what an event may be.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::scenarios {

// The log, or what is wrong with one of the texts (YAML or JSON).
Result<std::string> play(std::string_view cluster, std::string_view events);

// What differs, line by line, with three lines around each place; empty when nothing does.
std::string difference(std::string_view expected, std::string_view actual);

}  // namespace chorok::scenarios
