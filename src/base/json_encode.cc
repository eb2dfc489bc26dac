#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"

namespace chorok::json {
namespace {

void append_quoted(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (byte < 0x20 || byte == 0x7f) {
          out += "\\u00";
          out += kHex[byte >> 4];
          out += kHex[byte & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";  // JSON has no such number; decoding null keeps the default
    return;
  }
  fmt::format_to(std::back_inserter(out), "{}", value);
}

class Encoder {
 public:
  Encoder(std::string& out, const EncodeOptions& options) : out_(out), options_(options) {}

  void value(const Type& type, const void* object) { value(type, object, type.prototype); }

 private:
  // `defaults`: of a struct, what it is where nothing is said. Within another struct that is what
  // the outer one makes of it, which decoding begins with, and not what it would be by itself.
  void value(const Type& type, const void* object, const void* defaults) {
    switch (type.kind) {
      case Kind::kBool:
        out_ += type.access.get_int(object) != 0 ? "true" : "false";
        return;
      case Kind::kInt:
        fmt::format_to(std::back_inserter(out_), "{}", type.access.get_int(object));
        return;
      case Kind::kDouble:
        append_double(out_, type.access.get_double(object));
        return;
      case Kind::kString:
        append_quoted(out_, *static_cast<const std::string*>(object));
        return;
      case Kind::kEnum:
        append_quoted(out_, enum_name(type, type.access.get_int(object)));
        return;
      case Kind::kTime:
        append_quoted(out_, format_time(Time(Duration(type.access.get_int(object)))));
        return;
      case Kind::kDuration:
        append_double(out_, seconds(Duration(type.access.get_int(object))));
        return;
      case Kind::kOptional:
        if (type.access.count(object) == 0) {
          out_ += "null";
        } else {
          value(type.element(), type.access.at(object, 0));
        }
        return;
      case Kind::kStruct:
        structure(type, object, defaults);
        return;
      case Kind::kList:
        list(type, object);
        return;
      case Kind::kMap:
        map(type, object);
        return;
    }
  }

  void structure(const Type& type, const void* object, const void* defaults) {
    open('{');
    for (const Field& field : type.fields) {
      if (field.limits.secret && !options_.secrets) continue;
      const Type& field_type = field.type();
      const void* at = field_at(field, object);
      bool absent = field_type.kind == Kind::kOptional && field_type.access.count(at) == 0;
      // What must be there on reading is there.
      bool sparse = !options_.defaults && !field.limits.required;
      const void* usual = defaults == nullptr ? nullptr : field_at(field, defaults);
      if (absent || (sparse && usual != nullptr && equal(field_type, at, usual))) continue;
      next();
      key(field.name);
      if (field_type.kind == Kind::kStruct)
        value(field_type, at, usual);
      else
        value(field_type, at);
    }
    close('}');
  }

  void list(const Type& type, const void* object) {
    open('[');
    const Type& element = type.element();
    for (std::size_t i = 0, n = type.access.count(object); i < n; ++i) {
      next();
      value(element, type.access.at(object, i));
    }
    close(']');
  }

  void map(const Type& type, const void* object) {
    struct Context {
      Encoder* self;
      const Type* element;
    } context{this, &type.element()};
    open('{');
    type.access.visit(object, &context, [](void* c, std::string_view name, const void* element) {
      auto* at = static_cast<Context*>(c);
      at->self->next();
      at->self->key(name);
      at->self->value(*at->element, element);
    });
    close('}');
  }

  void key(std::string_view name) {
    append_quoted(out_, name);
    out_ += options_.pretty ? ": " : ":";
  }
  void open(char bracket) {
    out_ += bracket;
    first_ = true;
    ++depth_;
  }
  void next() {
    if (!first_) out_ += ',';
    first_ = false;
    line();
  }
  void close(char bracket) {
    --depth_;
    if (!first_) line();
    out_ += bracket;
    first_ = false;
  }
  void line() {
    if (!options_.pretty) return;
    out_ += '\n';
    out_.append(depth_ * 2, ' ');
  }

  std::string& out_;
  const EncodeOptions& options_;
  std::size_t depth_ = 0;
  bool first_ = true;
};

}  // namespace

void encode_to(std::string& out, const Type& type, const void* object,
               const EncodeOptions& options) {
  Encoder(out, options).value(type, object);
}

std::string encode(const Type& type, const void* object, const EncodeOptions& options) {
  std::string out;
  encode_to(out, type, object, options);
  return out;
}

std::string quoted(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

std::string format_time(Time time) {
  using namespace std::chrono;
  if (time.time_since_epoch().count() == 0) return "";
  auto day = floor<days>(time);
  year_month_day date{day};
  auto of_day = floor<milliseconds>(time - day);
  hh_mm_ss clock{of_day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

Result<Time> parse_time(std::string_view text) {
  using namespace std::chrono;
  if (text.empty()) return Time{};
  int year_n = 0, month_n = 0, day_n = 0, hour = 0, minute = 0, second = 0, used = 0;
  std::string copy(text.substr(0, 40));
  auto bad = [&] {
    return fail(Code::kInvalid,
                fmt::format("'{}' is not a time; write it as 2026-11-21T22:24:48Z", copy));
  };
  // NOLINTNEXTLINE(cert-err34-c): every field is range-checked below
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &year_n, &month_n, &day_n, &hour,
                  &minute, &second, &used) != 6)
    return bad();
  std::string_view rest = std::string_view(copy).substr(static_cast<std::size_t>(used));
  std::int64_t fraction = 0;
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    std::int64_t scale = 100'000'000;
    while (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') {
      fraction += (rest[0] - '0') * scale;
      scale /= 10;
      rest.remove_prefix(1);
    }
  }
  year_month_day date{year(year_n), month(static_cast<unsigned>(month_n)),
                      day(static_cast<unsigned>(day_n))};
  bool in_range = date.ok() && year_n >= 1970 && year_n < 2262 && hour >= 0 && hour < 24 &&
                  minute >= 0 && minute < 60 && second >= 0 && second < 61;
  if (rest != "Z" || !in_range) return bad();
  return Time(sys_days(date).time_since_epoch() + hours(hour) + minutes(minute) +
              std::chrono::seconds(second) + nanoseconds(fraction));
}

}  // namespace chorok::json
