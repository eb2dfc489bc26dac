// One run of the program: what was asked for globally, where to speak, the connection once it is
// needed. Commands are functions of a Session and an Invocation.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cli/api.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/errors.h"
#include "cli/terminal.h"
#include "cli/value.h"

namespace chorok::cli {

enum class Output : std::uint8_t { kTable, kWide, kJson, kYaml, kCsv };

struct Options {
  Output output = Output::kTable;
  bool watch = false;
  bool wait = true;
  bool dry_run = false;
  bool quiet = false;
  std::string url;
  std::string token;
  std::string context;
  std::string ca_file;
};

class Session {
 public:
  Session(Terminal& terminal, Options options);

  Terminal& terminal() { return terminal_; }
  const Options& options() const { return options_; }
  void out(std::string_view text) { terminal_.out(text); }
  // Words for a person that are no result: to standard error, unless --quiet.
  void note(std::string_view text);
  bool colours() const { return wants_colours(terminal_, terminal_.out_is_terminal()); }
  bool is_structured() const {  // json or yaml: no table, no words in between
    return options_.output == Output::kJson || options_.output == Output::kYaml;
  }
  // A value in JSON or YAML.
  void out_value(const Value& value);

  std::string config_path() const;
  Result<Config> config() const { return load_config(config_path()); }
  // Where to, as flags, environment and config say in that order.
  Result<Connection> connection() const;
  // Connected when first used.
  Result<Api*> api(std::optional<Duration> timeout = {});
  // The URL that is used, or empty.
  std::string url() const;
  Circumstances circumstances() const;
  // What to do next, as the command has failed: instead of what its error's code would advise.
  void advise(std::string what) { advice_ = std::move(what); }
  void use(std::unique_ptr<Api> api) { api_ = std::move(api); }

  // Adds dry_run=true where it was asked for.
  Query change_query(Query query = {}) const;
  // Tells what a dry run answered; the exit code.
  int tell_dry_run(std::string_view what, const Value& answer);

 private:
  Terminal& terminal_;
  Options options_;
  std::unique_ptr<Api> api_;
  std::string advice_;
};

// For commands whose answer is no list: refuses -o csv.
Result<> no_table(const Session& session);

Result<Output> output_from_text(std::string_view text);

// Runs the program: parses, runs the command, tells errors. `args` without the program's name.
int run(const std::vector<std::string>& args, Terminal& terminal);

}  // namespace chorok::cli
