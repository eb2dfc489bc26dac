#include "sim/datacenter/toml.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <cmath>
#include <sstream>

#include "base/json.h"

namespace chorok::sim::datacenter {

namespace {

constexpr std::size_t kBytesMax = 1 << 20;  // an experiment by hand is some kilobytes

class Writer {
 public:
  Result<std::string> write(const toml::table& root) {
    TRY(table(root, ""));
    return std::move(out_);
  }

 private:
  Result<void> table(const toml::table& from, const std::string& path) {
    out_ += '{';
    bool first = true;
    for (auto&& [key, node] : from) {
      if (!first) out_ += ',';
      first = false;
      out_ += json::quoted(key.str()) + ":";
      TRY(value(node, fmt::format("{}/{}", path, key.str())));
    }
    out_ += '}';
    return {};
  }
  Result<void> list(const toml::array& from, const std::string& path) {
    out_ += '[';
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (i > 0) out_ += ',';
      TRY(value(from[i], fmt::format("{}/{}", path, i)));
    }
    out_ += ']';
    return {};
  }
  // The reader bounds nesting, so this does not go deep.
  Result<void> value(const toml::node& node, const std::string& path) {
    if (const toml::table* inner = node.as_table()) return table(*inner, path);
    if (const toml::array* inner = node.as_array()) return list(*inner, path);
    if (const auto* text = node.as_string()) {
      out_ += json::quoted(text->get());
    } else if (const auto* integer = node.as_integer()) {
      out_ += fmt::format("{}", integer->get());
    } else if (const auto* truth = node.as_boolean()) {
      out_ += truth->get() ? "true" : "false";
    } else if (const auto* number = node.as_floating_point();
               number != nullptr && std::isfinite(number->get())) {
      out_ += fmt::format("{}", number->get());
    } else if (const auto* when = node.as_date_time()) {
      text_of(when->get());
    } else if (const auto* day = node.as_date()) {
      text_of(day->get());
    } else {
      return fail(Code::kInvalid,
                  fmt::format("line {}: neither infinities nor times without a date are used here; "
                              "give a number, a text in quotes, true or false",
                              node.source().begin.line),
                  path);
    }
    return {};
  }

  // As RFC 3339 writes them, which the readers of moments take.
  template <class Moment>
  void text_of(const Moment& moment) {
    std::ostringstream text;
    text << moment;
    out_ += json::quoted(text.str());
  }

  std::string out_;
};

}  // namespace

Result<std::string> toml_to_json(std::string_view text) {
  if (text.size() > kBytesMax)
    return fail(Code::kInvalid, "more than a MiB of TOML; this is no experiment");
  try {
    return Writer().write(toml::parse(text));
  } catch (const toml::parse_error& error) {
    return fail(Code::kInvalid, fmt::format("line {}, column {}: {}", error.source().begin.line,
                                            error.source().begin.column, error.description()));
  }
}

}  // namespace chorok::sim::datacenter
