// The power of a host that its own agent takes away: shut down or suspended on the manager's word,
// woken by magic packets, or by its BMC where it has one. Without a BMC nobody can say whether such
// a host has power; status() is kUnknown then, always, and nothing can take its power away from
// outside, so it is never fenced (docs/design/019-power-without-a-witness.md).
//
// on() goes on sending until the host's agent has come, until another action is ordered, or until
// its time is over: cards lose packets, and one that is still shutting down hears none.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "model/protocol.h"
#include "ports/power_orders.h"

namespace chorok::manager {

// The agents, as a switch needs them. Empty functions: there are none yet.
struct AgentReach {
  std::function<bool(const std::string& host)> is_connected;
  // How often it has been connected so far: one that has come and gone since is seen by it.
  std::function<std::uint64_t(const std::string& host)> connections;
  // "host.standby"; the manager's term is filled in by whoever sends it.
  std::function<void(const std::string& host, model::StandbyRequest, Done<Result<>>)>
      put_to_standby;
  // "host.prepare", likewise. No answer within `limit` is kTimeout.
  std::function<void(const std::string& host, model::PrepareRequest, Duration limit,
                     Done<Result<>>)>
      prepare = {};
};

struct AgentSwitchSettings {
  Duration again = std::chrono::seconds(5);   // between two packets
  Duration limit = std::chrono::minutes(10);  // the watch orders it again before, or gives it up
};

// Lives on the loop's thread. `reach` outlives it.
class AgentSwitch final : public ports::PowerSwitch {
 public:
  // Sends a packet to each of the host's cards; kUnknown is how that succeeds.
  using Wake = std::function<void(Done<Result<>>)>;
  struct Parts {
    Loop& loop;
    const AgentReach& reach;
    std::string host;
    model::BmcSpec spec;
    Wake wake;                                // empty: it has no card that listens
    std::unique_ptr<ports::PowerSwitch> bmc;  // null: it has none
  };

  explicit AgentSwitch(Parts parts, AgentSwitchSettings settings = {});
  ~AgentSwitch() override;

  void capabilities(Done<Result<model::PowerCapabilities>> done) override;
  void status(Done<Result<model::ChassisPower>> done) override;
  void act(model::PowerAction action, ports::PowerOrder order, Done<Result<>> done) override;

 private:
  void perform(model::PowerAction action, Done<Result<>> done);
  void pass_on(model::PowerAction action, Done<Result<>> done);
  void put_to_standby(Done<Result<>> done);
  void wake_up(Done<Result<>> done);
  void send_packet();
  void end_wake(Result<> result);
  bool is_connected() const;
  std::uint64_t connections() const;

  Parts parts_;
  AgentSwitchSettings settings_;
  ports::PowerOrder order_;  // the newest
  int passed_on_ = 0;
  Done<Result<>> waking_;  // null: it is not being woken
  Time wake_until_{};
  std::uint64_t connections_before_ = 0;  // the waking
  TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ports::PowerOrders orders_;
};

}  // namespace chorok::manager
