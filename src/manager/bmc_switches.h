// The BMCs of the inventory's hosts as power switches: by ipmitool, Redfish, a fence agent or
// scripts of this machine, or by the host's own agent and magic packets, as a host's record says.
// One switch a host, made when it is asked for and again when the record has changed.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "adapters/work/worker_pool.h"
#include "base/log.h"
#include "manager/host_switching.h"
#include "model/bmc.h"

namespace chorok::manager {

// Opens what was sealed for a place.
using Unseal =
    std::function<Result<std::string>(const std::string& sealed, const std::string& place)>;

// What a BMC's password is bound to.
std::string bmc_place(const std::string& host);

class BmcSwitches final : public PowerSwitches {
 public:
  BmcSwitches(Loop& loop, Unseal unseal);
  ~BmcSwitches() override;

  ports::PowerSwitch* find(const model::Host& host) override;
  Result<> can_reach(const model::BmcSpec& spec) const override;
  void reach_agents(AgentReach reach) override { reach_ = std::move(reach); }

  // Whether a switch could be made of it; the error names the field. Nothing is asked of the BMC.
  static Result<> check(const model::BmcSpec& spec);

 private:
  struct Made {
    model::BmcSpec of;
    std::unique_ptr<ports::PowerSwitch> power;  // null: it cannot be made
  };

  Result<std::unique_ptr<ports::PowerSwitch>> make(const model::Host& host);

  Loop& loop_;
  Unseal unseal_;
  AgentReach reach_;
  Log log_{"bmc"};
  adapters::work::WorkerPool pool_;
  std::map<std::string, Made, std::less<>> made_;  // by host
};

}  // namespace chorok::manager
