// A host's power as a cluster's loops order it: by its switch, and off only when its agent has
// prepared for that. A BMC knows nothing of guests, and a fence agent pulls the plug: so the agent
// measures once more, writes what nobody has taken to its disk, begins nothing any more and asks
// libvirt whether really no guest runs there, before the first word goes to the BMC.
//
// A guest that runs there after all holds it back: host.standby_refused, and the watch orders it
// again. An agent that is not there, is too old or does not answer in time holds nothing back. One
// whose power stays is told so. Nothing of this is stored: whoever leads next gets the same order
// from the watch, and asks again. A host that is fenced is not asked: it is silent.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/log.h"
#include "control/fleet.h"
#include "manager/agent_switch.h"
#include "manager/engine.h"
#include "ports/power_switch.h"

namespace chorok::manager {

// The BMCs that are known.
class PowerSwitches {
 public:
  virtual ~PowerSwitches() = default;
  // Null: the host has none. Valid until the next call for this host.
  virtual ports::PowerSwitch* find(const model::Host& host) = 0;
  // Whether this machine has what such a BMC is reached by; the error names the field.
  virtual Result<> can_reach(const model::BmcSpec&) const { return {}; }
  // How agents are reached, for hosts that they switch off themselves; empty: not any more.
  virtual void reach_agents(AgentReach) {}
};

// An event of this host, by the user "chorok".
void tell_of_host(Engine& engine, const model::Host& host, std::string kind, std::string message,
                  model::Severity severity = model::Severity::kWarning);

// Lives on the loop's thread, within its driver.
class HostSwitching {
 public:
  struct Parts {
    Engine& engine;
    PowerSwitches& switches;
    const AgentReach& agents;
    Duration limit;                                      // for an agent's answer
    std::function<void(const std::string& host)> acted;  // its switch has answered
  };

  explicit HostSwitching(Parts parts) : parts_(std::move(parts)) {}
  ~HostSwitching() { *alive_ = false; }
  HostSwitching(const HostSwitching&) = delete;
  HostSwitching& operator=(const HostSwitching&) = delete;

  // What is to be stands in the host's record already. How it went stands in an event; what follows
  // from it the loops see for themselves.
  void carry_out(const control::Command& command, const std::string& host);
  // It is on still and is to stay so: its agent takes operations again.
  void give_up(const std::string& host);

 private:
  struct Order {
    model::PowerAction action{};
    bool again = false;
    std::uint64_t ask = 0;
    TimerId deadline = 0;
  };

  bool is_prepared_first(const control::Command& command, model::PowerAction action,
                         const model::Host& host) const;
  void prepare(const model::Host& host);
  void prepared(const std::string& host, std::uint64_t ask, const Result<>& answer);
  void act(const model::Host& host, model::PowerAction action);
  void acted(const std::string& host, model::PowerAction action, const Result<>& result);
  ports::PowerOrder new_order();
  std::shared_ptr<const model::Host> find(const std::string& host) const {
    return parts_.engine.inventory().hosts().find(host);
  }

  Parts parts_;
  Log log_{"power"};
  std::map<std::string, Order, std::less<>> preparing_;  // hosts whose agents are asked
  std::uint64_t asks_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
