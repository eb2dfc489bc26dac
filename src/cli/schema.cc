#include "cli/schema.h"

#include <fmt/format.h>

#include <cmath>
#include <map>

#include "base/json.h"
#include "cli/quantity.h"

namespace chorok::cli {
namespace {

std::string_view pattern_words(Pattern pattern) {
  switch (pattern) {
    case Pattern::kName:
      return "a name (a-z A-Z 0-9 . _ -)";
    case Pattern::kId:
      return "letters, digits and '-'";
    case Pattern::kPath:
      return "a relative path";
    case Pattern::kMac:
      return "aa:bb:cc:dd:ee:ff";
    case Pattern::kText:
    case Pattern::kAny:
      return {};
  }
  return {};
}

void add(std::string& words, std::string_view more) {
  if (more.empty()) return;
  if (!words.empty()) words += ", ";
  words += more;
}

std::string range_words(const Type& type, const Limits& limits) {
  auto number = [&](double n) { return value_words(type, n); };
  bool low = std::isfinite(limits.min), high = std::isfinite(limits.max);
  if (low && high) return number(limits.min) + " .. " + number(limits.max);
  if (low) return "at least " + number(limits.min);
  return high ? "at most " + number(limits.max) : std::string{};
}

}  // namespace

const Type& unwrap(const Type& type) {
  return type.kind == Kind::kOptional ? unwrap(type.element()) : type;
}

std::optional<Place> resolve(const Type& type, std::string_view path) {
  Place place{&unwrap(type), nullptr};
  while (!path.empty()) {
    std::size_t end = path.find('/');
    std::string_view segment = path.substr(0, end);
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end + 1);
    while (place.type->kind == Kind::kList) place.type = &unwrap(place.type->element());
    if (place.type->kind == Kind::kMap) {
      place.type = &unwrap(place.type->element());
      continue;
    }
    place.field = place.type->find(segment);
    if (place.field == nullptr) return std::nullopt;
    place.type = &unwrap(place.field->type());
  }
  return place;
}

const Value& default_of(const Type& type) {
  static std::map<const Type*, Value> cache;  // the program has one thread that asks
  auto [it, is_new] = cache.try_emplace(&type);
  if (is_new && type.prototype != nullptr)
    it->second = parse_json(json::encode(type, type.prototype)).value_or(Value{});
  return it->second;
}

std::string value_words(const Type& type, const Value& value) {
  if (type.unit == "MiB") return human_mib(value.number());
  if (type.unit == "MHz") return human_mhz(value.number());
  if (type.unit == "bytes") return human_bytes(value.number());
  if (type.kind == Kind::kDuration) return human_seconds(value.number());
  std::string words = value.is_string() ? std::string(value.text()) : to_json(value);
  return type.unit.empty() ? words : fmt::format("{} {}", words, type.unit);
}

std::string type_words(const Type& type) {
  switch (type.kind) {
    case Kind::kList:
      return "list of " + type_words(type.element());
    case Kind::kMap:
      return "map of " + type_words(type.element());
    case Kind::kOptional:
      return type_words(type.element());
    case Kind::kTime:
      return "time";
    case Kind::kDuration:
      return "duration";
    case Kind::kEnum: {
      std::string names;
      for (const EnumValue& value : type.values)
        names += (names.empty() ? "" : "|") + std::string(value.name);
      return names;
    }
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kDouble:
    case Kind::kString:
    case Kind::kStruct:
      break;
  }
  return type.unit.empty() ? type.name : fmt::format("{} ({})", type.name, type.unit);
}

std::string limit_words(const Field& field) {
  const Type& type = unwrap(field.type());
  std::string words;
  if (field.limits.required) add(words, "required");
  if (field.limits.read_only) add(words, "read-only");
  if (field.limits.secret) add(words, "never shown");
  add(words, range_words(type, field.limits));
  if (type.kind == Kind::kString && !field.limits.read_only) {
    add(words, pattern_words(field.limits.pattern));
    add(words, fmt::format("at most {} bytes", field.limits.max_length));
  }
  if ((type.kind == Kind::kList || type.kind == Kind::kMap) && !field.limits.read_only)
    add(words, fmt::format("at most {}", field.limits.max_count));
  return words;
}

}  // namespace chorok::cli
