// The meters of the inventory's hosts' BMCs: by ipmitool (DCMI) or Redfish, as a host's record
// says. One a host, made when it is asked for and again when the record has changed. Threads of
// their own: whoever switches power does not wait for meters.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "adapters/work/worker_pool.h"
#include "base/log.h"
#include "manager/bmc_switches.h"
#include "manager/energy_watch.h"

namespace chorok::manager {

class BmcMeters final : public PowerMeters {
 public:
  BmcMeters(Loop& loop, Unseal unseal);
  ~BmcMeters() override;

  ports::PowerMeter* find(const model::Host& host) override;

 private:
  struct Made {
    model::BmcSpec of;
    std::unique_ptr<ports::PowerMeter> meter;  // null: it cannot be made, or has none
  };

  Loop& loop_;
  Unseal unseal_;
  Log log_{"bmc"};
  adapters::work::WorkerPool pool_;
  std::map<std::string, Made, std::less<>> made_;  // by host
};

}  // namespace chorok::manager
