// Every command the program has, as a table made from the model's verbs, kinds and reflection. The
// parser, help, completion and the documentation read this one table.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "base/result.h"
#include "model/verbs.h"

namespace chorok::cli {

class Session;
struct CommandSpec;

struct FlagSpec {
  std::string name;   // "memory" for --memory
  std::string value;  // what help calls its value; empty: a switch
  std::string doc;
  char letter = 0;  // 'f' for -f
  bool repeats = false;
  bool negatable = false;  // a switch that also has --no-NAME
  std::string completes;   // kind of resource ("host"), "file", or empty
  std::vector<std::string> choices;
  const Type* type = nullptr;  // of the value, where it goes into a field
  std::string path;            // of that field in the request, "spec/memory"
};

// What was typed.
struct Invocation {
  const CommandSpec* command = nullptr;
  std::vector<std::string> args;
  std::map<std::string, std::vector<std::string>, std::less<>> flags;  // switches: "true", "false"

  bool has(std::string_view flag) const { return flags.contains(flag); }
  std::string_view value(std::string_view flag, std::string_view otherwise = {}) const;
  std::vector<std::string> values(std::string_view flag) const;
  bool on(std::string_view flag, bool otherwise = false) const;
};

// The exit code, or why there is none to speak of.
using Handler = Result<int> (*)(Session&, const Invocation&);

struct CommandSpec {
  std::string group;  // "vm"; empty: `chorok NAME`
  std::string name;
  std::string doc;
  std::string operands;  // "NAME... [HOST]"
  std::size_t args_min = 0;
  std::size_t args_max = 0;
  std::vector<FlagSpec> flags;
  // What each operand is; the last one repeats. "its kind": of the kind that the first names.
  std::vector<std::string> completes;
  std::string example;
  Handler handler = nullptr;
  const model::ResourceKind* kind = nullptr;
  const model::Verb* verb = nullptr;
  bool hidden = false;
  std::string path() const { return group.empty() ? name : group + " " + name; }
};

inline constexpr std::size_t kMany = 10000;  // names on one command line

const std::vector<CommandSpec>& commands();
const std::vector<FlagSpec>& global_flags();
const CommandSpec* find_command(std::string_view group, std::string_view name);
struct GroupSpec {
  std::string_view name;
  std::string_view doc;
};
const std::vector<GroupSpec>& groups();
// By its name or, where it is a kind of resource, its plural.
const GroupSpec* find_group(std::string_view word);
// The plural, or the name of a group that is no kind.
std::string_view plural_of(const GroupSpec& group);

}  // namespace chorok::cli
