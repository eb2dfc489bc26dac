// A JSON value as the CLI passes it about: what the API answered, on its way to a table, YAML or
// CSV, and what flags and files make, on its way to the API. Members keep the order they came in.
// A number comes
// out as it went in: Boost.JSON 1.81 rounds doubles wrongly in the last place, and `-o json` is to
// be the API's JSON, so value_parse.cc has its own parser.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace chorok::cli {

struct Member;

class Value {
 public:
  using List = std::vector<Value>;
  using Object = std::vector<Member>;

  // NOLINTBEGIN(google-explicit-constructor): a Value is what it is made from
  Value();
  Value(bool value);
  Value(std::int64_t value);
  Value(int value);
  Value(double value);
  Value(std::string value);
  Value(std::string_view value);
  Value(const char* value);
  Value(List value);
  Value(Object value);
  // NOLINTEND(google-explicit-constructor)
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();
  static Value object(std::initializer_list<Member> members = {});
  static Value list(std::initializer_list<Value> items = {});

  bool is_null() const;
  bool is_bool() const;
  bool is_int() const;
  bool is_number() const;  // int or double
  bool is_string() const;
  bool is_list() const;
  bool is_object() const;
  // Null, "", [] or {}: nothing a person would want to read.
  bool is_empty() const;

  // The value, or what is given when it is of another kind.
  std::string_view text(std::string_view otherwise = {}) const;
  double number(double otherwise = 0) const;
  std::int64_t integer(std::int64_t otherwise = 0) const;
  bool boolean(bool otherwise = false) const;
  // Empty when it is of another kind.
  const List& items() const;
  const Object& members() const;

  const Value* find(std::string_view key) const;  // of an object, or null
  const Value* at(std::string_view path) const;   // "status/ips/0", or null
  const Value& get(std::string_view path) const;  // the null Value when there is none
  // Makes objects on the way; what was no object becomes one.
  Value& make(std::string_view path);
  Value& member(std::string_view key);  // added when missing
  void push(Value item);                // what was no list becomes one
  bool remove(std::string_view key);
  List& edit_items();      // of a list
  Object& edit_members();  // of an object

  friend bool operator==(const Value& a, const Value& b);

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, List, Object> data_;
};

struct Member {
  std::string key;
  Value value;
  friend bool operator==(const Member&, const Member&) = default;
};

Result<Value> parse_json(std::string_view text);
std::string to_json(const Value& value, bool pretty = false);
// A double as JSON and YAML write it: the shortest text that reads back as the same number.
std::string number_text(double value);

}  // namespace chorok::cli
