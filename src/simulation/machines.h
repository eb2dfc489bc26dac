// The hosts that are not there: each with its hypervisor, its disks, the agent's own core and a
// BMC. A host without power has no agent; switched on, it boots after a while and its agent joins
// with a new boot id.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/core.h"
#include "manager/tickets.h"
#include "net/asio_loop.h"
#include "sim/fake_bmc.h"
#include "sim/fake_world.h"
#include "sim/memory_channel.h"
#include "simulation/streams.h"

namespace chorok::simulation {

struct MachineSettings {
  double time_scale = 1;  // by which boots and shutdowns are shorter
  // Before the time scale.
  Duration boot = std::chrono::minutes(3);
  Duration shutdown = std::chrono::seconds(30);
};

// How agents reach the manager. `knows` is false for a host that was removed from the inventory:
// it stays away.
struct Door {
  std::function<bool(const std::string& host)> knows;
  std::function<void(const std::string& host, std::shared_ptr<ports::Channel>)> attach;
};

class Machines {
 public:
  Machines(net::AsioLoop& loop, manager::Tickets& tickets, Door door, MachineSettings settings);
  ~Machines();
  Machines(const Machines&) = delete;
  Machines& operator=(const Machines&) = delete;

  sim::FakeWorld& world() { return world_; }
  void add(std::string id, sim::HostSettings settings);
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
    std::unique_ptr<sim::FakeBmc> bmc;
    std::shared_ptr<sim::MemoryLink> link;  // the newest; its ends do not keep it
  };

  void boot(Machine& machine);
  void dial(Machine& machine);
  void cut(Machine& machine);
  std::unique_ptr<sim::FakeBmc> make_bmc(Machine& machine);
  void later(Duration delay, std::function<void()> work);

  net::AsioLoop& loop_;
  manager::Tickets& tickets_;
  Door door_;
  MachineSettings settings_;
  sim::Random random_{1};
  sim::FakeWorld world_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::unordered_map<std::string, Machine*> by_id_;
};

}  // namespace chorok::simulation
