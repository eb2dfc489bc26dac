// A connection between the manager and one agent, as both ends see it: JSON-RPC 2.0 calls both
// ways, in order, lost as a whole. Production carries it over a WebSocket, the simulator through
// memory with injected faults.
#pragma once

#include <functional>
#include <string>

#include "base/loop.h"
#include "base/result.h"

namespace chorok::ports {

class Channel {
 public:
  using Reply = Done<Result<std::string>>;
  // Answers a call; must call reply exactly once, now or later.
  using Handler = std::function<void(std::string method, std::string params, Reply reply)>;

  virtual ~Channel() = default;

  // The other side's answer (JSON text). kUnavailable when the connection is gone, kTimeout when
  // nothing came: whether it arrived is unknown then.
  virtual void call(std::string method, std::string params, Duration timeout, Reply reply) = 0;
  // No answer wanted; lost with the connection.
  virtual void notify(std::string method, std::string params) = 0;
  virtual void on_call(Handler handler) = 0;
  virtual void on_close(std::function<void(Error)> closed) = 0;
  virtual void close(std::string reason) = 0;
};

}  // namespace chorok::ports
