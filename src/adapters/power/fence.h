// Any of Debian's fence agents as a power switch: a child process that is given its options on
// standard input, as clusters do it.
// https://github.com/ClusterLabs/fence-agents/blob/main/doc/FenceAgentAPI.md
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "adapters/power/driver.h"
#include "base/units.h"

namespace chorok::adapters::power {

struct FenceOptions {
  std::string agent;  // "fence_apc", "fence_ipmilan", …: a name, not a path
  // What the agent takes (fence_apc -o metadata lists it): ip, username, password, plug, …
  std::map<std::string, std::string> options;
  // Options that name a program or a file of this machine. From a root-owned file only, never from
  // the API: whoever sets them runs what they like.
  std::map<std::string, std::string> local_options;
  std::string folder = "/usr/sbin";
  // Agents wait for the effect themselves (power_timeout, 20 s by default) and log in up to twice.
  Duration call_limit = std::chrono::seconds(60);
};

// kInvalid, kPermissionDenied (an option only `local_options` may hold): names the option.
Result<std::unique_ptr<PowerDriver>> make_fence_switch(FenceOptions options);

// Whether this machine has it.
bool has_fence_agent(const std::string& agent, const std::string& folder = FenceOptions{}.folder);

// What an agent says of itself by `-o metadata`.
Result<model::PowerCapabilities> parse_fence_metadata(std::string_view xml);

}  // namespace chorok::adapters::power
