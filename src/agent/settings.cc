#include "agent/settings.h"

#include <fmt/format.h>

#include <charconv>
#include <variant>
#include <vector>

#include "agent/files.h"
#include "base/json.h"
#include "base/reflect.h"

namespace chorok::agent {
namespace {

using Member = std::variant<std::string AgentSettings::*, std::optional<double> AgentSettings::*,
                            std::optional<std::int64_t> AgentSettings::*>;
struct Key {
  std::string_view name;
  Member member;
};
const Key kKeys[] = {
    {"url", &AgentSettings::url},
    {"host", &AgentSettings::host},
    {"name", &AgentSettings::name},
    {"address", &AgentSettings::address},
    {"state", &AgentSettings::state},
    {"libvirt", &AgentSettings::libvirt},
    {"simulated_cores", &AgentSettings::simulated_cores},
    {"simulated_memory_mib", &AgentSettings::simulated_memory_mib},
};

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// A basic string, without the escapes that nobody needs in a path or a URL.
std::optional<std::string> take_string(std::string_view text) {
  if (!text.starts_with('"')) return std::nullopt;
  std::string value;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      const std::string_view rest = trim(text.substr(i + 1));
      if (!rest.empty() && !rest.starts_with('#')) return std::nullopt;
      return value;
    }
    if (text[i] == '\\' && ++i == text.size()) return std::nullopt;
    value += text[i];
  }
  return std::nullopt;
}

template <class Number>
std::optional<Number> take_number(std::string_view text) {
  text = trim(text.substr(0, text.find('#')));
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool take_value(const Key& key, std::string_view text, AgentSettings& settings) {
  if (const auto* into = std::get_if<std::string AgentSettings::*>(&key.member)) {
    auto value = take_string(text);
    if (value) settings.** into = std::move(*value);
    return value.has_value();
  }
  if (const auto* into = std::get_if<std::optional<double> AgentSettings::*>(&key.member))
    return (settings.**into = take_number<double>(text)).has_value();
  const auto* into = std::get_if<std::optional<std::int64_t> AgentSettings::*>(&key.member);
  return (settings.**into = take_number<std::int64_t>(text)).has_value();
}

Result<> take_line(std::string_view line, const std::string& place, AgentSettings& settings) {
  const auto equals = line.find('=');
  const std::string_view name = trim(line.substr(0, equals));
  for (const Key& key : kKeys) {
    if (key.name != name) continue;
    if (equals != std::string_view::npos &&
        take_value(key, trim(line.substr(equals + 1)), settings))
      return {};
    return fail(Code::kInvalid, fmt::format("{}: '{}' has no value that fits", place, name));
  }
  std::vector<std::string_view> known;
  for (const Key& key : kKeys) known.push_back(key.name);
  const std::string_view near = nearest(name, known);
  return fail(Code::kInvalid,
              fmt::format("{}: there is no setting '{}'{}", place, name,
                          near.empty() ? "" : fmt::format("; did you mean '{}'?", near)));
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string agent_file(const std::string& folder) {
  return folder + "/agent.toml";
}

}  // namespace

Result<> parse_settings(std::string_view text, std::string_view file, AgentSettings& settings) {
  for (int number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const std::string_view line = trim(text.substr(0, end));
    if (!line.empty() && !line.starts_with('#'))
      TRY(take_line(line, fmt::format("{}:{}", file, number), settings));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return {};
}

Result<AgentSettings> load_settings(const std::string& config_folder) {
  AgentSettings settings;
  const std::string path = agent_file(config_folder);
  auto text = read_file(path);
  if (!text && text.error().code == Code::kNotFound)
    return fail(Code::kNotFound,
                fmt::format("this host has not joined ({} is missing): chorok-agent join URL "
                            "TOKEN, with a token from `chorok token create --join`",
                            path));
  if (!text) return Unexpected(text.error());
  TRY(parse_settings(*text, path, settings));
  const std::string lab_path = config_folder + "/lab.toml";
  if (auto lab = read_file(lab_path)) TRY(parse_settings(*lab, lab_path, settings));
  if (settings.url.empty() || settings.host.empty())
    return fail(Code::kInvalid, fmt::format("{} names no manager: join again", path));
  return settings;
}

Result<> save_settings(const std::string& config_folder, const AgentSettings& settings) {
  std::string text = "# Written by chorok-agent join.\n";
  for (const Key& key : kKeys)
    if (const auto* from = std::get_if<std::string AgentSettings::*>(&key.member))
      text += fmt::format("{} = {}\n", key.name, quoted(settings.**from));
  return write_file(agent_file(config_folder), text, 0644);
}

}  // namespace chorok::agent
