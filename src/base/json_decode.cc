#include <fmt/format.h>

#include <boost/json.hpp>
#include <cmath>
#include <optional>

#include "base/json.h"
#include "base/json_parse.h"

namespace chorok::json {
namespace {

namespace bj = boost::json;

std::string escape_pointer(std::string_view token) {
  std::string out;
  for (char c : token) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
  return out;
}

std::string_view kind_of(const bj::value& value) {
  switch (value.kind()) {
    case bj::kind::null:
      return "null";
    case bj::kind::bool_:
      return "a boolean";
    case bj::kind::int64:
    case bj::kind::uint64:
    case bj::kind::double_:
      return "a number";
    case bj::kind::string:
      return "a string";
    case bj::kind::array:
      return "a list";
    case bj::kind::object:
      return "an object";
  }
  return "a value";
}

bool valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i]);
    std::size_t length = lead < 0x80                   ? 1
                         : lead >= 0xc2 && lead < 0xe0 ? 2
                         : (lead & 0xf0) == 0xe0       ? 3
                         : lead >= 0xf0 && lead < 0xf5 ? 4
                                                       : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return false;
    i += length;
  }
  return true;
}

bool alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Empty when `text` fits, else what is wrong with it.
std::string pattern_error(Pattern pattern, std::string_view text) {
  if (!valid_utf8(text)) return "is not UTF-8";
  switch (pattern) {
    case Pattern::kAny:
      return {};
    case Pattern::kText:
      for (char c : text)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
          return "holds a control character";
      return {};
    case Pattern::kName:
      if (text.empty()) return {};
      if (!alnum(text[0])) return "must start with a letter or a digit";
      for (char c : text)
        if (!alnum(c) && c != '.' && c != '_' && c != '-')
          return "may hold letters, digits, '.', '_' and '-' only";
      return {};
    case Pattern::kId:
      for (char c : text)
        if (!alnum(c) && c != '-') return "is not an id (letters, digits and '-')";
      return {};
    case Pattern::kPath: {
      if (text.empty()) return {};
      if (text.starts_with('/')) return "must be a path relative to its datastore";
      for (char c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return "holds a control character";
      for (std::size_t begin = 0; begin <= text.size();) {
        std::size_t end = std::min(text.find('/', begin), text.size());
        std::string_view part = text.substr(begin, end - begin);
        if (part.empty() || part == "." || part == "..")
          return "may not hold empty, '.' or '..' parts";
        begin = end + 1;
      }
      return {};
    }
    case Pattern::kMac:
      if (text.empty()) return {};
      if (text.size() != 17) return "is not a MAC address like 52:54:00:12:34:56";
      for (std::size_t i = 0; i < text.size(); ++i) {
        bool hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f') ||
                   (text[i] >= 'A' && text[i] <= 'F');
        if (i % 3 == 2 ? text[i] != ':' : !hex)
          return "is not a MAC address like 52:54:00:12:34:56";
      }
      return {};
  }
  return {};
}

class Decoder {
 public:
  Decoder(const DecodeOptions& options, bool merging) : options_(options), merging_(merging) {}

  Result<> value(const Type& type, void* object, const bj::value& in, const Limits& limits) {
    return value(type, object, in, limits, type.prototype);
  }

 private:
  // `defaults`: of a struct, what null makes of its fields; within another struct, what that one
  // has.
  Result<> value(const Type& type, void* object, const bj::value& in, const Limits& limits,
                 const void* defaults) {
    switch (type.kind) {
      case Kind::kBool:
        return boolean(type, object, in);
      case Kind::kInt:
        return integer(type, object, in, limits);
      case Kind::kDouble:
      case Kind::kDuration:
        return number(type, object, in, limits);
      case Kind::kString:
        return string(object, in, limits);
      case Kind::kEnum:
        return enumerator(type, object, in);
      case Kind::kTime:
        return time(type, object, in);
      case Kind::kStruct:
        return structure(type, object, in, defaults);
      case Kind::kList:
        return list(type, object, in, limits);
      case Kind::kMap:
        return map(type, object, in, limits);
      case Kind::kOptional:
        return optional(type, object, in, limits);
    }
    return {};
  }

  std::string pointer() const {
    std::string out;
    for (const std::string& part : path_) out += "/" + part;
    return out;
  }
  Unexpected bad(std::string message) const {
    return fail(Code::kInvalid, std::move(message), pointer());
  }
  Unexpected wrong_kind(std::string_view wanted, const bj::value& in) const {
    return bad(fmt::format("expected {}, got {}", wanted, kind_of(in)));
  }

  Result<> boolean(const Type& type, void* object, const bj::value& in) {
    if (!in.is_bool()) return wrong_kind("true or false", in);
    type.access.set_int(object, in.get_bool() ? 1 : 0);
    return {};
  }

  Result<> check_range(double number, const Limits& limits, std::string_view unit) {
    if (options_.stored || (number >= limits.min && number <= limits.max)) return {};
    std::string suffix = unit.empty() ? "" : fmt::format(" {}", unit);
    if (number < limits.min)
      return bad(fmt::format("{} is too small; the least is {}{}", number, limits.min, suffix));
    return bad(fmt::format("{} is too large; the most is {}{}", number, limits.max, suffix));
  }

  Result<> integer(const Type& type, void* object, const bj::value& in, const Limits& limits) {
    std::int64_t number = 0;
    if (in.is_int64()) {
      number = in.get_int64();
    } else if (in.is_double() && std::trunc(in.get_double()) == in.get_double() &&
               std::abs(in.get_double()) < 9e15) {
      number = static_cast<std::int64_t>(in.get_double());
    } else if (in.is_number()) {
      return bad("expected a whole number");
    } else {
      return wrong_kind("a whole number", in);
    }
    if (number < type.int_min || number > type.int_max)
      return bad(fmt::format("{} does not fit; it must be between {} and {}", number, type.int_min,
                             type.int_max));
    TRY(check_range(static_cast<double>(number), limits, type.unit));
    type.access.set_int(object, number);
    return {};
  }

  Result<> number(const Type& type, void* object, const bj::value& in, const Limits& limits) {
    if (in.is_null()) return {};
    if (!in.is_number()) return wrong_kind("a number", in);
    double number = in.to_number<double>();
    // Also in stored records: no program of ours writes one.
    if (!std::isfinite(number)) return bad("is larger than any number that can be kept");
    if (number == 0) number = 0;  // "-0" and what is too small to keep are zero
    TRY(check_range(number, limits, type.unit));
    if (type.kind == Kind::kDouble) {
      type.access.set_double(object, number);
      return {};
    }
    constexpr double kLongest = 9.2e9;  // seconds that fit an int64 of nanoseconds
    if (std::abs(number) > kLongest) return bad("a duration is at most 292 years");
    type.access.set_int(object, from_seconds(number).count());
    return {};
  }

  Result<> string(void* object, const bj::value& in, const Limits& limits) {
    if (!in.is_string()) return wrong_kind("a string", in);
    std::string_view text = in.get_string();
    if (!options_.stored) {
      if (text.size() > limits.max_length)
        return bad(fmt::format("is {} bytes long; the most is {}", text.size(), limits.max_length));
      if (std::string wrong = pattern_error(limits.pattern, text); !wrong.empty())
        return bad(fmt::format("'{}' {}", text.substr(0, 64), wrong));
    }
    *static_cast<std::string*>(object) = text;
    return {};
  }

  Result<> enumerator(const Type& type, void* object, const bj::value& in) {
    if (!in.is_string()) return wrong_kind("a string", in);
    std::string_view text = in.get_string();
    std::vector<std::string_view> names;
    for (const EnumValue& candidate : type.values) {
      if (candidate.name == text) {
        type.access.set_int(object, candidate.value);
        return {};
      }
      names.push_back(candidate.name);
    }
    if (options_.stored) return {};
    std::string_view close = nearest(text, names);
    return bad(fmt::format("'{}' is not one of {}{}", text.substr(0, 64), fmt::join(names, ", "),
                           close.empty() ? "" : fmt::format("; did you mean '{}'?", close)));
  }

  Result<> time(const Type& type, void* object, const bj::value& in) {
    if (!in.is_string()) return wrong_kind("a time", in);
    auto parsed = parse_time(in.get_string());
    if (!parsed) return bad(parsed.error().message);
    type.access.set_int(object, parsed->time_since_epoch().count());
    return {};
  }

  Result<> structure(const Type& type, void* object, const bj::value& in, const void* defaults) {
    if (!in.is_object()) return wrong_kind("an object", in);
    const bj::object& members = in.get_object();
    for (const auto& member : members) {
      std::string_view name = member.key();
      path_.push_back(escape_pointer(name));
      const Field* field = type.find(name);
      if (field == nullptr) {
        if (!options_.stored) return unknown_field(type, name);
      } else if (options_.stored || !field->limits.read_only) {
        TRY(set_field(*field, object, member.value(), defaults));
      }
      path_.pop_back();
    }
    if (merging_ || options_.stored) return {};
    for (const Field& field : type.fields) {
      if (!field.limits.required || members.contains(field.name)) continue;
      path_.emplace_back(field.name);
      return bad(fmt::format("is missing; {} needs it: {}", type.name, field.doc));
    }
    return {};
  }

  Result<> set_field(const Field& field, void* object, const bj::value& in, const void* defaults) {
    const Type& type = field.type();
    void* at = field_at(field, object);
    const void* usual = defaults == nullptr ? nullptr : field_at(field, defaults);
    if (in.is_null() && type.kind != Kind::kOptional) {
      if (field.limits.required && !options_.stored) return bad("may not be null");
      reset(type, at, usual);
      return {};
    }
    if (type.kind == Kind::kStruct) return structure(type, at, in, usual);
    return value(type, at, in, field.limits);
  }

  // To the default of the C++ struct; containers become empty.
  static void reset(const Type& type, void* at, const void* prototype) {
    switch (type.kind) {
      case Kind::kBool:
      case Kind::kInt:
      case Kind::kTime:
      case Kind::kDuration:
      case Kind::kEnum:
        type.access.set_int(at, prototype == nullptr ? 0 : type.access.get_int(prototype));
        return;
      case Kind::kDouble:
        type.access.set_double(at, prototype == nullptr ? 0 : type.access.get_double(prototype));
        return;
      case Kind::kString:
        if (prototype == nullptr) {
          static_cast<std::string*>(at)->clear();
        } else {
          *static_cast<std::string*>(at) = *static_cast<const std::string*>(prototype);
        }
        return;
      case Kind::kList:
      case Kind::kMap:
      case Kind::kOptional:
        type.access.clear(at);
        return;
      case Kind::kStruct:
        for (const Field& field : type.fields)
          reset(field.type(), field_at(field, at),
                prototype == nullptr ? nullptr : field_at(field, prototype));
        return;
    }
  }

  Unexpected unknown_field(const Type& type, std::string_view name) const {
    std::vector<std::string_view> names;
    for (const Field& field : type.fields) names.push_back(field.name);
    std::string_view close = nearest(name, names);
    if (!close.empty())
      return bad(fmt::format("{} has no field '{}'; did you mean '{}'?", type.name,
                             name.substr(0, 64), close));
    return bad(fmt::format("{} has no field '{}'; it has {}", type.name, name.substr(0, 64),
                           fmt::join(names, ", ")));
  }

  Result<> check_count(std::size_t count, const Limits& limits) const {
    if (options_.stored || count <= limits.max_count) return {};
    return bad(fmt::format("has {} elements; the most is {}", count, limits.max_count));
  }

  Result<> list(const Type& type, void* object, const bj::value& in, const Limits& limits) {
    if (!in.is_array()) return wrong_kind("a list", in);
    const bj::array& elements = in.get_array();
    TRY(check_count(elements.size(), limits));
    type.access.clear(object);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      path_.push_back(std::to_string(i));
      TRY(value(type.element(), type.access.append(object, {}), elements[i],
                element_limits(limits)));
      path_.pop_back();
    }
    return {};
  }

  Result<> map(const Type& type, void* object, const bj::value& in, const Limits& limits) {
    if (!in.is_object()) return wrong_kind("an object", in);
    const bj::object& members = in.get_object();
    TRY(check_count(members.size(), limits));
    if (!merging_) type.access.clear(object);
    constexpr std::size_t kLongestKey = 128;
    for (const auto& member : members) {
      std::string_view name = member.key();
      path_.push_back(escape_pointer(name));
      if (merging_ && member.value().is_null()) {
        type.access.erase(object, name);
        path_.pop_back();
        continue;
      }
      if (!options_.stored && (name.empty() || name.size() > kLongestKey))
        return bad(fmt::format("a key has 1 to {} bytes", kLongestKey));
      if (std::string wrong = pattern_error(Pattern::kText, name);
          !options_.stored && !wrong.empty())
        return bad(fmt::format("the key {}", wrong));
      TRY(value(type.element(), type.access.append(object, name), member.value(),
                element_limits(limits)));
      path_.pop_back();
    }
    return {};
  }

  // The limits of a list's field speak of its strings and numbers too; only the count is its own.
  static Limits element_limits(Limits limits) {
    limits.required = false;
    return limits;
  }

  Result<> optional(const Type& type, void* object, const bj::value& in, const Limits& limits) {
    if (in.is_null()) {
      type.access.clear(object);
      return {};
    }
    bool keep = merging_ && type.element().kind == Kind::kStruct && type.access.count(object) > 0;
    void* at = keep ? const_cast<void*>(type.access.at(object, 0)) : type.access.append(object, {});
    return value(type.element(), at, in, limits);
  }

  const DecodeOptions& options_;
  bool merging_;
  std::vector<std::string> path_;
};

// Where a document that is not JSON went wrong: a JSON pointer to the value that was being read, or
// to the nearest one around it that can be named. Reads `text`, which is correct but for its end,
// and keeps only keys.
class Scan {
 public:
  explicit Scan(std::string_view text) : text_(text) {
    while (at_ < text_.size()) step();
  }
  std::string pointer() const {
    constexpr std::size_t kLongest = 256;
    std::string out;
    for (const Level& level : levels_) {
      if (!level.is_list && !level.key) break;
      std::string part =
          "/" + (level.is_list ? std::to_string(level.index) : escape_pointer(*level.key));
      if (out.size() + part.size() > kLongest) break;
      out += part;
    }
    return out;
  }

 private:
  struct Level {
    bool is_list = false;
    bool key_is_next = true;
    std::size_t index = 0;
    std::optional<std::string_view> key;
  };

  void step() {
    char c = text_[at_++];
    if (c == '{' || c == '[') levels_.push_back(Level{.is_list = c == '['});
    if (c == '"') string();
    if (levels_.empty()) return;
    Level& level = levels_.back();
    if (c == '}' || c == ']') levels_.pop_back();
    if (c != ',') return;
    ++level.index;
    level.key_is_next = true;
    level.key.reset();
  }

  void string() {
    std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    bool ended = at_ < text_.size();
    std::string_view body = text_.substr(begin, std::min(at_, text_.size()) - begin);
    at_ = std::min(at_ + 1, text_.size());
    if (levels_.empty() || levels_.back().is_list || !levels_.back().key_is_next) return;
    levels_.back().key_is_next = false;
    // One with escapes is not worth undoing them: what is around it is named.
    bool plain = ended && body.find('\\') == std::string_view::npos;
    if (plain && pattern_error(Pattern::kText, body).empty()) levels_.back().key = body;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Level> levels_;
};

Result<> decode_text(const Type& type, void* object, std::string_view text,
                     const DecodeOptions& options, bool merging) {
  if (text.size() > options.max_bytes)
    return fail(Code::kExhausted, fmt::format("the document is {} bytes long; the most is {}",
                                              text.size(), options.max_bytes));
  bj::monotonic_resource arena;
  boost::system::error_code error;
  std::size_t used = 0;
  bj::value document = parse_exactly(text, options.max_depth, &arena, used, error);
  std::string_view rest = text.substr(std::min(used, text.size()));
  if (!error && rest.find_first_not_of(" \t\r\n") != std::string_view::npos)
    error = bj::error::extra_data;
  if (error)
    return fail(Code::kInvalid, fmt::format("not valid JSON at byte {}: {}", used, error.message()),
                Scan(text.substr(0, std::min(used, text.size()))).pointer());
  return Decoder(options, merging).value(type, object, document, Limits{});
}

}  // namespace

Result<> decode(const Type& type, void* object, std::string_view text,
                const DecodeOptions& options) {
  return decode_text(type, object, text, options, false);
}

Result<> merge(const Type& type, void* object, std::string_view patch,
               const DecodeOptions& options) {
  return decode_text(type, object, patch, options, true);
}

}  // namespace chorok::json
