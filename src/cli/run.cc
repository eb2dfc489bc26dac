#include "cli/parse.h"
#include "cli/session.h"

namespace chorok::cli {

int run(const std::vector<std::string>& args, Terminal& terminal) {
  bool colours = wants_colours(terminal, terminal.err_is_terminal());
  auto parsed = parse(args);
  if (!parsed) {
    terminal.err(error_text(parsed.error(), {.colours = colours}));
    return exit_code_of(parsed.error());
  }
  if (!parsed->help.empty()) {
    terminal.out(parsed->help);
    return args.empty() ? exit_code::kUsage : exit_code::kOk;
  }
  Session session(terminal, std::move(parsed->options));
  auto code = parsed->call.command->handler(session, parsed->call);
  if (code) return *code;
  terminal.err(error_text(code.error(), session.circumstances()));
  return exit_code_of(code.error());
}

}  // namespace chorok::cli
