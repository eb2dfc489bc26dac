// Files that are there whole or not at all: what is made takes its name when it is complete. A
// Ctrl-C on the way leaves the file that was there before.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::cli {

// Whether write_whole() may be expected to do it: before an hour's work, not after. The error says
// what to give instead.
Result<> check_writable(const std::string& path);
// Written beside its place and renamed. What exists and is no regular file (a pipe, /dev/stdout) is
// written to as it is.
Result<> write_whole(const std::string& path, std::string_view content);

// The folder for temporary files: TMPDIR, else /tmp.
std::string temporary_folder();

}  // namespace chorok::cli
