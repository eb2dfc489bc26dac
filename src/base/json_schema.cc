#include <fmt/format.h>

#include "base/json.h"

namespace chorok::json {
namespace {

std::string reference(const Type& type) {
  return fmt::format(R"({{"$ref":"#/components/schemas/{}"}})", type.name);
}

std::string_view pattern_regex(Pattern pattern) {
  switch (pattern) {
    case Pattern::kName:
      return "^[A-Za-z0-9][A-Za-z0-9._-]*$";
    case Pattern::kId:
      return "^[A-Za-z0-9-]*$";
    case Pattern::kMac:
      return "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$";
    case Pattern::kPath:
    case Pattern::kText:
    case Pattern::kAny:
      return {};
  }
  return {};
}

class Members {
 public:
  void add(std::string_view key, std::string_view json) {
    if (!text_.empty()) text_ += ',';
    text_ += quoted(key);
    text_ += ':';
    text_ += json;
  }
  std::string object() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

void add_range(Members& out, const Limits& limits) {
  if (std::isfinite(limits.min)) out.add("minimum", fmt::format("{}", limits.min));
  if (std::isfinite(limits.max)) out.add("maximum", fmt::format("{}", limits.max));
}

// What a field is when it is left out. Of lists, maps and structs that goes without saying, a time
// is never, and a field that is required has none.
bool has_plain_default(const Field& field) {
  if (field.limits.required || field.limits.read_only || field.limits.secret) return false;
  switch (field.type().kind) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kDouble:
    case Kind::kDuration:
    case Kind::kString:
    case Kind::kEnum:
      return true;
    default:
      return false;
  }
}

void value_schema(Members& out, const Type& type, const Limits& limits);

std::string element_schema(const Type& type, const Limits& limits) {
  if (type.kind == Kind::kStruct || type.kind == Kind::kEnum) return reference(type);
  Members out;
  value_schema(out, type, limits);
  return out.object();
}

void value_schema(Members& out, const Type& type, const Limits& limits) {
  switch (type.kind) {
    case Kind::kBool:
      out.add("type", R"("boolean")");
      break;
    case Kind::kInt:
      out.add("type", R"("integer")");
      add_range(out, limits);
      break;
    case Kind::kDouble:
    case Kind::kDuration:
      out.add("type", R"("number")");
      add_range(out, limits);
      break;
    case Kind::kTime:
      out.add("type", R"("string")");
      out.add("format", R"("date-time")");
      break;
    case Kind::kString:
      out.add("type", R"("string")");
      out.add("maxLength", std::to_string(limits.max_length));
      if (auto regex = pattern_regex(limits.pattern); !regex.empty())
        out.add("pattern", quoted(regex));
      break;
    case Kind::kEnum:
    case Kind::kStruct:
      out.add("$ref", quoted("#/components/schemas/" + type.name));
      break;
    case Kind::kList:
      out.add("type", R"("array")");
      out.add("maxItems", std::to_string(limits.max_count));
      out.add("items", element_schema(type.element(), limits));
      break;
    case Kind::kMap:
      out.add("type", R"("object")");
      out.add("maxProperties", std::to_string(limits.max_count));
      out.add("additionalProperties", element_schema(type.element(), limits));
      break;
    case Kind::kOptional:
      value_schema(out, type.element(), limits);
      break;
  }
  if (!type.unit.empty()) out.add("x-unit", quoted(type.unit));
}

}  // namespace

std::string schema(const Type& type) {
  Members out;
  if (type.kind == Kind::kEnum) {
    out.add("type", R"("string")");
    if (!type.doc.empty()) out.add("description", quoted(type.doc));
    std::string names;
    for (const EnumValue& value : type.values)
      names += (names.empty() ? "" : ",") + quoted(value.name);
    out.add("enum", "[" + names + "]");
    return out.object();
  }
  if (type.kind != Kind::kStruct) {
    value_schema(out, type, Limits{});
    return out.object();
  }
  out.add("type", R"("object")");
  if (!type.doc.empty()) out.add("description", quoted(type.doc));
  Members properties;
  std::string required;
  for (const Field& field : type.fields) {
    Members property;
    value_schema(property, field.type(), field.limits);
    if (!field.doc.empty()) property.add("description", quoted(field.doc));
    if (type.prototype != nullptr && has_plain_default(field))
      property.add("default", encode(field.type(), field_at(field, type.prototype)));
    if (field.limits.read_only) property.add("readOnly", "true");
    if (field.limits.secret) property.add("writeOnly", "true");
    properties.add(field.name, property.object());
    if (field.limits.required) required += (required.empty() ? "" : ",") + quoted(field.name);
  }
  out.add("properties", properties.object());
  if (!required.empty()) out.add("required", "[" + required + "]");
  out.add("additionalProperties", "false");
  return out.object();
}

}  // namespace chorok::json
