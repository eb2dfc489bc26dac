// Reads the meters of BMCs: each at its interval, all apart from each other, so that one that is
// slow or dead holds up nobody. A meter that fails is asked more and more rarely. Also takes the
// accounts of hosts that tell nothing.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/log.h"
#include "manager/energy.h"
#include "ports/power_meter.h"

namespace chorok::manager {

// The meters that are known.
class PowerMeters {
 public:
  virtual ~PowerMeters() = default;
  // Null: the host has none. Valid until the next call for this host.
  virtual ports::PowerMeter* find(const model::Host& host) = 0;
};

struct EnergyWatchSettings {
  Duration every = std::chrono::seconds(5);  // a BMC's reading is the mean of about a second
  double reads_max = 20;                     // a second, of all meters: an ipmitool is a process
  Duration backoff_max = std::chrono::minutes(5);
};

// Lives on the loop's thread; what it was given outlives it.
class EnergyWatch {
 public:
  using Take = std::function<void(const std::vector<EnergyAccount>& accounts)>;
  EnergyWatch(Loop& loop, const Engine& engine, EnergyAccounts& accounts, PowerMeters* meters,
              Take take, EnergyWatchSettings settings = {});
  ~EnergyWatch();
  EnergyWatch(const EnergyWatch&) = delete;
  EnergyWatch& operator=(const EnergyWatch&) = delete;

  // Why a host's meter is not read now; empty: it is, or there is none.
  std::string problem(const std::string& host) const;

 private:
  struct Meter {
    bool asking = false;
    Time next{};
    std::int32_t failures = 0;
    std::string problem;
  };
  void tick();
  void ask(const model::Host& host, Duration every);
  void answered(const std::string& host, Duration every, const Result<model::PowerReading>& said);

  Loop& loop_;
  const Engine& engine_;
  EnergyAccounts& accounts_;
  PowerMeters* meters_;
  Take take_;
  EnergyWatchSettings settings_;
  Log log_{"energy"};
  std::map<std::string, Meter, std::less<>> watched_;
  TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
