// Keeps the agent connected to the leader: dials, follows redirects to it, and dials again for
// ever, with jitter, so that a manager that comes back is not met by all its hosts at once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/core.h"
#include "agent/pki.h"
#include "base/log.h"
#include "net/http_client.h"

namespace chorok::agent {

// The way to the manager. Shared by the dialer and the streams; replaced as a whole when the
// certificate is renewed.
struct ManagerLink {
  net::Url url;  // of the leader, as far as is known
  std::shared_ptr<net::TlsClientContext> tls;
  std::shared_ptr<net::HttpClient> client;

  static Result<ManagerLink> create(const net::Executor& executor, const std::string& url,
                                    const Pki& pki);
  net::Url at(std::string_view scheme, std::string target) const;
};

struct DialerSettings {
  Duration backoff_first = std::chrono::milliseconds(200);
  Duration backoff_most = std::chrono::seconds(5);
  // A manager whose machine vanished sends no FIN. Two wake-ups in that time, at rest.
  Duration ping_interval = std::chrono::seconds(20);
  int redirects_max = 3;
};

// Lives on the loop's thread. The core and the link outlive it.
class Dialer {
 public:
  Dialer(const net::Executor& executor, AgentCore& core, ManagerLink& link,
         DialerSettings settings = {});
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  // Called with true at each welcome and false at each loss, with words for a person.
  void on_change(std::function<void(bool connected, std::string)> fn);
  void start();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace chorok::agent
