// A driver for every cluster of the inventory, as long as it is there.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "manager/cluster_driver.h"

namespace chorok::manager {

class ClusterDrivers {
 public:
  ClusterDrivers(Engine& engine, World& world, PowerSwitches& switches, const VmLoads* loads,
                 DriverSettings settings);
  ~ClusterDrivers();

  // Null: there is no such cluster.
  ClusterDriver* find(const std::string& cluster) const;

 private:
  void match();

  Engine& engine_;
  World& world_;
  PowerSwitches& switches_;
  const VmLoads* loads_;
  DriverSettings settings_;
  std::map<std::string, std::unique_ptr<ClusterDriver>, std::less<>> drivers_;
  std::uint64_t watcher_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// No host has a BMC.
class NoSwitches final : public PowerSwitches {
 public:
  ports::PowerSwitch* find(const model::Host&) override { return nullptr; }
};

}  // namespace chorok::manager
