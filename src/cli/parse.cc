#include "cli/parse.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "cli/errors.h"

namespace chorok::cli {
namespace {

using Bound = std::vector<std::pair<const FlagSpec*, CLI::Option*>>;

bool take_anything(const CLI::results_t&) {
  return true;
}

CLI::Option* add_flag(CLI::App& app, const FlagSpec& flag) {
  std::string names = "--" + flag.name;
  if (flag.letter != 0) names = fmt::format("-{},{}", flag.letter, names);
  if (flag.value.empty()) {
    if (flag.negatable) names += ",!--no-" + flag.name;
    return app.add_flag(names)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
  CLI::Option* option = app.add_option(names, CLI::callback_t(take_anything))->expected(1);
  return option->multi_option_policy(flag.repeats ? CLI::MultiOptionPolicy::TakeAll
                                                  : CLI::MultiOptionPolicy::TakeLast);
}

void collect(const Bound& bound, Invocation& call) {
  for (const auto& [flag, option] : bound)
    if (option->count() > 0) call.flags[flag->name] = option->results();
}

// The tree of CLI11's apps. The flags of a command are added only when it is entered: the program
// has hundreds, and a run needs ten.
class Tree {
 public:
  Tree() {
    root_.set_help_flag("-h,--help");
    root_.require_subcommand(0, 1);
    for (const FlagSpec& flag : global_flags()) globals_.emplace_back(&flag, add_flag(root_, flag));
    for (const GroupSpec& group : groups()) {
      CLI::App* app = root_.add_subcommand(std::string(group.name));
      app->require_subcommand(0, 1)->fallthrough();
      if (plural_of(group) != group.name) app->alias(std::string(plural_of(group)));
      app->parse_complete_callback([this, &group] { group_ = &group; });
    }
    for (const CommandSpec& command : commands()) add(command);
  }

  void parse(const std::vector<std::string>& args) {
    std::vector<std::string> reversed(args.rbegin(), args.rend());
    root_.parse(std::move(reversed));
  }

  const CommandSpec* command() const { return command_; }
  const GroupSpec* group() const { return group_; }

  Invocation take() {
    Invocation call{.command = command_, .args = {}, .flags = {}};
    collect(globals_, call);
    collect(bound_, call);
    if (operands_ != nullptr && operands_->count() > 0) call.args = operands_->results();
    return call;
  }

 private:
  void add(const CommandSpec& command) {
    CLI::App& parent = command.group.empty() ? root_ : *root_.get_subcommand(command.group);
    CLI::App* app = parent.add_subcommand(command.name);
    app->fallthrough();
    if (command.name == "ls") app->alias("list");
    if (command.name == "remove") app->alias("delete");
    if (command.name == "acknowledge") app->alias("ack");
    app->preparse_callback([this, app, &command](std::size_t) {
      command_ = &command;
      for (const FlagSpec& flag : command.flags) bound_.emplace_back(&flag, add_flag(*app, flag));
      operands_ = app->add_option("operands", CLI::callback_t(take_anything))
                      ->expected(0, static_cast<int>(kMany))
                      ->allow_extra_args()
                      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      if (command.hidden) app->prefix_command();
    });
  }

  CLI::App root_{"chorok"};
  Bound globals_;
  Bound bound_;
  CLI::Option* operands_ = nullptr;
  const CommandSpec* command_ = nullptr;
  const GroupSpec* group_ = nullptr;
};

std::string suggestion(std::string_view typed, const std::vector<std::string_view>& known) {
  std::string_view near = nearest(typed, known);
  return near.empty() ? std::string{} : fmt::format("; did you mean '{}'?", near);
}

// Flags of the root that stand before the command take a word with them.
std::vector<std::string_view> words_of(const std::vector<std::string>& args) {
  std::vector<std::string_view> words;
  for (std::size_t i = 0; i < args.size(); ++i) {
    std::string_view arg = args[i];
    if (!arg.starts_with('-')) {
      words.push_back(arg);
      continue;
    }
    for (const FlagSpec& flag : global_flags())
      if (!flag.value.empty() &&
          (arg == "--" + flag.name || arg == fmt::format("-{}", flag.letter)))
        ++i;
  }
  return words;
}

Error unknown_command(std::string_view group, std::string_view word) {
  std::vector<std::string_view> known;
  for (const CommandSpec& command : commands())
    if (command.group == group && !command.hidden) known.push_back(command.name);
  if (group.empty())
    for (const GroupSpec& each : groups()) known.push_back(each.name);
  return usage_error(fmt::format("there is no command '{}{}{}'{}", group, group.empty() ? "" : " ",
                                 word, suggestion(word, known)));
}

std::optional<Error> unknown_flag(const CommandSpec& command,
                                  const std::vector<std::string>& args) {
  std::vector<std::string> known = {"help"};
  for (const auto* flags : {&command.flags, &global_flags()})
    for (const FlagSpec& flag : *flags) {
      known.push_back(flag.name);
      if (flag.negatable) known.push_back("no-" + flag.name);
    }
  std::vector<std::string_view> names(known.begin(), known.end());
  for (const std::string& arg : args) {
    if (arg == "--") break;
    if (!arg.starts_with("--")) continue;
    std::string_view name = std::string_view(arg).substr(2, arg.find('=') - 2);
    if (std::ranges::find(names, name) != names.end()) continue;
    std::string_view near = nearest(name, names);
    std::string hint = near.empty() ? fmt::format("; see chorok {} --help", command.path())
                                    : fmt::format("; did you mean --{}?", near);
    return usage_error(fmt::format("`chorok {}` has no flag --{}{}", command.path(), name, hint));
  }
  return std::nullopt;
}

// CLI11 says that something does not fit; this says what would.
Error explain_mistake(const Tree& tree, const std::vector<std::string>& args,
                      const CLI::ParseError& error) {
  auto words = words_of(args);
  if (tree.command() == nullptr && !words.empty()) {
    const GroupSpec* group = find_group(words[0]);
    if (group == nullptr) return unknown_command("", words[0]);
    if (words.size() > 1) return unknown_command(group->name, words[1]);
  }
  if (tree.command() != nullptr)
    if (auto unknown = unknown_flag(*tree.command(), args)) return *unknown;
  return usage_error(error.what());
}

Result<Options> options_of(const Invocation& call) {
  Options options;
  options.output = TRY(output_from_text(call.value("output")));
  options.watch = call.on("watch");
  options.wait = call.on("wait", true);
  options.dry_run = call.on("dry-run");
  options.quiet = call.on("quiet");
  options.url = call.value("url");
  options.token = call.value("token");
  options.context = call.value("context");
  options.ca_file = call.value("ca");
  return options;
}

Result<> check_operands(const Invocation& call) {
  const CommandSpec& command = *call.command;
  if (call.args.size() >= command.args_min && call.args.size() <= command.args_max) return {};
  bool few = call.args.size() < command.args_min;
  return usage_fail(fmt::format(
      "{}: usage: chorok {} {}",
      few ? "something is missing" : fmt::format("'{}' is too much", call.args[command.args_max]),
      command.path(), command.operands));
}

// Flags that go into a field have its type's own error.
Result<> check_choices(const Invocation& call) {
  for (const FlagSpec& flag : call.command->flags) {
    if (flag.choices.empty() || flag.type != nullptr) continue;
    for (const std::string& value : call.values(flag.name))
      if (std::ranges::find(flag.choices, value) == flag.choices.end())
        return usage_fail(fmt::format("'{}' is none of {}", value, fmt::join(flag.choices, ", ")),
                          fmt::format("--{}", flag.name));
  }
  return {};
}

}  // namespace

Result<Parsed> parse(const std::vector<std::string>& args) {
  Parsed parsed;
  // Completion words are flags and half words of another command line: not for this parser.
  if (!args.empty() && args[0] == "__complete") {
    parsed.call.command = find_command("", "__complete");
    parsed.call.args.assign(args.begin() + 1, args.end());
    return parsed;
  }
  if (!args.empty() && (args[0] == "help" || args[0] == "--version")) {
    std::vector<std::string> said(args.begin() + 1, args.end());
    said.emplace_back(args[0] == "help" ? "--help" : "version");
    return parse(said);
  }
  Tree tree;
  try {
    tree.parse(args);
  } catch (const CLI::CallForHelp&) {
    auto words = words_of(args);
    const GroupSpec* group = words.empty() ? nullptr : find_group(words[0]);
    parsed.help = tree.command() ? help_text(*tree.command())
                  : group        ? help_text(*group)
                                 : help_text();
    return parsed;
  } catch (const CLI::ParseError& error) {
    return std::unexpected(explain_mistake(tree, args, error));
  }
  parsed.call = tree.take();
  parsed.options = TRY(options_of(parsed.call));
  if (parsed.call.command == nullptr) {
    parsed.help = tree.group() ? help_text(*tree.group()) : help_text();
    return parsed;
  }
  TRY(check_operands(parsed.call));
  TRY(check_choices(parsed.call));
  return parsed;
}

}  // namespace chorok::cli
