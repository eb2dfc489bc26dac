// What could come next on a command line: commands and flags from the table, values from the
// reflection tables, names from the API, which is given half a second and then done without.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace chorok::cli {

struct Candidate {
  std::string text;
  std::string doc;
};

// Names of a kind ("vm", "host"), or of contexts; empty when they cannot be had.
using NamesOf = std::function<std::vector<std::string>(std::string_view kind)>;

struct Completion {
  std::vector<Candidate> candidates;
  bool files = false;  // the shell's own completion of file names
  bool open = false;   // the word goes on: no space after it
};

// `words` after the program's name; the last one is being typed and may be empty.
Completion complete(const std::vector<std::string>& words, const NamesOf& names_of);

// A line as the shell would split it; a space at the end begins an empty word.
std::vector<std::string> split_line(std::string_view line);

std::string_view completion_script(std::string_view shell);  // empty for a shell it does not know

}  // namespace chorok::cli
