// How a host comes in, and how it keeps its certificate fresh. The key is made here and never
// leaves; the join token carries the fingerprint of the cluster's CA, so that the manager is known
// before it is told anything.
#pragma once

#include <string>

#include "agent/pki.h"
#include "agent/settings.h"
#include "net/http_client.h"

namespace chorok::agent {

struct JoinOptions {
  std::string url;
  std::string token;
  std::string name;     // empty: the host's own
  std::string address;  // empty: the one that this host reaches the manager from
  std::string state = AgentSettings{}.state;
  std::string config{kConfigFolder};
};

// kAlreadyExists: it has joined already. Writes the certificates, then agent.toml: without the
// latter the host has not joined.
Result<AgentSettings> join(const JoinOptions& options);

// Asks the manager for a new certificate with a new key: POST /agent/v1/renew, known by the present
// certificate. Answers the new set, which the caller saves.
net::Async<Pki> renew(net::HttpClient& client, AgentSettings settings, Pki present);

}  // namespace chorok::agent
