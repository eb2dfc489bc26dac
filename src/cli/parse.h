// From argv to an Invocation. The only place that knows CLI11; the table in commands.h says what
// there is to parse.
#pragma once

#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/session.h"

namespace chorok::cli {

struct Parsed {
  Invocation call;  // without a command when help was asked for
  Options options;
  std::string help;
};

// Mistakes are usage errors that name the flag and the nearest thing that exists.
Result<Parsed> parse(const std::vector<std::string>& args);

// What --help prints: the whole, a group, or a command.
std::string help_text();
std::string help_text(const GroupSpec& group);
std::string help_text(const CommandSpec& command);

}  // namespace chorok::cli
