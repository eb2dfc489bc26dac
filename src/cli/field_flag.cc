#include "cli/field_flag.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/result.h"
#include "cli/schema.h"

namespace chorok::cli {
namespace {

std::string dashed(std::string_view field) {
  std::string name(field);
  if (name.ends_with("_mib_s")) name.resize(name.size() - 6);  // the unit is in the help
  std::ranges::replace(name, '_', '-');
  return name;
}

std::string text_name(Pattern pattern) {
  switch (pattern) {
    case Pattern::kName:
      return "NAME";
    case Pattern::kId:
      return "ID";
    case Pattern::kPath:
      return "PATH";
    case Pattern::kMac:
      return "MAC";
    case Pattern::kText:
    case Pattern::kAny:
      break;
  }
  return "TEXT";
}

std::string value_name(const Type& type, Pattern pattern) {
  if (type.unit == "MiB") return "SIZE";
  if (type.unit == "MHz") return "MHZ";
  switch (type.kind) {
    case Kind::kBool:
      return "";
    case Kind::kInt:
    case Kind::kDouble:
      return "N";
    case Kind::kDuration:
      return "TIME";
    case Kind::kEnum:
      return type_words(type);
    case Kind::kStruct:
      return "KEY=VALUE,…";
    case Kind::kMap:
      return "KEY=VALUE";
    case Kind::kList:
      return unwrap(type.element()).kind == Kind::kStruct ? "KEY=VALUE,…" : "A,B,…";
    default:
      return text_name(pattern);
  }
}

// "name, datastore, size": what a KEY=VALUE list of this type can hold; empty for other types.
std::string key_words(const Type& type) {
  const Type& inner = type.kind == Kind::kList ? unwrap(type.element()) : type;
  if (inner.kind != Kind::kStruct) return {};
  std::string words;
  for (const Field& field : inner.fields)
    if (!field.limits.read_only) words += (words.empty() ? "" : ", ") + std::string(field.name);
  return words;
}

}  // namespace

FlagSpec field_flag(const Type& root, std::string_view path, std::string name) {
  Place place = resolve(root, path).value_or(Place{});
  CHOROK_ASSERT(place.field != nullptr);
  FlagSpec flag;
  flag.name = name.empty() ? dashed(place.field->name) : std::move(name);
  flag.value = value_name(*place.type, place.field->limits.pattern);
  flag.doc = place.field->doc;
  if (std::string keys = key_words(*place.type); !keys.empty())
    flag.doc += fmt::format(" Keys: {}.", keys);
  flag.type = place.type;
  flag.path = path;
  flag.negatable = place.type->kind == Kind::kBool;
  flag.repeats = place.type->kind == Kind::kList || place.type->kind == Kind::kMap;
  for (const EnumValue& value : place.type->values) flag.choices.emplace_back(value.name);
  for (std::string_view kind : {"host", "datastore", "network"})
    if (place.field->name == kind && place.type->kind == Kind::kString) flag.completes = kind;
  return flag;
}

}  // namespace chorok::cli
