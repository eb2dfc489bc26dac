#include "cli/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "cli/quantity.h"
#include "cli/schema.h"

namespace chorok::cli {
namespace {

Unexpected refuse(std::string message) {
  return fail(Code::kInvalid, std::move(message));
}

std::string near_hint(std::string_view typed, const std::vector<std::string_view>& known) {
  std::string_view near = nearest(typed, known);
  if (!near.empty()) return fmt::format("; did you mean '{}'?", near);
  return fmt::format("; known: {}", fmt::join(known, ", "));
}

Result<Value> integer_from_text(const Type& type, std::string_view text) {
  if (type.unit == "MiB") return TRY(parse_size(text)).value;
  if (type.unit == "MHz") return TRY(parse_mhz(text)).value;
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    return refuse(fmt::format("'{}' is no whole number", text));
  return value;
}

Result<Value> double_from_text(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size())
    return refuse(fmt::format("'{}' is no number", text));
  return value;
}

Result<Value> bool_from_text(std::string_view text) {
  constexpr std::array<std::string_view, 4> kTrue = {"true", "yes", "on", "1"};
  constexpr std::array<std::string_view, 4> kFalse = {"false", "no", "off", "0"};
  if (std::ranges::find(kTrue, text) != kTrue.end()) return true;
  if (std::ranges::find(kFalse, text) != kFalse.end()) return false;
  return refuse(fmt::format("'{}' is neither true nor false", text));
}

Result<Value> enum_from_text(const Type& type, std::string_view text) {
  std::vector<std::string_view> known;
  for (const EnumValue& value : type.values) known.push_back(value.name);
  if (std::ranges::find(known, text) != known.end()) return text;
  return refuse(fmt::format("'{}' is no {}{}", text, type.name, near_hint(text, known)));
}

Result<Value> list_from_text(const Type& element, std::string_view text) {
  Value out = Value::list();
  if (element.kind == Kind::kStruct) {
    out.push(TRY(struct_from_text(element, text)));
    return out;
  }
  for (const std::string& part : split_commas(text)) out.push(TRY(value_from_text(element, part)));
  return out;
}

bool is_json(const Type& type, std::string_view text) {
  bool holds = type.kind == Kind::kStruct || type.kind == Kind::kList || type.kind == Kind::kMap;
  return holds && (text.starts_with('{') || text.starts_with('['));
}

}  // namespace

Result<Value> value_from_text(const Type& type, std::string_view text) {
  if (is_json(type, text)) return parse_json(text);
  switch (type.kind) {
    case Kind::kBool:
      return bool_from_text(text);
    case Kind::kInt:
      return integer_from_text(type, text);
    case Kind::kDouble:
      return double_from_text(text);
    case Kind::kDuration:
      // Divided, not multiplied: 120 s must come out as 120.
      return static_cast<double>(TRY(parse_duration(text)).count()) / 1e9;
    case Kind::kEnum:
      return enum_from_text(type, text);
    case Kind::kStruct:
      return struct_from_text(type, text);
    case Kind::kList:
      return list_from_text(unwrap(type.element()), text);
    case Kind::kMap:
      return map_from_text(type, text);
    case Kind::kOptional:
      return value_from_text(type.element(), text);
    case Kind::kString:
    case Kind::kTime:
      break;
  }
  return text;
}

Result<Value> struct_from_text(const Type& type, std::string_view text) {
  Value out = Value::object();
  for (const std::string& part : split_commas(text)) {
    std::size_t equals = part.find('=');
    std::string_view key = std::string_view(part).substr(0, equals);
    const Field* field = type.find(key);
    if (field == nullptr || field->limits.read_only)
      return refuse(fmt::format("{} has no field '{}'{}", type.name, key,
                                near_hint(key, input_fields(type))));
    if (out.find(key)) return refuse(fmt::format("'{}' comes twice", key));
    bool alone = equals == std::string::npos;
    if (alone && unwrap(field->type()).kind != Kind::kBool)
      return refuse(fmt::format("'{}' needs a value: {}=…", key, key));
    auto value =
        value_from_text(field->type(), alone ? "true" : std::string_view(part).substr(equals + 1));
    if (!value) return std::unexpected(value.error().within(key));
    out.member(key) = std::move(*value);
  }
  return out;
}

Result<Value> map_from_text(const Type& type, std::string_view text) {
  Value out = Value::object();
  for (const std::string& part : split_commas(text)) {
    std::size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0)
      return refuse(fmt::format("'{}' is no KEY=VALUE", part));
    out.member(part.substr(0, equals)) =
        TRY(value_from_text(type.element(), std::string_view(part).substr(equals + 1)));
  }
  return out;
}

namespace {

// The field at a dotted path; labels.x is the key x of a map.
Result<const Type*> type_at(const Type& root, const std::string& path) {
  const Type* here = &unwrap(root);
  std::string_view rest = path;
  while (!rest.empty()) {
    std::size_t end = rest.find('/');
    std::string_view part = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    if (here->kind == Kind::kMap) {
      here = &unwrap(here->element());
      continue;
    }
    const Field* field = here->kind == Kind::kStruct ? here->find(part) : nullptr;
    if (field == nullptr)
      return refuse(
          fmt::format("there is no field '{}'{}", part, near_hint(part, input_fields(*here))));
    if (field->limits.read_only) return refuse(fmt::format("'{}' is set by Chorok alone", part));
    here = &unwrap(field->type());
  }
  return here;
}

}  // namespace

Result<> set_from_text(Value& object, const Type& root, std::string_view assignment) {
  std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return refuse(fmt::format("'{}' is no FIELD=VALUE, such as spec.notes=hello", assignment));
  std::string path(assignment.substr(0, equals));
  std::ranges::replace(path, '.', '/');
  // What people mean by "notes" or "labels.x": they live in meta.
  if (root.find(path.substr(0, path.find('/'))) == nullptr) {
    for (std::string_view inside : {"meta", "spec"})
      if (const Field* field = root.find(inside);
          field && unwrap(field->type()).find(path.substr(0, path.find('/')))) {
        path = std::string(inside) + "/" + path;
        break;
      }
  }
  const Type* type = TRY(type_at(root, path));
  std::string_view text = assignment.substr(equals + 1);
  object.make(path) = text.empty() ? Value{} : TRY(value_from_text(*type, text));
  return {};
}

Result<Value> object_from_people(const Type& type, Value value, const std::string& path) {
  const Type& own = unwrap(type);
  bool is_quantity =
      own.kind == Kind::kInt || own.kind == Kind::kDouble || own.kind == Kind::kDuration;
  if (value.is_string() && is_quantity) {
    auto number = value_from_text(own, value.text());
    if (!number) return fail(Code::kInvalid, number.error().message, path);
    return number;
  }
  if (value.is_list() && own.kind == Kind::kList) {
    int index = 0;
    for (Value& item : value.edit_items())
      item = TRY(
          object_from_people(own.element(), std::move(item), fmt::format("{}/{}", path, index++)));
  } else if (value.is_object() && own.kind == Kind::kStruct) {
    for (Member& member : value.edit_members())
      if (const Field* field = own.find(member.key))
        member.value = TRY(object_from_people(field->type(), std::move(member.value),
                                              fmt::format("{}/{}", path, member.key)));
  }
  return value;
}

std::vector<std::string_view> input_fields(const Type& type) {
  std::vector<std::string_view> names;
  for (const Field& field : type.fields)
    if (!field.limits.read_only) names.push_back(field.name);
  return names;
}

std::vector<std::string> split_commas(std::string_view text) {
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',')
      parts.back() += text[++i];
    else if (text[i] == ',')
      parts.emplace_back();
    else
      parts.back() += text[i];
  }
  if (parts.size() == 1 && parts[0].empty()) parts.clear();
  return parts;
}

}  // namespace chorok::cli
