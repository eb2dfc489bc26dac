#include "cli/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/json.h"

namespace chorok::cli {
namespace {

const Value kNull;

std::string_view take_segment(std::string_view& path) {
  std::size_t end = path.find('/');
  std::string_view segment = path.substr(0, end);
  path = end == std::string_view::npos ? std::string_view{} : path.substr(end + 1);
  return segment;
}

const Value* step(const Value& value, std::string_view segment) {
  if (value.is_object()) return value.find(segment);
  std::size_t index = 0;
  auto [end, error] = std::from_chars(segment.data(), segment.data() + segment.size(), index);
  bool is_index = error == std::errc{} && end == segment.data() + segment.size();
  return is_index && index < value.items().size() ? &value.items()[index] : nullptr;
}

}  // namespace

Value::Value() = default;
Value::Value(bool value) : data_(value) {}
Value::Value(std::int64_t value) : data_(value) {}
Value::Value(int value) : data_(static_cast<std::int64_t>(value)) {}
Value::Value(double value) : data_(value) {}
Value::Value(std::string value) : data_(std::move(value)) {}
Value::Value(std::string_view value) : data_(std::string(value)) {}
Value::Value(const char* value) : data_(std::string(value)) {}
Value::Value(List value) : data_(std::move(value)) {}
Value::Value(Object value) : data_(std::move(value)) {}
Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

bool Value::is_null() const {
  return std::holds_alternative<std::monostate>(data_);
}
bool Value::is_bool() const {
  return std::holds_alternative<bool>(data_);
}
bool Value::is_int() const {
  return std::holds_alternative<std::int64_t>(data_);
}
bool Value::is_number() const {
  return is_int() || std::holds_alternative<double>(data_);
}
bool Value::is_string() const {
  return std::holds_alternative<std::string>(data_);
}
bool Value::is_list() const {
  return std::holds_alternative<List>(data_);
}
bool Value::is_object() const {
  return std::holds_alternative<Object>(data_);
}
Value::List& Value::edit_items() {
  return std::get<List>(data_);
}
Value::Object& Value::edit_members() {
  return std::get<Object>(data_);
}

Value Value::object(std::initializer_list<Member> members) {
  return Object(members);
}
Value Value::list(std::initializer_list<Value> items) {
  return List(items);
}

bool operator==(const Value& a, const Value& b) {
  return a.data_ == b.data_;
}

bool Value::is_empty() const {
  if (is_null()) return true;
  if (is_string()) return text().empty();
  if (is_list()) return items().empty();
  return is_object() && members().empty();
}

std::string_view Value::text(std::string_view otherwise) const {
  const auto* held = std::get_if<std::string>(&data_);
  return held ? std::string_view(*held) : otherwise;
}

double Value::number(double otherwise) const {
  if (const auto* held = std::get_if<double>(&data_)) return *held;
  const auto* held = std::get_if<std::int64_t>(&data_);
  return held ? static_cast<double>(*held) : otherwise;
}

std::int64_t Value::integer(std::int64_t otherwise) const {
  if (const auto* held = std::get_if<std::int64_t>(&data_)) return *held;
  const auto* held = std::get_if<double>(&data_);
  return held && std::abs(*held) < 9e18 ? static_cast<std::int64_t>(*held) : otherwise;
}

bool Value::boolean(bool otherwise) const {
  const auto* held = std::get_if<bool>(&data_);
  return held ? *held : otherwise;
}

const Value::List& Value::items() const {
  static const List kNone;
  const auto* held = std::get_if<List>(&data_);
  return held ? *held : kNone;
}

const Value::Object& Value::members() const {
  static const Object kNone;
  const auto* held = std::get_if<Object>(&data_);
  return held ? *held : kNone;
}

const Value* Value::find(std::string_view key) const {
  const Object& all = members();
  auto it = std::ranges::find(all, key, &Member::key);
  return it == all.end() ? nullptr : &it->value;
}

const Value* Value::at(std::string_view path) const {
  const Value* here = this;
  while (here && !path.empty()) here = step(*here, take_segment(path));
  return here;
}

const Value& Value::get(std::string_view path) const {
  const Value* found = at(path);
  return found ? *found : kNull;
}

Value& Value::member(std::string_view key) {
  if (!is_object()) data_ = Object{};
  Object& all = edit_members();
  auto it = std::ranges::find(all, key, &Member::key);
  if (it == all.end()) it = all.insert(all.end(), Member{std::string(key), {}});
  return it->value;
}

Value& Value::make(std::string_view path) {
  Value* here = this;
  while (!path.empty()) here = &here->member(take_segment(path));
  return *here;
}

void Value::push(Value item) {
  if (!is_list()) data_ = List{};
  edit_items().push_back(std::move(item));
}

bool Value::remove(std::string_view key) {
  return is_object() &&
         std::erase_if(edit_members(), [&](const Member& m) { return m.key == key; }) > 0;
}

namespace {

void new_line(std::string& out, bool pretty, int depth) {
  if (pretty) out.append("\n").append(static_cast<std::size_t>(depth) * 2, ' ');
}

void write_json(std::string& out, const Value& value, bool pretty, int depth) {
  if (value.is_null()) {
    out += "null";
  } else if (value.is_bool()) {
    out += value.boolean() ? "true" : "false";
  } else if (value.is_int()) {
    out += fmt::format("{}", value.integer());
  } else if (value.is_number()) {
    out += number_text(value.number());
  } else if (value.is_string()) {
    out += json::quoted(value.text());
  } else if (value.is_empty()) {
    out += value.is_list() ? "[]" : "{}";
  } else {
    bool is_list = value.is_list();
    out += is_list ? '[' : '{';
    std::string_view separator;
    for (const Value& item : value.items()) {
      out += std::exchange(separator, ",");
      new_line(out, pretty, depth + 1);
      write_json(out, item, pretty, depth + 1);
    }
    for (const Member& member : value.members()) {
      out += std::exchange(separator, ",");
      new_line(out, pretty, depth + 1);
      out += json::quoted(member.key) + (pretty ? ": " : ":");
      write_json(out, member.value, pretty, depth + 1);
    }
    new_line(out, pretty, depth);
    out += is_list ? ']' : '}';
  }
}

}  // namespace

std::string number_text(double value) {
  if (!std::isfinite(value)) return "null";
  std::string text = fmt::format("{}", value);
  return text;
}

std::string to_json(const Value& value, bool pretty) {
  std::string out;
  write_json(out, value, pretty, 0);
  return out;
}

}  // namespace chorok::cli
