// Paths beneath a datastore, decided by the kernel: openat2 with RESOLVE_BENEATH refuses "..",
// absolute paths and links that lead out, also when somebody changes them meanwhile.
#pragma once

#include <string>

#include "base/result.h"

namespace chorok::adapters::storage {

// `root` joined with `relative`. The last component, and folders before it, need not exist; every
// part that exists is checked. kInvalid when it would leave the root.
Result<std::string> resolve_beneath(const std::string& root, const std::string& relative);

}  // namespace chorok::adapters::storage
