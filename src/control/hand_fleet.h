// For tests: a cluster made by hand, and its loop. Time is what the test says.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "control/cluster_loop.h"

namespace chorok::control {

// Hosts of 4 x 2000 MHz and 8 GiB; VMs of 1000 MHz and 1 GiB. What a test sets is what is seen.
class HandFleet final : public Fleet {
 public:
  explicit HandFleet(Index host_count) {
    cluster.requirements.resize(1);
    cluster.offers.resize(1);
    cluster.curves.resize(1);
    cluster.curves[0].watts.fill(100);
    for (Index h = 0; h < host_count; ++h) {
      model::SnapshotHost host;
      host.name = "h" + std::to_string(h);
      host.capacity = {.cpu = 8000, .memory = 8192};
      host.core_mhz = 2000;
      host.cores = 4;
      host.time_on = std::chrono::seconds(100);
      host.time_off = std::chrono::seconds(10);
      cluster.hosts.push_back(host);
      seen.push_back({.connected = true, .bmc = BmcSays::kOn});
      held.push_back(0);
    }
  }
  Index vm(Index host) {
    model::SnapshotVm vm;
    vm.name = "vm" + std::to_string(cluster.vms.size());
    vm.size = {.cpu = 1000, .memory = 1024};
    vm.host = host;
    cluster.vms.push_back(vm);
    in_flight.push_back(false);
    return static_cast<Index>(cluster.vms.size() - 1);
  }

  Time now() const override { return time; }
  Index hosts() const override { return static_cast<Index>(cluster.hosts.size()); }
  Index vms() const override { return static_cast<Index>(cluster.vms.size()); }
  HostSeen host(Index h) const override { return seen[h]; }
  Index host_of(Index v) const override { return cluster.vms[v].host; }
  bool busy(Index v) const override { return in_flight[v]; }
  std::int32_t migrations(Index) const override { return 0; }
  bool empty(Index h) const override {
    return std::ranges::none_of(cluster.vms, [&](const auto& vm) { return vm.host == h; });
  }
  double free_memory(Index h) const override {
    double free = cluster.hosts[h].capacity.memory;
    for (const auto& vm : cluster.vms) free -= vm.host == h ? vm.size.memory : 0;
    return free - held[h];
  }
  double needed_memory(Index v) const override { return cluster.vms[v].size.memory; }
  bool is_looking() const override { return looking; }
  model::Snapshot& looked_at() override {
    if (!looked) return snapshot();
    snapshot();
    shown = *looked;
    return shown;
  }
  model::Snapshot& snapshot() override {
    looking = looking || others;
    shown = cluster;
    shown.now = time;
    for (model::SnapshotVm& vm : shown.vms) {
      vm.run = vm.host == kNone ? model::VmRun::kWaiting : model::VmRun::kOn;
      vm.cpu_demand.now = 500;
      vm.memory_demand.now = 800;
    }
    return shown;
  }

  Time time{std::chrono::hours(1)};
  model::Snapshot cluster;
  std::vector<HostSeen> seen;
  std::vector<double> held;  // MiB of a host that a snapshot does not tell of
  std::vector<bool> in_flight;
  model::Snapshot shown;
  bool others = false;  // have come or gone: whoever looks sees it
  bool looking = false;
  std::optional<model::Snapshot> looked;  // elsewhere, a moment ago
};

inline model::PolicySettings automatic(bool ha) {
  model::PolicySettings settings;
  settings.power.automation = model::Automation::kFull;
  settings.ha.enabled = ha;
  settings.ha.failures = 0;
  return settings;
}

// No rounds: hosts are watched and VMs restarted, nothing else.
inline Brain only_ha() {
  Brain brain = chorok_brain(automatic(true));
  brain.plan = [](const model::Snapshot&) { return policy::Plan{}; };
  return brain;
}

class LoopTest : public ::testing::Test {
 protected:
  Turn turn(ClusterLoop& loop, Duration after = Duration::zero()) {
    fleet.time += after;
    Result<Turn> turn = loop.turn(fleet);
    EXPECT_TRUE(turn) << turn.error().message;
    for (const LoopEvent& event : turn->events) {
      kinds.push_back(event.kind);
      text += event.text + "\n";
    }
    return *turn;
  }
  static std::vector<Command::Kind> ordered(const Turn& turn) {
    std::vector<Command::Kind> kinds;
    for (const Command& command : turn.commands) kinds.push_back(command.kind);
    return kinds;
  }

  HandFleet fleet{3};
  std::vector<LoopEvent::Kind> kinds;
  std::string text;
};

}  // namespace chorok::control
