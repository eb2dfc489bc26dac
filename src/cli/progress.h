// A running task in one line: a bar on a terminal, plain words elsewhere.
#pragma once

#include <string>

#include "cli/value.h"

namespace chorok::cli {

// "web1 migrate" — what the task does to what.
std::string task_title(const Value& task);
bool is_over(const Value& task);
bool has_succeeded(const Value& task);

// [########------]  57% memory  412 MiB of 1.0 GiB, dirty 12 MiB/s, downtime 80 ms
std::string progress_line(const Value& task, std::size_t width, bool colours);
// The same without the bar.
std::string progress_words(const Value& task);
// "web1: migrated in 1.4 s: host1 to host2, downtime 118 ms, 412 MiB in 3 rounds, TLS"
std::string outcome_text(const Value& task, bool colours);

}  // namespace chorok::cli
