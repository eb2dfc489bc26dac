// Small files that the kernel makes up, below a root that tests choose.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace chorok::adapters::meter {

// The first line. kNotFound (there is none), kPermissionDenied, kUnavailable (the device does not
// answer now).
Result<std::string> read_line(const std::string& path);
// A line that is one whole number.
Result<std::uint64_t> read_number(const std::string& path);
// Names in a folder that begin so, sorted; none where there is no such folder.
std::vector<std::string> list(const std::string& folder, std::string_view prefix);

}  // namespace chorok::adapters::meter
