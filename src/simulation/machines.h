// The hosts that are not there: each with its hypervisor, its disks, the agent's own core and a
// BMC. A host without power has no agent; switched on, it boots after a while and its agent joins
// with a new boot id.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/core.h"
#include "manager/tickets.h"
#include "net/asio_loop.h"
#include "sim/fake_bmc.h"
#include "sim/fake_world.h"
#include "simulation/streams.h"
#include "simulation/ways.h"

namespace chorok::simulation {

struct MachineSettings {
  double time_scale = 1;  // by which boots and shutdowns are shorter
  // Before the time scale.
  Duration boot = std::chrono::minutes(3);
  Duration shutdown = std::chrono::seconds(30);
};

inline constexpr std::string_view kShared = "/srv/shared";
inline constexpr std::string_view kLocal = "/srv/local";
// Of the i-th host, from 0.
std::string host_id(long i);
std::string host_name(long i);
std::string host_address(long i);

class Machines {
 public:
  // Without tickets they have no consoles and take no files.
  Machines(net::AsioLoop& loop, manager::Tickets* tickets, MakeWay make_way,
           MachineSettings settings);
  ~Machines();
  Machines(const Machines&) = delete;
  Machines& operator=(const Machines&) = delete;

  sim::FakeWorld& world() { return world_; }
  void add(std::string id, sim::HostSettings settings);
  // So many, with the datastores that all of them reach.
  void add_alike(long hosts);
  // Null for a host that is not here.
  ports::PowerSwitch* bmc(const std::string& id);

 private:
  struct Machine {
    std::string id;
    sim::HostIndex index = 0;
    std::unique_ptr<ports::Hypervisor> hypervisor;
    std::unique_ptr<ports::Storage> storage;
    agent::MemoryMedium medium;
    std::unique_ptr<agent::Journal> journal;
    std::unique_ptr<Streams> streams;
    std::unique_ptr<agent::AgentCore> core;  // while the host has power
    std::unique_ptr<Way> way;                // as long as that
    std::unique_ptr<sim::FakeBmc> bmc;
  };

  void boot(Machine& machine);
  void cut(Machine& machine);
  std::unique_ptr<sim::FakeBmc> make_bmc(Machine& machine);
  void later(Duration delay, std::function<void()> work);

  net::AsioLoop& loop_;
  manager::Tickets* tickets_;
  MakeWay make_way_;
  MachineSettings settings_;
  sim::FakeWorld world_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::unordered_map<std::string, Machine*> by_id_;
};

}  // namespace chorok::simulation
