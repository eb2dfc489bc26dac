#include "policy/energy_share.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "policy/test_random.h"

namespace chorok::policy {
namespace {

using std::chrono::seconds;

Time at(int s) {
  return Time(std::chrono::hours(1000)) + seconds(s);
}

// A host of 10 GHz and 1000 MiB, 100 W idle.
HostEnergySample sample(int s, double joules, int cpu_s = 0) {
  HostEnergySample made{.at = at(s),
                        .boot = "b1",
                        .cpu_time = seconds(cpu_s),
                        .cpu = 10'000,
                        .memory = 1000,
                        .idle = Watts(100)};
  made.reading.energy = Joules(joules);
  made.reading.energy_since = at(-100);
  made.reading.source = model::WattSource::kMeasured;
  made.reading.error = 0.05;
  return made;
}
VmEnergySample vm(const char* name, int cpu_s, double cpu, double memory) {
  return {.vm = name, .cpu_time = seconds(cpu_s), .cpu = cpu, .memory = memory, .since = at(-50)};
}
double sum(const HostEnergy& host) {
  double all = host.unused.total().value;
  for (const VmEnergy& each : host.vms) all += each.energy.total().value;
  return all;
}

TEST(EnergyShare, IdleByClaimsActiveByCpuTime) {
  HostEnergySample before = sample(0, 0);
  HostEnergySample after = sample(10, 2000, 10);  // 1000 J idle, 1000 J active
  before.vms = {vm("a", 0, 5000, 100), vm("b", 0, 1000, 100)};
  after.vms = {vm("a", 6, 5000, 100), vm("b", 2, 1000, 100)};
  auto shared = share_energy(before, after);
  ASSERT_TRUE(shared) << shared.error().message;
  EXPECT_DOUBLE_EQ(shared->total.value, 2000);
  EXPECT_DOUBLE_EQ(shared->vms[0].energy.idle.value, 1000 * (0.5 + 0.1) / 2);
  EXPECT_DOUBLE_EQ(shared->vms[0].energy.active.value, 600);
  EXPECT_DOUBLE_EQ(shared->vms[1].energy.idle.value, 1000 * (0.1 + 0.1) / 2);
  EXPECT_DOUBLE_EQ(shared->vms[1].energy.active.value, 200);
  EXPECT_DOUBLE_EQ(shared->unused.idle.value, 600);
  EXPECT_DOUBLE_EQ(shared->unused.active.value, 200);  // the host's own two seconds
  EXPECT_EQ(shared->source, model::WattSource::kMeasured);
  EXPECT_EQ(shared->error, 0.05);
}

// The faults of Kepler, Scaphandre: idle that vanishes under load, or swallows it.
TEST(EnergyShare, IdleStaysUnderFullLoadAndLoadStaysBesideIdle) {
  HostEnergySample before = sample(0, 0);
  HostEnergySample full = sample(10, 4000, 80);
  before.vms = {vm("a", 0, 10'000, 1000)};
  full.vms = {vm("a", 80, 10'000, 1000)};
  auto shared = share_energy(before, full);
  EXPECT_DOUBLE_EQ(shared->vms[0].energy.idle.value, 1000);
  EXPECT_DOUBLE_EQ(shared->vms[0].energy.active.value, 3000);
  // Less than idle, as with a meter that is off by some: everything is idle, nothing negative.
  auto low = share_energy(before, sample(10, 900, 80));
  EXPECT_DOUBLE_EQ(low->unused.idle.value, 900);
  EXPECT_DOUBLE_EQ(low->unused.active.value, 0);
}

TEST(EnergyShare, ClaimsBeyondTheHostShareIt) {
  HostEnergySample before = sample(0, 0);
  HostEnergySample after = sample(10, 1000);
  after.vms = {vm("a", 0, 20'000, 1000), vm("b", 0, 20'000, 1000)};
  auto shared = share_energy(before, after);
  EXPECT_DOUBLE_EQ(shared->vms[0].energy.idle.value, 500);
  EXPECT_DOUBLE_EQ(shared->unused.idle.value, 0);
}

TEST(EnergyShare, AMigratedVmPaysOnEachHostForItsTimeThere) {
  HostEnergySample before = sample(0, 0);
  before.vms = {vm("a", 100, 10'000, 1000)};
  HostEnergySample source = sample(10, 1000, 4);
  source.vms = {vm("a", 104, 10'000, 1000)};
  source.vms[0].until = at(4);
  HostEnergySample target = sample(10, 1000, 6);
  target.vms = {vm("a", 6, 10'000, 1000)};  // another QEMU: its counter began at 0
  target.vms[0].since = at(4);
  auto left = share_energy(before, source);
  auto came = share_energy(sample(0, 0), target);
  EXPECT_NEAR(left->vms[0].energy.idle.value, 400, 1e-6);
  EXPECT_NEAR(came->vms[0].energy.idle.value, 600, 1e-6);
  EXPECT_NEAR(sum(*left), 1000, 1e-6);
  EXPECT_NEAR(sum(*came), 1000, 1e-6);
}

TEST(EnergyShare, WhereTheCounterDoesNotReachWattsStandIn) {
  HostEnergySample before = sample(0, 500);
  HostEnergySample after = sample(10, 600);
  after.reading.energy_since = at(4);  // the agent was started anew: 600 J in six seconds
  EXPECT_DOUBLE_EQ(share_energy(before, after)->total.value, 1000);
  after.reading.watts = Watts(150);
  EXPECT_DOUBLE_EQ(share_energy(before, after)->total.value, 600 + 4 * 150);
  after.reading.energy.reset();
  EXPECT_DOUBLE_EQ(share_energy(before, after)->total.value, 1500);
  after.reading.watts.reset();
  EXPECT_EQ(share_energy(before, after).error().code, Code::kUnavailable);
}

TEST(EnergyShare, RefusesWhatCannotBe) {
  HostEnergySample good = sample(10, 1000);
  auto code = [&](auto change) {
    HostEnergySample bad = good;
    change(bad);
    auto shared = share_energy(sample(0, 0), bad);
    return shared ? Code::kInternal : shared.error().code;
  };
  EXPECT_EQ(code([](auto& s) { s.at = at(0); }), Code::kInvalid);
  EXPECT_EQ(code([](auto& s) { s.idle = Watts(-1); }), Code::kInvalid);
  EXPECT_EQ(code([](auto& s) { s.reading.energy = Joules(NAN); }), Code::kInvalid);
  EXPECT_EQ(code([](auto& s) { s.vms = {vm("a", 0, INFINITY, 1)}; }), Code::kInvalid);
  EXPECT_EQ(code([](auto& s) { s.vms = {vm("a", 0, 1, 1), vm("a", 0, 1, 1)}; }), Code::kInvalid);
}

// A few hosts, VMs that come, go and move, agents and hosts that are started anew: whatever
// happens, the parts are the whole, and the whole is what was drawn.
struct World {
  struct Vm {
    int host;
    double cpu, memory, busy;
    double cpu_s = 0;
    Time since;
  };
  struct Host {
    double joules = 0;   // truth, of the whole time
    double counter = 0;  // what the meter counts
    Time counter_since;
    int boots = 1;
    double cpu_s = 0;
    std::vector<VmEnergySample> left;
    HostEnergySample last;
    double accounted = 0;
  };
  TestRandom random;
  Time now = at(0);
  std::vector<Host> hosts;
  std::map<std::string, Vm> vms;

  explicit World(std::uint64_t seed) : random(seed), hosts(3) {
    for (Host& host : hosts) host.counter_since = now;
    for (int i = 0; i < 12; ++i) vms["vm" + std::to_string(i)] = fresh();
    for (int i = 0; i < 3; ++i) hosts[i].last = look(i);
  }
  Vm fresh() {
    return {.host = static_cast<int>(random.below(3)),
            .cpu = random.between(0, 8000),
            .memory = random.between(0, 500),
            .busy = random.unit(),
            .since = now};
  }
  VmEnergySample seen(const std::string& name, const Vm& it) const {
    return {.vm = name,
            .cpu_time = from_seconds(it.cpu_s),
            .cpu = it.cpu,
            .memory = it.memory,
            .since = it.since};
  }
  HostEnergySample look(int i) {
    Host& host = hosts[static_cast<std::size_t>(i)];
    HostEnergySample made{.at = now,
                          .boot = std::to_string(host.boots),
                          .cpu_time = from_seconds(host.cpu_s),
                          .cpu = 20'000,
                          .memory = 2000,
                          .idle = Watts(120),
                          .vms = host.left};
    host.left.clear();
    for (auto& [name, it] : vms)
      if (it.host == i) made.vms.push_back(seen(name, it));
    made.reading.energy = Joules(host.counter);
    made.reading.energy_since = host.counter_since;
    made.reading.watts = Watts(150);
    return made;
  }
  void pass(double s) {
    now += from_seconds(s);
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      double busy = 0.1;
      for (auto& [name, it] : vms)
        if (it.host == static_cast<int>(i)) {
          it.cpu_s += it.busy * s;
          busy += it.busy;
        }
      hosts[i].cpu_s += busy * s;
      hosts[i].joules += (120 + 20 * busy) * s;
      hosts[i].counter += (120 + 20 * busy) * s;
    }
  }
  void leave(const std::string& name, Vm& it) {
    auto& left = hosts[static_cast<std::size_t>(it.host)].left;
    std::erase_if(left, [&](auto& each) { return each.vm == name; });  // there and back: once
    left.push_back(seen(name, it));
    left.back().until = now;
  }
  // One thing at random. True: the meter's counter broke, so the truth is known only about.
  bool happen() {
    auto it = std::next(vms.begin(), random.below(vms.size()));
    switch (random.below(4)) {
      case 0: {  // it moves
        int to = static_cast<int>(random.below(3));
        auto& there = hosts[static_cast<std::size_t>(to)].left;
        if (to == it->second.host) return false;
        leave(it->first, it->second);
        std::erase_if(there, [&](auto& each) { return each.vm == it->first; });
        it->second.host = to;
        it->second.cpu_s = 0;
        it->second.since = now;
        return false;
      }
      case 1:
        it->second.busy = random.unit();
        return false;
      case 2: {  // its guest is started anew in another QEMU
        it->second.cpu_s = 0;
        it->second.since = now;
        return false;
      }
      default: {  // the agent is started anew, or its host
        Host& host = hosts[random.below(3)];
        host.counter = 0;
        host.counter_since = now;
        if (random.chance(0.3)) {
          ++host.boots;
          host.cpu_s = 0;
        }
        return true;
      }
    }
  }
};

TEST(EnergyShare, WhateverHappensThePartsAreTheWhole) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    const bool breaks = seed % 2 == 0;
    for (int step = 0; step < 60; ++step) {
      for (std::uint32_t n = world.random.below(3); n > 0; --n) {
        world.pass(world.random.between(0.01, 20));
        if (breaks || !world.random.chance(0.25)) {
          World copy = world;
          if (!copy.happen() || breaks) world = copy;
        }
      }
      world.pass(world.random.between(0.01, 20));
      for (int i = 0; i < 3; ++i) {
        World::Host& host = world.hosts[static_cast<std::size_t>(i)];
        HostEnergySample now = world.look(i);
        auto shared = share_energy(host.last, now);
        ASSERT_TRUE(shared) << shared.error().message;
        ASSERT_NEAR(sum(*shared), shared->total.value, shared->total.value * 1e-3);
        for (const VmEnergy& each : shared->vms) {
          ASSERT_GE(each.energy.idle.value, 0);
          ASSERT_GE(each.energy.active.value, 0);
        }
        ASSERT_GE(shared->unused.idle.value, 0);
        host.accounted += shared->total.value;
        host.last = std::move(now);
      }
    }
    for (const World::Host& host : world.hosts)
      EXPECT_NEAR(host.accounted, host.joules, host.joules * (breaks ? 0.2 : 1e-6));
  }
}

}  // namespace
}  // namespace chorok::policy
