#include "cli/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/json.h"

namespace chorok::cli {
namespace {

constexpr int kMaxDepth = 64;                 // what the API takes goes 32 deep
constexpr std::size_t kMaxNodes = 1'000'000;  // an alias can stand for a million nodes

// What YAML 1.2's core schema makes of a plain scalar; nothing: a string.
std::optional<Value> plain_value(std::string_view text) {
  constexpr std::array<std::string_view, 5> kNulls = {"", "~", "null", "Null", "NULL"};
  constexpr std::array<std::string_view, 3> kTrue = {"true", "True", "TRUE"};
  constexpr std::array<std::string_view, 3> kFalse = {"false", "False", "FALSE"};
  auto has = [&](auto& list) { return std::ranges::find(list, text) != list.end(); };
  if (has(kNulls)) return Value{};
  if (has(kTrue)) return Value{true};
  if (has(kFalse)) return Value{false};
  const char* end = text.data() + text.size();
  std::int64_t integer = 0;
  if (auto [stop, error] = std::from_chars(text.data(), end, integer);
      error == std::errc{} && stop == end)
    return Value{integer};
  bool numeric = text.find_first_not_of("0123456789+-.eE") == std::string_view::npos;
  double number = 0;
  if (auto [stop, error] = std::from_chars(text.data(), end, number);
      numeric && error == std::errc{} && stop == end)
    return Value{number};
  return std::nullopt;
}

// Words that YAML 1.1 readers take for booleans, and times and other bases that they take for
// numbers: quoted, so that every reader gets the string.
bool looks_special(std::string_view text) {
  constexpr std::array<std::string_view, 11> kWords = {
      "y", "n", "yes", "no", "on", "off", "true", "false", "null", ".nan", ".inf"};
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (std::ranges::find(kWords, lower) != kWords.end()) return true;
  return !text.empty() &&
         (std::isdigit(static_cast<unsigned char>(text[0])) || text[0] == '+' || text[0] == '.' ||
          text[0] == '-') &&
         text.find_first_not_of("0123456789abcdefABCDEFxoXOTZ:+-._ ") == std::string_view::npos;
}

bool needs_quotes(std::string_view text) {
  if (text.empty() || plain_value(text) || looks_special(text)) return true;
  if (std::string_view("-?:,[]{}#&*!|>'\"%@`= ").find(text[0]) != std::string_view::npos)
    return true;
  if (text.back() == ' ' || text.back() == ':') return true;
  if (text.find(": ") != std::string_view::npos || text.find(" #") != std::string_view::npos)
    return true;
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

// JSON's quoting is YAML's double quoting.
std::string scalar(std::string_view text) {
  return needs_quotes(text) ? json::quoted(text) : std::string(text);
}

bool is_block(std::string_view text) {
  return text.find('\n') != std::string_view::npos && text[0] != ' ' && text[0] != '\n' &&
         std::ranges::none_of(text,
                              [](unsigned char c) { return (c < 0x20 && c != '\n') || c == 0x7F; });
}

void write_block(std::string& out, std::string_view text, int depth) {
  bool ends = text.ends_with('\n');
  bool keeps = text.ends_with("\n\n");
  out += keeps ? "|+" : ends ? "|" : "|-";
  if (ends) text.remove_suffix(1);
  std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
  out += '\n';
  while (true) {
    std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (!line.empty()) out.append(indent).append(line);
    out += '\n';
    if (end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

void write(std::string& out, const Value& value, int depth);

void write_nested(std::string& out, const Value& value, int depth) {
  bool nests = (value.is_list() || value.is_object()) && !value.is_empty();
  if (nests) {
    out += '\n';
    write(out, value, depth);
  } else {
    out += ' ';
    write(out, value, depth);
  }
}

void write_list(std::string& out, const Value& value, int depth) {
  std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
  for (const Value& item : value.items()) {
    out += indent + "-";
    if (item.is_object() && !item.is_empty()) {
      std::string inner;
      write(inner, item, depth + 1);
      out += ' ' + inner.substr(indent.size() + 2);
    } else {
      write_nested(out, item, depth + 1);
    }
  }
}

void write(std::string& out, const Value& value, int depth) {
  if (value.is_list() && !value.is_empty()) {
    write_list(out, value, depth);
  } else if (value.is_object() && !value.is_empty()) {
    for (const Member& member : value.members()) {
      out.append(static_cast<std::size_t>(depth) * 2, ' ');
      out += scalar(member.key) + ":";
      write_nested(out, member.value, depth + 1);
    }
  } else if (value.is_string() && is_block(value.text())) {
    write_block(out, value.text(), std::max(depth, 1));
  } else {
    out += value.is_string() ? scalar(value.text()) : to_json(value);
    out += '\n';
  }
}

class Reader {
 public:
  Result<Value> read(const YAML::Node& node, int depth) {
    if (depth > kMaxDepth || ++nodes_ > kMaxNodes)
      return fail(Code::kInvalid, "this YAML is nested too deeply or too large");
    if (node.IsScalar()) {
      bool quoted = node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str";
      auto plain = quoted ? std::nullopt : plain_value(node.Scalar());
      return plain ? *plain : Value{node.Scalar()};
    }
    if (node.IsSequence()) {
      Value out = Value::list();
      for (const YAML::Node& item : node) out.push(TRY(read(item, depth + 1)));
      return out;
    }
    if (!node.IsMap()) return Value{};
    Value out = Value::object();
    for (const auto& item : node) {
      if (!item.first.IsScalar()) return fail(Code::kInvalid, "a key of this YAML is no text");
      const std::string& key = item.first.Scalar();
      if (out.find(key)) return fail(Code::kInvalid, fmt::format("the key '{}' comes twice", key));
      out.member(key) = TRY(read(item.second, depth + 1));
    }
    return out;
  }

 private:
  std::size_t nodes_ = 0;
};

}  // namespace

std::string to_yaml(const Value& value) {
  std::string out;
  write(out, value, 0);
  return out;
}

Result<Value> parse_yaml(std::string_view text) {
  try {
    return Reader().read(YAML::Load(std::string(text)), 0);
  } catch (const YAML::ParserException& error) {
    return fail(Code::kInvalid, fmt::format("line {}, column {}: {}", error.mark.line + 1,
                                            error.mark.column + 1, error.msg));
  } catch (const YAML::Exception& error) {
    return fail(Code::kInvalid, error.what());
  }
}

}  // namespace chorok::cli
