// A flag made from a field of the model: its name, what its value is called, its documentation,
// what completes it.
#pragma once

#include <string>
#include <string_view>

#include "cli/commands.h"

namespace chorok::cli {

// For the field at `path` ("spec/boot/kernel") of `root`; `name` where the field's own will not do.
FlagSpec field_flag(const Type& root, std::string_view path, std::string name = {});

}  // namespace chorok::cli
