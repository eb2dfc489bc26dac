// How the agents of simulated hosts reach the manager: through memory in its own process, or, where
// what the manager costs is to be measured, over TLS from a process of theirs, as real agents do.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/core.h"
#include "manager/pki.h"
#include "model/host.h"
#include "net/asio_loop.h"

namespace chorok::simulation {

// Keeps one agent connected while it lives. Dies before the agent's core; the manager hears of it.
class Way {
 public:
  virtual ~Way() = default;
};
using MakeWay =
    std::function<std::unique_ptr<Way>(const std::string& host, agent::AgentCore& core)>;

// Into the manager in this process. `knows` is false for a host that was removed from the
// inventory: it stays away.
struct Door {
  std::function<bool(const std::string& host)> knows;
  std::function<void(const std::string& host, std::shared_ptr<ports::Channel>)> attach;
};
MakeWay ways_in_memory(Loop& loop, Door door);

// To https://…, each with what save_identity() left for it. The loop outlives the ways.
MakeWay ways_over_tls(net::AsioLoop& loop, std::string url, std::string folder);
// A key and a certificate of this CA for a host; the record gets the certificate's serial.
Result<> save_identity(const std::string& folder, const manager::Pki& pki, Time now,
                       model::Host& host);

}  // namespace chorok::simulation
