// Small files that must be whole or not there: settings, keys, certificates.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::agent {

// kNotFound when there is none, kExhausted when it is larger than 1 MiB.
Result<std::string> read_file(const std::string& path);
// Under a temporary name, synced, renamed.
Result<> write_file(const std::string& path, std::string_view content, unsigned mode);
Result<> make_folder(const std::string& path, unsigned mode);  // with its parents

}  // namespace chorok::agent
