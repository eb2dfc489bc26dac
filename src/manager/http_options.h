// Options of the manager's programs: `--name VALUE`, `--name=VALUE`, flags, and what stands alone.
// Few enough that a table does; the CLI for people is `chorok`.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace chorok::manager {

struct OptionSpec {
  std::string_view name;   // without the dashes
  std::string_view value;  // what it takes, as in the help; empty: a flag
  std::string_view doc;
};

class Options {
 public:
  // kInvalid names what is wrong, with a suggestion.
  static Result<Options> parse(std::span<const std::string_view> args,
                               std::span<const OptionSpec> specs);
  bool has(std::string_view name) const { return values_.contains(name); }
  std::string get(std::string_view name, std::string_view otherwise = {}) const;  // the last
  std::vector<std::string> all(std::string_view name) const;
  Result<long> number(std::string_view name, long otherwise, long min, long max) const;
  const std::vector<std::string>& rest() const { return rest_; }

 private:
  std::map<std::string, std::vector<std::string>, std::less<>> values_;
  std::vector<std::string> rest_;
};

std::string help_of(std::span<const OptionSpec> specs);

struct ListenAddress {
  std::string address;
  std::uint16_t port = 0;
};
// "0.0.0.0:8443", "[::]:8443"
Result<ListenAddress> parse_listen(std::string_view text);

// Tells systemd (or whoever set NOTIFY_SOCKET) how far we are; does nothing without it.
void sd_notify(std::string_view state);

// Before the first thread. Answers, snapshots and password hashes are tens of MiB for a moment:
// from 1 MiB on each is a mapping of its own, which the system has back when it is freed, and not a
// hole between small blocks that live. Two arenas serve the threads, which mostly wait.
void tune_allocator();

}  // namespace chorok::manager
