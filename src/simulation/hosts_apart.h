// Hosts in a process of their own, so that what the manager costs can be told from what they cost.
// Their agents dial the manager over TLS; their BMCs are asked over a unix socket beside it, which
// also says when to begin, and when to end: with the connection.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "manager/cluster_driver.h"
#include "net/asio_loop.h"
#include "ports/channel.h"
#include "simulation/machines.h"

namespace chorok::simulation {

struct ApartSettings {
  std::string socket;      // path
  std::string identities;  // the folder that save_identity() was given
  std::string manager;     // https://…
  long hosts = 0;
  double time_scale = 1;
};

// The hosts' side: until the manager's goes away. The process's exit code.
int run_hosts_apart(const ApartSettings& settings);

// The manager's side: the BMCs of those hosts.
class ApartBmcs final : public manager::PowerSwitches {
 public:
  explicit ApartBmcs(net::AsioLoop& loop);
  ~ApartBmcs() override;

  // Waits for the hosts' process and lets its agents dial.
  net::Async<> begin(std::string socket);
  ports::PowerSwitch* find(const model::Host& host) override;

 private:
  class Bmc;
  struct Asked {
    std::string method;
    std::string params;
    ports::Channel::Reply reply;
  };
  void ask(Asked asked);
  void send_next();

  net::AsioLoop& loop_;
  std::shared_ptr<ports::Channel> channel_;
  std::map<std::string, std::unique_ptr<Bmc>, std::less<>> bmcs_;
  std::deque<Asked> waiting_;
  std::size_t asked_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::simulation
