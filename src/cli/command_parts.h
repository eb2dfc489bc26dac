// The parts that the table of commands is put together from (commands.h), and flags they share.
#pragma once

#include <vector>

#include "cli/commands.h"

namespace chorok::cli {

inline const FlagSpec kYesFlag = {.name = "yes", .doc = "Do not ask.", .letter = 'y'};

// `ls`, `show`, `create`, `edit`, `delete` of every kind, and every verb: from their tables.
void add_resources(std::vector<CommandSpec>& all);
// Those that are written out.
void add_machines(std::vector<CommandSpec>& all);
void add_files(std::vector<CommandSpec>& all);
void add_accounts(std::vector<CommandSpec>& all);
void add_sim(std::vector<CommandSpec>& all);
void add_general(std::vector<CommandSpec>& all);

}  // namespace chorok::cli
