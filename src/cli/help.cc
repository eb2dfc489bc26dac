// --help, from the table of commands.
#include <fmt/format.h>

#include <algorithm>

#include "cli/parse.h"
#include "cli/text.h"

namespace chorok::cli {
namespace {

std::string flag_words(const FlagSpec& flag) {
  std::string words = flag.letter ? fmt::format("-{}, ", flag.letter) : "    ";
  words += "--" + flag.name;
  if (!flag.value.empty()) words += " " + flag.value;
  if (flag.negatable) words += fmt::format(", --no-{}", flag.name);
  return words;
}

std::string flag_list(const std::vector<FlagSpec>& flags) {
  std::size_t width = 0;
  for (const FlagSpec& flag : flags) width = std::max(width, display_width(flag_words(flag)));
  constexpr std::size_t kWidest = 34;
  width = std::min(width, kWidest);
  std::string out;
  for (const FlagSpec& flag : flags) {
    std::string words = flag_words(flag);
    bool long_words = display_width(words) > width;
    out += "  " + pad(words, width);
    out += long_words ? "\n" + std::string(width + 4, ' ') : "  ";
    out += flag.doc + "\n";
  }
  return out;
}

std::string command_list(std::string_view group) {
  std::string out;
  for (const CommandSpec& command : commands())
    if (command.group == group && !command.hidden)
      out += fmt::format("  {} {}\n", pad(command.name, 16), command.doc);
  return out;
}

}  // namespace

std::string help_text() {
  std::string out =
      "chorok: virtual infrastructure for KVM hosts\n\nusage: chorok COMMAND [FLAGS]\n\n"
      "Things (chorok THING --help lists what each can do):\n";
  for (const GroupSpec& group : groups())
    out += fmt::format("  {} {}\n", pad(group.name, 16), group.doc);
  out += "\nCommands:\n" + command_list("") + "\nFlags of every command:\n";
  out += flag_list(global_flags());
  return out +
         "\nExit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 the task failed,\n"
         "5 not logged in, 130 interrupted.\n";
}

std::string help_text(const GroupSpec& group) {
  return fmt::format("{}\n\nusage: chorok {} COMMAND [FLAGS]\n\nCommands:\n{}", group.doc,
                     group.name, command_list(group.name));
}

std::string help_text(const CommandSpec& command) {
  std::string out = fmt::format("{}\n\nusage: chorok {}", command.doc, command.path());
  if (!command.operands.empty()) out += " " + command.operands;
  out += " [FLAGS]\n";
  if (!command.flags.empty()) out += "\nFlags:\n" + flag_list(command.flags);
  out +=
      "\nFlags of every command: --url --token --context --output --watch --no-wait --dry-run\n"
      "--quiet; see chorok --help.\n";
  if (!command.example.empty()) out += fmt::format("\nExample:\n  {}\n", command.example);
  return out;
}

}  // namespace chorok::cli
