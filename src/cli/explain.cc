// `chorok explain`: the reflection tables in words.
#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "cli/schema.h"
#include "cli/table.h"
#include "cli/text.h"
#include "model/verbs.h"

namespace chorok::cli {
namespace {

std::vector<std::string_view> split_dots(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    std::size_t end = text.find_first_of("./");
    if (end != 0) parts.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return parts;
}

// What the dotted words lead to.
struct Found {
  const Type* type = nullptr;
  const Field* field = nullptr;
  const Type* owner = nullptr;  // of the field
  std::string_view kind;
  bool is_verb = false;
  std::string path;  // of the owner in its kind: "settings/balance"
};

Error unknown(std::string_view what, std::string_view part, std::vector<std::string_view> known) {
  std::string message = fmt::format("there is no '{}' in '{}'", part, what);
  if (std::string_view near = nearest(part, known); !near.empty())
    message += fmt::format("; did you mean '{}'?", near);
  return Error{Code::kNotFound, message, ""};
}

Result<Found> find_kind(std::string_view name) {
  if (const auto* kind = model::find_resource_kind(name))
    return Found{.type = &kind->type(), .kind = kind->kind};
  std::vector<std::string_view> known;
  for (const auto& kind : model::resource_kinds()) known.push_back(kind.kind);
  std::string all = fmt::format("{}", fmt::join(known, ", "));
  std::string_view near = nearest(name, known);
  return fail(Code::kNotFound,
              near.empty() ? fmt::format("there is no kind '{}'; the kinds are {}", name, all)
                           : fmt::format("there is no kind '{}'; did you mean '{}'?", name, near));
}

const Type& fields_of(const Type& type) {
  const Type& own = unwrap(type);
  bool holds = own.kind == Kind::kList || own.kind == Kind::kMap;
  return holds ? fields_of(own.element()) : own;
}

Result<Found> find(std::string_view what) {
  auto parts = split_dots(what);
  if (parts.empty()) return fail(Code::kInvalid, "say what to explain, such as vm.spec", "--");
  Found found = TRY(find_kind(parts[0]));
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const Type& here = fields_of(*found.type);
    if (const Field* field = here.find(parts[i])) {
      const std::string above = found.field ? std::string(found.field->name) : "";
      const std::string path = found.path.empty() ? above : found.path + "/" + above;
      found = Found{&field->type(), field, &here, found.kind, false, path};
      continue;
    }
    const model::Verb* verb = i == 1 ? model::find_verb(found.kind, parts[i]) : nullptr;
    if (verb == nullptr) {
      std::vector<std::string_view> known;
      for (const Field& field : here.fields) known.push_back(field.name);
      return std::unexpected(unknown(parts[i - 1], parts[i], known));
    }
    found = Found{&model::request_type(*verb), nullptr, nullptr, found.kind, true, {}};
  }
  return found;
}

// As a new object of the kind has it, which may be another than what its type begins with: the
// balance of a cluster. `inside`: null where the field is in a list, or its kind is not known.
std::string default_words(const Type& owner, const Field& field, const Value* inside) {
  if (field.limits.required || field.limits.read_only || field.limits.secret) return {};
  const Value* known = inside == nullptr ? nullptr : inside->find(field.name);
  const Value& value = known == nullptr ? default_of(owner).get(field.name) : *known;
  if (value.is_empty() || unwrap(field.type()).kind == Kind::kStruct) return {};
  return value_words(unwrap(field.type()), value);
}

std::string field_table(const Type& type, const Value* inside, std::size_t width) {
  Table table;
  table.columns = {{.title = "FIELD"},
                   {.title = "TYPE", .shrinks = true},
                   {.title = "DEFAULT"},
                   {.title = "LIMITS", .shrinks = true},
                   {.title = "WHAT", .shrinks = true}};
  for (const Field& field : type.fields)
    table.rows.push_back({{std::string(field.name), Tone::kStrong},
                          {type_words(field.type())},
                          {default_words(type, field, inside)},
                          {limit_words(field)},
                          {std::string(field.doc)}});
  return render_table(table, {.width = width});
}

std::string enum_table(const Type& type) {
  std::string out = "\n";
  for (const EnumValue& value : type.values)
    out += fmt::format("  {:<12} {}\n", value.name, value.doc);
  return out;
}

}  // namespace

Result<std::string> explain(std::string_view what, std::size_t width) {
  Found found = TRY(find(what));
  const Type& inner = fields_of(*found.type);
  const auto* kind = model::find_resource_kind(found.kind);
  const Value& nothing = Value::object();
  const Value* fresh = kind == nullptr || found.is_verb ? &nothing : &default_of(kind->type());
  std::string out = fmt::format("{}: {}\n", what, type_words(*found.type));
  std::string_view doc = found.field ? found.field->doc : inner.doc;
  if (!doc.empty()) out += fmt::format("{}\n", doc);
  if (found.field) {
    if (inner.kind == Kind::kStruct && inner.doc != doc && !inner.doc.empty())
      out += fmt::format("{}\n", inner.doc);
    std::string facts;
    const Value* beside = found.path.empty() ? fresh : fresh->at(found.path);
    if (auto words = default_words(*found.owner, *found.field, beside); !words.empty())
      facts += fmt::format("  default  {}\n", words);
    if (auto words = limit_words(*found.field); !words.empty())
      facts += fmt::format("  limits   {}\n", words);
    if (!facts.empty()) out += "\n" + facts;
  }
  if (inner.kind == Kind::kStruct && !inner.fields.empty()) {
    const Value* inside = nullptr;
    if (found.field)
      inside = fresh->at(found.path.empty() ? std::string(found.field->name)
                                            : fmt::format("{}/{}", found.path, found.field->name));
    out += "\n" + field_table(inner, inside, width);
  }
  if (inner.kind == Kind::kEnum) out += enum_table(inner);
  if (!found.field && !found.is_verb) {
    std::string list;
    for (const model::Verb& verb : model::verbs())
      if (verb.kind == found.kind) list += fmt::format("  {:<16} {}\n", verb.verb, verb.doc);
    if (!list.empty()) out += "\nWhat it can be asked to do:\n" + list;
  }
  return out;
}

Result<std::string> explain_schema(std::string_view what) {
  Found found = TRY(find(what));
  if (!found.field) return json::schema(*found.type);
  // Limits belong to the field, and stand in its owner's schema.
  Value owner = TRY(parse_json(json::schema(*found.owner)));
  return to_json(owner.get("properties").get(found.field->name));
}

}  // namespace chorok::cli
