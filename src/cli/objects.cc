#include "cli/objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

#include "cli/flags.h"
#include "cli/yaml.h"

namespace chorok::cli {

std::string_view name_path(const model::ResourceKind& kind) {
  if (kind.type().find("meta") == nullptr) return "id";
  return kind.kind == "token" ? "meta/id" : "meta/name";
}

std::string_view id_of(const Value& object) {
  return object.get(object.find("meta") ? "meta/id" : "id").text();
}

std::string_view name_of(const Value& object) {
  std::string_view name = object.get("meta/name").text();
  return name.empty() ? id_of(object) : name;
}

std::int64_t revision_of(const Value& object) {
  return object.get(object.find("meta") ? "meta/revision" : "revision").integer();
}

Result<std::string> only_name(Session& session, const model::ResourceKind& kind) {
  Value answer = TRY(TRY(session.api())->list(kind.plural, {{"fields", "meta/id,meta/name"}}));
  const auto& items = answer.get("items").items();
  if (items.size() == 1) return std::string(name_of(items[0]));
  if (items.empty()) return fail(Code::kNotFound, fmt::format("there is no {}", kind.kind));
  return usage_fail(fmt::format("there are {} {}: say which", items.size(), kind.plural));
}

Result<std::vector<std::string>> chosen_names(Session& session, const model::ResourceKind& kind,
                                              std::vector<std::string> names,
                                              std::string_view selector, bool all) {
  if (!all && selector.empty() && names.empty())
    return usage_fail(fmt::format("say which {}: a name, or --selector", kind.kind));
  if (!all && selector.empty()) return names;
  if (!names.empty() || (all && !selector.empty()))
    return usage_fail("either names, or a selector, or all", all ? "--all" : "--selector");
  Query query = {{"fields", "meta/id,meta/name"}};
  if (!all) query.emplace_back("labels", std::string(selector));
  Value answer = TRY(TRY(session.api())->list(kind.plural, query));
  for (const Value& item : answer.get("items").items()) names.emplace_back(name_of(item));
  if (names.empty())
    return fail(Code::kNotFound, all ? fmt::format("there is no {}", kind.kind)
                                     : fmt::format("no {} has the labels {}", kind.kind, selector));
  return names;
}

namespace {

// Beyond so many of a kind, all of its names are asked for at once.
constexpr std::size_t kAskedOneByOne = 8;

using Names = std::map<std::string, std::string, std::less<>>;  // by id

void for_each_id(Value& object, std::string_view path, const std::function<void(Value&)>& visit) {
  const Value* at = object.at(path);
  if (at == nullptr || at->is_empty()) return;
  Value& place = object.make(path);
  if (place.is_string()) visit(place);
  if (place.is_list())
    for (Value& item : place.edit_items()) visit(item);
}

Result<> ask_names(Session& session, const model::ResourceKind& kind, Names& names) {
  Api& api = *TRY(session.api());
  const Query query = {{"fields", "meta/id,meta/name"}};
  if (names.size() > kAskedOneByOne) {
    const Value all = TRY(api.list(kind.plural, query));
    for (const Value& item : all.get("items").items())
      if (auto it = names.find(id_of(item)); it != names.end()) it->second = name_of(item);
    return {};
  }
  for (auto& [id, name] : names)
    if (auto found = api.get(ref_path(kind.plural, id), query)) name = name_of(*found);
  return {};
}

}  // namespace

void show_names(Session& session, const model::ResourceKind& kind, Value::List& objects) {
  std::map<std::string_view, Names> wanted;
  auto each = [&](const std::function<void(Names&, Value&)>& visit) {
    for (const model::Reference& reference : model::references())
      if (reference.kind == kind.kind)
        for (Value& object : objects)
          for_each_id(object, reference.path,
                      [&](Value& ref) { visit(wanted[reference.target], ref); });
  };
  each([](Names& names, Value& ref) { names[std::string(ref.text())] = ref.text(); });
  for (auto& [target, names] : wanted)
    if (!ask_names(session, *model::find_resource_kind(target), names)) return;
  each([](Names& names, Value& ref) { ref = names[std::string(ref.text())]; });
}

namespace {

Result<> apply_flag(const FlagSpec& flag, const std::vector<std::string>& texts, Value& object) {
  Value& place = object.make(flag.path);
  bool is_first = true;
  for (const std::string& text : texts) {
    Value value = TRY(value_from_text(*flag.type, text));
    if (value.is_list() && !is_first)
      for (const Value& item : value.items()) place.push(item);
    else if (value.is_object() && place.is_object())
      for (const Member& member : value.members()) place.member(member.key) = member.value;
    else
      place = std::move(value);
    is_first = false;
  }
  return {};
}

}  // namespace

Result<> apply_flags(const Invocation& call, Value& object) {
  for (const FlagSpec& flag : call.command->flags) {
    if (flag.type == nullptr || !call.has(flag.name)) continue;
    auto applied = apply_flag(flag, call.values(flag.name), object);
    if (!applied) return usage_fail(applied.error().message, "--" + flag.name);
  }
  // What is too long or too secret for a command line.
  for (const auto& [flag, field] : {std::pair{"ca-file", "ca"}, {"secret-file", "secret"}}) {
    if (!call.has(flag)) continue;
    std::string text = TRY(read_file(std::string(call.value(flag))));
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    object.member(field) = std::move(text);
  }
  return {};
}

void name_devices(Value& vm) {
  using Row = std::pair<std::string_view, std::string_view>;
  for (auto [path, prefix] :
       {Row{"spec/disks", "disk"}, Row{"spec/nics", "eth"}, Row{"spec/cdroms", "cd"}}) {
    if (!vm.get(path).is_list()) continue;
    int index = 0;
    for (Value& device : vm.make(path).edit_items()) {
      if (device.is_object() && !device.find("name"))
        device.member("name") = fmt::format("{}{}", prefix, index);
      ++index;
    }
  }
}

Result<Value> read_object(Session& session, const Type& type, const std::string& file) {
  std::string text = file == "-" ? TRY(session.terminal().read_all_input()) : TRY(read_file(file));
  auto value = parse_yaml(text);
  if (!value) return std::unexpected(value.error().within(file));
  if (!value->is_object())
    return fail(Code::kInvalid, fmt::format("{} holds no object of fields", file));
  return object_from_people(type, std::move(*value));
}

namespace {

std::string first_line(std::string text) {
  text.resize(std::min(text.size(), text.find_first_of("\r\n")));
  return text;
}

}  // namespace

Result<std::string> read_password(Session& session, const Invocation& call, bool is_new) {
  Terminal& terminal = session.terminal();
  if (call.has("password-file")) {
    std::string file(call.value("password-file"));
    return first_line(file == "-" ? TRY(terminal.read_all_input()) : TRY(read_file(file)));
  }
  if (std::string password = terminal.env("CHOROK_PASSWORD"); !password.empty()) return password;
  auto password = terminal.ask(is_new ? "New password: " : "Password: ", true);
  if (!password)
    return usage_fail("there is no terminal to ask for the password: use this, or CHOROK_PASSWORD",
                      "--password-file");
  if (is_new && TRY(terminal.ask("Again: ", true)) != *password)
    return fail(Code::kInvalid, "these are two different passwords");
  return password;
}

Result<> confirm(Session& session, const Invocation& call, std::string_view question) {
  Terminal& terminal = session.terminal();
  bool asks = terminal.in_is_terminal() && terminal.err_is_terminal();
  if (!asks || call.on("yes") || session.options().dry_run) return {};
  std::string answer = TRY(terminal.ask(fmt::format("{} [y/N] ", question), false));
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return fail(Code::kCancelled, "nothing was done");
}

}  // namespace chorok::cli
