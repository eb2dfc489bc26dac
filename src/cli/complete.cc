#include "cli/complete.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/flags.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/schema.h"
#include "cli/session.h"
#include "sim/datacenter/experiment.h"

namespace chorok::cli {
namespace {

// Where on the command line one is.
struct Cursor {
  const CommandSpec* command = nullptr;
  std::string group;
  std::size_t operand = 0;            // how many operands there are already
  std::string first;                  // of them: a command may name a kind with it
  const FlagSpec* waiting = nullptr;  // a flag that wants the next word
  std::vector<std::string> given;     // flags so far
  bool flags_over = false;            // after --
};

const FlagSpec* find_flag(const Cursor& cursor, std::string_view word) {
  auto is_it = [&](const FlagSpec& flag) {
    return word == "--" + flag.name || word == "--no-" + flag.name ||
           (flag.letter && word == fmt::format("-{}", flag.letter));
  };
  for (const auto* flags : {cursor.command ? &cursor.command->flags : nullptr, &global_flags()}) {
    if (flags == nullptr) continue;
    auto it = std::ranges::find_if(*flags, is_it);
    if (it != flags->end()) return &*it;
  }
  return nullptr;
}

std::string group_of(std::string_view word) {
  const GroupSpec* group = find_group(word);
  return group ? std::string(group->name) : std::string();
}

void take_word(Cursor& cursor, const std::string& word) {
  if (cursor.waiting) {
    cursor.waiting = nullptr;
  } else if (word == "--") {
    cursor.flags_over = true;
  } else if (word.starts_with('-') && !cursor.flags_over) {
    std::size_t equals = word.find('=');
    const FlagSpec* flag = find_flag(cursor, word.substr(0, equals));
    if (flag) cursor.given.push_back(flag->name);
    if (flag && !flag->value.empty() && equals == std::string::npos) cursor.waiting = flag;
  } else if (cursor.command) {
    if (++cursor.operand == 1) cursor.first = word;
  } else if (cursor.group.empty() && !group_of(word).empty()) {
    cursor.group = group_of(word);
  } else {
    cursor.command = find_command(cursor.group, word == "list" ? "ls" : word);
  }
}

class Completer {
 public:
  Completer(const NamesOf& names_of, std::string typed)
      : names_of_(names_of), typed_(std::move(typed)) {}

  Completion run(const Cursor& cursor) {
    std::size_t equals = typed_.find('=');
    bool is_flag = typed_.starts_with("--") && !cursor.flags_over && !cursor.waiting;
    if (cursor.waiting) {
      flag_value(*cursor.waiting, "");
    } else if (is_flag && equals != std::string::npos) {
      if (const FlagSpec* flag = find_flag(cursor, typed_.substr(0, equals)))
        flag_value(*flag, typed_.substr(0, equals + 1));
    } else if (typed_.starts_with('-') && !cursor.flags_over) {
      flags(cursor);
    } else if (cursor.command) {
      operand(*cursor.command, cursor);
    } else {
      commands_of(cursor.group);
    }
    return std::move(out_);
  }

 private:
  void add(std::string text, std::string_view doc = {}) {
    if (text.starts_with(typed_)) out_.candidates.push_back({std::move(text), std::string(doc)});
  }

  void commands_of(std::string_view group) {
    if (group.empty())
      for (const GroupSpec& each : groups()) add(std::string(each.name), each.doc);
    for (const CommandSpec& command : commands())
      if (command.group == group && !command.hidden) add(command.name, command.doc);
  }

  void flags(const Cursor& cursor) {
    auto offer = [&](const std::vector<FlagSpec>& all) {
      for (const FlagSpec& flag : all) {
        bool is_given = std::ranges::find(cursor.given, flag.name) != cursor.given.end();
        if (is_given && !flag.repeats) continue;
        add("--" + flag.name, flag.doc);
        if (flag.negatable) add("--no-" + flag.name, flag.doc);
      }
    };
    if (cursor.command) offer(cursor.command->flags);
    offer(global_flags());
    add("--help", "How it is used.");
  }

  void names(std::string_view kind, const std::string& before) {
    for (const std::string& name : names_of_(kind)) add(before + name);
  }

  void operand(const CommandSpec& command, const Cursor& cursor) {
    const std::size_t index = cursor.operand;
    if (command.completes.empty() || index >= command.args_max) return;
    bool repeats = command.args_max == kMany;
    if (repeats && command.verb && command.completes.size() > 1) {
      // NAME… HOST: either may come after the first name.
      for (std::size_t i = 0; i < (index == 0 ? 1 : 2); ++i) value_of(command.completes[i], "");
      return;
    }
    std::size_t last = command.completes.size() - 1;
    const std::string& what = command.completes[std::min(index, last)];
    value_of(what == "its kind" ? cursor.first : what, "");
  }

  void value_of(const std::string& what, const std::string& before) {
    auto any = [&](std::initializer_list<const char*> values) {
      for (const char* value : values) add(before + value);
    };
    if (what == "file")
      out_.files = true;
    else if (what == "why")
      any({"vm", "host"});
    else if (what == "shell")
      any({"bash", "zsh"});
    else if (what == "method")
      any({"GET", "POST", "PATCH", "PUT", "DELETE"});
    else if (what == "experiment")
      for (const auto& known : sim::datacenter::known_experiments())
        add(before + std::string(known.name));
    else if (what == "explain")
      explained();
    else if (!what.empty())
      names(what, before);
  }

  void explained() {
    std::size_t dot = typed_.rfind('.');
    std::string before = dot == std::string::npos ? "" : typed_.substr(0, dot);
    if (before.empty()) {
      for (const auto& kind : model::resource_kinds()) add(std::string(kind.kind));
      out_.open = true;
      return;
    }
    std::string path = before;
    std::ranges::replace(path, '.', '/');
    std::size_t slash = path.find('/');
    const auto* kind = model::find_resource_kind(path.substr(0, slash));
    if (kind == nullptr) return;
    auto place = resolve(kind->type(), slash == std::string::npos ? "" : path.substr(slash + 1));
    if (!place) return;
    const Type* type = place->type;
    while (type->element != nullptr) type = &unwrap(type->element());
    for (const Field& field : type->fields)
      add(fmt::format("{}.{}", before, field.name), field.doc);
    out_.open = true;
    if (slash == std::string::npos)
      for (const model::Verb& verb : model::verbs())
        if (verb.kind == kind->kind) add(fmt::format("{}.{}", before, verb.verb), verb.doc);
  }

  void flag_value(const FlagSpec& flag, const std::string& before) {
    for (const std::string& choice : flag.choices) add(before + choice);
    if (!flag.choices.empty()) return;
    if (flag.type && struct_of(*flag.type)) return pairs(*struct_of(*flag.type), before);
    const bool is_list = flag.type && unwrap(*flag.type).kind == Kind::kList;
    const std::size_t comma = is_list ? typed_.rfind(',') : std::string::npos;
    value_of(flag.completes, comma == std::string::npos ? before : typed_.substr(0, comma + 1));
  }

  static const Type* struct_of(const Type& type) {
    const Type& inner = type.kind == Kind::kList ? unwrap(type.element()) : unwrap(type);
    return inner.kind == Kind::kStruct ? &inner : nullptr;
  }

  // name=root,data| -> name=root,datastore=
  void pairs(const Type& type, const std::string& before) {
    out_.open = true;
    std::size_t comma = typed_.rfind(',');
    std::string head = comma == std::string::npos ? before : typed_.substr(0, comma + 1);
    std::string part = typed_.substr(head.size());
    if (std::size_t equals = part.find('='); equals != std::string::npos) {
      pair_value(type, part.substr(0, equals), head + part.substr(0, equals + 1));
      return;
    }
    for (const Field& field : type.fields)
      if (!field.limits.read_only && head.find(fmt::format("{}=", field.name)) == std::string::npos)
        add(fmt::format("{}{}=", head, field.name), field.doc);
  }

  void pair_value(const Type& type, std::string_view key, const std::string& before) {
    const Field* field = type.find(key);
    if (field == nullptr) return;
    const Type& own = unwrap(field->type());
    for (const EnumValue& value : own.values) add(before + std::string(value.name), value.doc);
    if (own.kind == Kind::kBool)
      for (const char* value : {"true", "false"}) add(before + value);
    if (key == "datastore" || key == "network" || key == "host") names(key, before);
  }

  const NamesOf& names_of_;
  std::string typed_;
  Completion out_;
};

}  // namespace

Completion complete(const std::vector<std::string>& words, const NamesOf& names_of) {
  if (words.empty()) return {};
  Cursor cursor;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) take_word(cursor, words[i]);
  return Completer(names_of, words.back()).run(cursor);
}

std::vector<std::string> split_line(std::string_view line) {
  std::vector<std::string> words(1);
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    char c = line[i];
    if (quote != 0) {
      if (c == quote)
        quote = 0;
      else
        words.back() += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '\\' && i + 1 < line.size()) {
      words.back() += line[++i];
    } else if (c == ' ' || c == '\t') {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

std::string_view completion_script(std::string_view shell) {
  constexpr std::string_view kBash =
      R"(# chorok completion for bash: source <(chorok completion bash)
_chorok() {
  local line
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :file ]]; then compopt -o default; continue; fi
    if [[ $line == :open ]]; then compopt -o nospace; continue; fi
    COMPREPLY+=("${line%%$'\t'*}")
  done < <("${COMP_WORDS[0]}" __complete bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
}
complete -F _chorok chorok
)";
  constexpr std::string_view kZsh = R"(#compdef chorok
# chorok completion for zsh: source <(chorok completion zsh)
_chorok() {
  local line
  local -a found open
  for line in "${(@f)$("${words[1]}" __complete zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -z $line ]] && continue
    if [[ $line == :file ]]; then _files; return; fi
    if [[ $line == :open ]]; then open=(-S ''); continue; fi
    found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  _describe -t values value found $open
}
compdef _chorok chorok
)";
  if (shell == "bash") return kBash;
  return shell == "zsh" ? kZsh : std::string_view{};
}

Result<int> run_completion(Session& session, const Invocation& call) {
  std::string_view script = completion_script(call.args[0]);
  if (script.empty()) return usage_fail(fmt::format("'{}' is neither bash nor zsh", call.args[0]));
  session.out(script);
  return exit_code::kOk;
}

namespace {

// The line being typed may say which manager it is for.
Options options_in(const std::vector<std::string>& words) {
  Options options;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& value = words[i + 1];
    if (words[i] == "--url" || words[i] == "-u") options.url = value;
    if (words[i] == "--context") options.context = value;
    if (words[i] == "--token") options.token = value;
    if (words[i] == "--ca") options.ca_file = value;
  }
  return options;
}

std::vector<std::string> fetch_names(Session& session, std::string_view kind_name) {
  std::vector<std::string> names;
  if (kind_name == "context") {
    auto config = session.config();
    if (config)
      for (const auto& [name, context] : config->contexts) names.push_back(name);
    return names;
  }
  const auto* kind = model::find_resource_kind(kind_name);
  // Longer, and a person has typed the name.
  auto api = session.api(std::chrono::milliseconds(500));
  if (kind == nullptr || !api) return names;
  auto path = name_path(*kind);
  auto answer = (*api)->list(kind->plural, {{"fields", std::string(path)}});
  if (!answer) return names;
  for (const Value& item : answer->get("items").items()) names.emplace_back(item.get(path).text());
  return names;
}

}  // namespace

Result<int> run_complete(Session& session, const Invocation& call) {
  bool is_bash = call.args[0] == "bash";
  std::vector<std::string> words(call.args.begin() + 1, call.args.end());
  if (is_bash && !words.empty()) {
    words = split_line(words[0]);
    words.erase(words.begin());
  }
  if (words.empty()) return exit_code::kOk;
  Session asking(session.terminal(), options_in(words));
  auto found = complete(words, [&](std::string_view kind) { return fetch_names(asking, kind); });
  // Bash takes '=' and ':' for the ends of words: it wants what comes after the last one.
  std::size_t cut = is_bash ? words.back().find_last_of("=:") : std::string::npos;
  std::string out = found.files ? ":file\n" : found.open ? ":open\n" : "";
  for (const Candidate& candidate : found.candidates)
    out += fmt::format("{}\t{}\n",
                       cut == std::string::npos ? candidate.text : candidate.text.substr(cut + 1),
                       candidate.doc);
  session.out(out);
  return exit_code::kOk;
}

}  // namespace chorok::cli
