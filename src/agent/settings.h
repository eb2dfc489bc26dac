// Where the agent belongs: agent.toml, written by join; and lab.toml, with which the lab says that
// a host is only a slice of the machine it runs on. Both are flat: one `key = value` a line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::agent {

struct AgentSettings {
  std::string url;      // of the manager: https://…
  std::string host;     // id
  std::string name;     // at the time of joining
  std::string address;  // for migration streams
  std::string state = "/var/lib/chorok-agent";
  std::string libvirt = "qemu:///system";
  std::optional<double> simulated_cores;
  std::optional<std::int64_t> simulated_memory_mib;
};

inline constexpr std::string_view kConfigFolder = "/etc/chorok";

// kNotFound: this host has not joined.
Result<AgentSettings> load_settings(const std::string& config_folder);
Result<> save_settings(const std::string& config_folder, const AgentSettings& settings);

// Adds what `text` says. kInvalid names the line.
Result<> parse_settings(std::string_view text, std::string_view file, AgentSettings& settings);

}  // namespace chorok::agent
