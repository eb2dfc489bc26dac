#include "manager/telemetry.h"

#include <gtest/gtest.h>

#include "adapters/memory/memory_store.h"
#include "sim/virtual_loop.h"

namespace chorok::manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr double kCore = 2000;

class TelemetryTest : public testing::Test {
 protected:
  TelemetryTest() {
    loop.run_for(minutes(10));
    engine.start([](const Result<>& started) { ASSERT_TRUE(started); });
    loop.run_for(seconds(1));
    Changes changes;
    for (const char* id : {"host-1", "host-2"}) {
      model::Host host;
      host.meta = {.id = id, .name = id};
      host.inventory.cpu.mhz = Mhz(kCore);
      host.inventory.cpu.online = 4;
      changes.put(std::move(host));
    }
    model::Vm vm;
    vm.meta = {.id = "vm-1", .name = "web"};
    vm.uuid = "u1";
    vm.host = "host-1";
    vm.spec.vcpus = 2;
    vm.spec.memory = Mib(1024);
    changes.put(std::move(vm));
    engine.commit(std::move(changes), [](const Result<>&) {});
    loop.run_for(seconds(1));
    telemetry.emplace(engine);
    telemetry->on_consumed([this](const Consumption& each) {
      ++consumptions;
      for (const VmConsumption& vm : each.vms) {
        cpu_s[vm.uuid] += vm.cpu_s;
        disk[vm.uuid] += vm.disk_bytes;
        memory_mib_s[vm.uuid] += vm.memory_mib_s;
      }
    });
  }

  const VmLoad* load() const { return telemetry->find(*engine.inventory().vms().find("vm-1"), {}); }

  struct Machine {
    std::string id;
    std::string boot = "boot-1";
    Duration uptime = seconds(1000);
    Duration busy{};
    std::map<std::string, model::VmSample> vms;
  };
  static model::VmSample guest(const std::string& uuid, std::uint64_t life = 1) {
    model::VmSample vm{.uuid = uuid, .life = life, .state = model::VmState::kOn, .vcpus = 2};
    vm.memory = vm.memory_maximum = Mib(1024);
    vm.memory_resident = Mib(800);
    vm.guest_available = Mib(1000);
    vm.guest_usable = Mib(700);
    return vm;
  }
  static model::HostSample sample(const Machine& machine) {
    model::HostSample made{.boot_id = machine.boot, .uptime = machine.uptime};
    made.sequence = static_cast<std::uint64_t>(machine.uptime / milliseconds(1));
    made.cpu_known = true;
    made.cpu_busy = machine.busy;
    made.memory_total = Mib(8192);
    made.memory_available = Mib(6000);
    for (const auto& [uuid, vm] : machine.vms) made.vms.push_back(vm);
    return made;
  }
  Result<> tell(const Machine& machine, std::vector<model::HostSample> samples) {
    return telemetry->take(machine.id, {machine.boot, machine.uptime, std::move(samples)});
  }
  void tell(const Machine& machine) { ASSERT_TRUE(tell(machine, {sample(machine)})); }
  // Time goes by, and each guest uses so many cores of it.
  void pass(Machine& machine, Duration time, double cores) {
    machine.uptime += time;
    machine.busy += from_seconds(chorok::seconds(time) * cores);
    for (auto& [uuid, vm] : machine.vms) {
      vm.cpu_time += from_seconds(chorok::seconds(time) * cores);
      vm.disk_written += Bytes(static_cast<std::int64_t>(1000 * chorok::seconds(time)));
    }
  }
  void run(Machine& machine, Duration time, double cores) {
    loop.run_for(time);
    pass(machine, time, cores);
    tell(machine);
  }

  sim::VirtualLoop loop;
  memory::MemoryStore store{loop};
  int ids = 0;
  Engine engine{loop, store, [this](std::string_view prefix) {
                  return std::string(prefix) + std::to_string(++ids);
                }};
  std::optional<Telemetry> telemetry;
  int consumptions = 0;
  std::map<std::string, double> cpu_s;
  std::map<std::string, double> disk;
  std::map<std::string, double> memory_mib_s;
};

// A guest with little to do waits at each turn while others are busy. That is no demand of its own:
// taken for one, every migration would make the guests beside it travel.
TEST_F(TelemetryTest, WaitingIsDemandOnlyOfWhoDoesNotSleep) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  tell(one);
  one.vms["u1"].cpu_ready += seconds(4);  // of twenty, which its two vCPUs had
  run(one, seconds(10), 0.04);
  const VmLoad* seen = load();
  ASSERT_TRUE(seen);
  EXPECT_NEAR(seen->cpu.now, 0.05 * kCore, 1);
  one.vms["u1"].cpu_ready += seconds(10);
  run(one, seconds(10), 1);  // both never rest
  seen = load();
  ASSERT_TRUE(seen);
  EXPECT_NEAR(seen->cpu.now, 2 * kCore, 1);
}

TEST_F(TelemetryTest, WhatIsFrozenStaysAsItWas) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  tell(one);
  run(one, seconds(10), 0.5);
  const auto record = engine.inventory().vms().find("vm-1");
  const VmLoad now = *load();
  const auto frozen = telemetry->frozen();
  for (int i = 0; i < 100; ++i) run(one, seconds(10), 2);
  const VmLoad* later = frozen->find(*record, {});
  ASSERT_TRUE(later);
  EXPECT_EQ(later->cpu, now.cpu);
  EXPECT_EQ(later->memory, now.memory);
  EXPECT_EQ(later->sample_age, now.sample_age);
  EXPECT_NEAR(load()->cpu.now, 2 * kCore, 1);
  EXPECT_FALSE(frozen->find(model::Vm{}, {}));
}

TEST_F(TelemetryTest, RatesAreWhatCountersGrewBy) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  tell(one);
  EXPECT_EQ(telemetry->vm("vm-1"), nullptr) << "one sample is no rate";
  one.vms["u1"].cpu_ready += seconds(1);
  run(one, seconds(10), 0.5);
  const VmUsage* usage = telemetry->vm("vm-1");
  ASSERT_TRUE(usage);
  EXPECT_DOUBLE_EQ(usage->cpu_mhz, 0.5 * kCore);
  EXPECT_DOUBLE_EQ(usage->ready_mhz, 0.1 * kCore);
  EXPECT_DOUBLE_EQ(usage->disk_written, 1000);
  EXPECT_EQ(usage->active, 300);
  EXPECT_EQ(usage->consumed, 800);
  EXPECT_EQ(usage->reclaimable, 500);
  const HostUsage* host = telemetry->host("host-1");
  ASSERT_TRUE(host);
  EXPECT_DOUBLE_EQ(host->cpu_mhz, 0.5 * kCore);
  EXPECT_DOUBLE_EQ(host->guests_mhz, 0.5 * kCore);
  EXPECT_EQ(host->available, 6000);
  EXPECT_EQ(host->vms, 1);
  const VmLoad* seen = load();
  ASSERT_TRUE(seen);
  EXPECT_NEAR(seen->cpu.now, (0.5 + 0.1 * 0.5 / 1.9) * kCore, 1);
  EXPECT_NEAR(seen->memory.now, 300, 1);
  EXPECT_EQ(seen->consumed, 800);
  EXPECT_EQ(seen->sample_age, Duration{});
  model::Vm other = *engine.inventory().vms().find("vm-1");
  other.uuid = "u2";
  EXPECT_EQ(telemetry->find(other, {}), nullptr);
}

// A VM that is copied away uses a core for that; its guest did not ask for it.
TEST_F(TelemetryTest, CopyingForAMigrationIsNoDemand) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  one.vms["u1"].cpu_vcpus = seconds(1);
  tell(one);
  one.vms["u1"].cpu_vcpus += seconds(2);
  run(one, seconds(10), 0.9);
  const VmUsage* usage = telemetry->vm("vm-1");
  ASSERT_TRUE(usage);
  EXPECT_DOUBLE_EQ(usage->cpu_mhz, 0.9 * kCore);
  EXPECT_DOUBLE_EQ(usage->vcpus_mhz, 0.2 * kCore);
  EXPECT_NEAR(load()->cpu.now, 0.2 * kCore, 1);
}

TEST_F(TelemetryTest, ASampleCountsOnce) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  tell(one);
  run(one, seconds(10), 1);
  const model::HostSample again = sample(one);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(tell(one, {again}));
  EXPECT_DOUBLE_EQ(cpu_s["u1"], 10);
  EXPECT_EQ(consumptions, 2);
  // Also after a batch that was half taken: the next one repeats its beginning.
  std::vector<model::HostSample> batch = {again};
  loop.run_for(seconds(10));
  pass(one, seconds(10), 1);
  batch.push_back(sample(one));
  ASSERT_TRUE(tell(one, batch));
  EXPECT_DOUBLE_EQ(cpu_s["u1"], 20);
}

TEST_F(TelemetryTest, AProcessThatBeganAnewIsCountedFromZero) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  one.vms["u1"].cpu_time = seconds(5000);
  tell(one);
  run(one, seconds(10), 1);
  EXPECT_DOUBLE_EQ(cpu_s["u1"], 10) << "nobody knows when it used what it had used before";
  // Stopped and started: the rate of the interval says nothing, what was used is counted.
  loop.run_for(seconds(10));
  one.uptime += seconds(10);
  one.vms["u1"] = guest("u1", 2);
  one.vms["u1"].cpu_time = seconds(3);
  tell(one);
  EXPECT_DOUBLE_EQ(cpu_s["u1"], 13);
  EXPECT_DOUBLE_EQ(telemetry->vm("vm-1")->cpu_mhz, kCore) << "as it was";
  run(one, seconds(10), 0.25);
  EXPECT_DOUBLE_EQ(telemetry->vm("vm-1")->cpu_mhz, 0.25 * kCore);
  // A counter that goes back without a word (another libvirtd counts differently).
  one.vms["u1"].cpu_time = seconds(1);
  one.uptime += seconds(10);
  tell(one);
  EXPECT_DOUBLE_EQ(cpu_s["u1"], 13 + 2.5 + 1);
}

TEST_F(TelemetryTest, FollowsAVmThatMoves) {
  Machine one{.id = "host-1"};
  Machine two{.id = "host-2", .boot = "boot-2", .uptime = seconds(77)};
  one.vms["u1"] = guest("u1");
  tell(one);
  tell(two);
  run(one, seconds(10), 1);
  pass(two, seconds(10), 0);
  tell(two);
  // It arrives, paused, while it still runs on the first.
  two.vms["u1"] = guest("u1", 9);
  two.vms["u1"].state = model::VmState::kPaused;
  loop.run_for(seconds(10));
  pass(one, seconds(10), 1);
  pass(two, seconds(10), 0);
  tell(one);
  tell(two);
  loop.run_for(seconds(10));
  pass(one, seconds(10), 1);
  pass(two, seconds(10), 0);
  tell(one);
  tell(two);
  EXPECT_EQ(telemetry->vm("vm-1")->host, "host-1");
  EXPECT_DOUBLE_EQ(telemetry->vm("vm-1")->cpu_mhz, kCore);
  // The switch.
  one.vms.clear();
  two.vms["u1"].state = model::VmState::kOn;
  loop.run_for(seconds(10));
  pass(one, seconds(10), 0);
  pass(two, seconds(10), 0.5);
  tell(one);
  tell(two);
  EXPECT_EQ(telemetry->vm("vm-1")->host, "host-2");
  EXPECT_DOUBLE_EQ(telemetry->vm("vm-1")->cpu_mhz, 0.5 * kCore);
  EXPECT_DOUBLE_EQ(cpu_s["u1"], 10 + 10 + 10 + 5);
  EXPECT_DOUBLE_EQ(load()->cpu_when_moved, kCore);
  EXPECT_EQ(telemetry->host("host-1")->vms, 0);
}

TEST_F(TelemetryTest, AGapIsAMeanAndLosesNothing) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  tell(one);
  run(one, seconds(10), 1);
  run(one, minutes(30), 0.5);
  EXPECT_DOUBLE_EQ(telemetry->vm("vm-1")->cpu_mhz, 0.5 * kCore);
  EXPECT_DOUBLE_EQ(cpu_s["u1"], 10 + 900);
  EXPECT_GT(load()->gaps, 0.5);
  loop.run_for(minutes(7));
  EXPECT_EQ(load()->sample_age, minutes(7));
  EXPECT_TRUE(telemetry->is_stale(telemetry->vm("vm-1")->at));
}

TEST_F(TelemetryTest, ABacklogIsDatedByUptimeNotByClocks) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  tell(one);
  std::vector<model::HostSample> backlog;
  std::vector<Duration> intervals;
  telemetry->on_consumed(
      [&](const Consumption& each) { intervals.push_back(each.to - each.from); });
  const Time began = engine.now();
  for (int i = 0; i < 6; ++i) {
    loop.run_for(seconds(10));
    pass(one, seconds(10), 1);
    backlog.push_back(sample(one));
    backlog.back().time = engine.now() + std::chrono::hours(24 * (i % 2));  // a clock that steps
  }
  ASSERT_TRUE(tell(one, backlog));
  EXPECT_EQ(intervals, std::vector<Duration>(6, seconds(10)));
  EXPECT_EQ(telemetry->vm("vm-1")->at, began + seconds(60));
}

TEST_F(TelemetryTest, AnotherBootBeginsAtZero) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  tell(one);
  run(one, seconds(10), 1);
  one.boot = "boot-2";
  one.uptime = seconds(60);
  one.busy = seconds(2);
  one.vms["u1"] = guest("u1");
  loop.run_for(minutes(1));
  tell(one);
  run(one, seconds(10), 0.5);
  EXPECT_DOUBLE_EQ(cpu_s["u1"], 15);
  EXPECT_DOUBLE_EQ(telemetry->host("host-1")->cpu_mhz, 0.5 * kCore);
}

// Hours in which a host slept are no span that it used anything over: not little of it, but none.
TEST_F(TelemetryTest, AHostThatWasSuspendedIsCountedFromWhenItWoke) {
  Machine host{.id = "host-1"};
  tell(host);
  run(host, seconds(10), 1.0);
  ASSERT_TRUE(telemetry->host("host-1"));
  const double before = telemetry->host("host-1")->cpu_mhz;
  EXPECT_NEAR(before, kCore, 1);
  loop.run_for(std::chrono::hours(8));
  pass(host, std::chrono::hours(8), 0);
  model::HostSample woken = sample(host);
  woken.resumed = true;
  ASSERT_TRUE(tell(host, {woken}));
  EXPECT_EQ(telemetry->host("host-1")->interval, seconds(10)) << "nothing is said of the night";
  ASSERT_TRUE(tell(host, {woken})) << "told twice it counts once";
  host.vms["u1"] = guest("u1");
  tell(host);
  run(host, seconds(10), 0.5);
  EXPECT_EQ(telemetry->host("host-1")->interval, seconds(10));
  EXPECT_NEAR(telemetry->host("host-1")->cpu_mhz, kCore / 2, 1);
  EXPECT_NEAR(cpu_s["u1"], 5, 0.01);
}

TEST_F(TelemetryTest, ASampleInPartsIsOne) {
  Machine one{.id = "host-1"};
  for (const char* uuid : {"u1", "u2", "u3"}) one.vms[uuid] = guest(uuid);
  auto parts = [&] {
    model::HostSample whole = sample(one);
    model::HostSample first = whole;
    model::HostSample second = whole;
    first.vms = {whole.vms[0], whole.vms[1]};
    first.more = true;
    second.vms = {whole.vms[2]};
    second.sequence += 1;
    return std::vector{first, second};
  };
  ASSERT_TRUE(tell(one, parts()));
  loop.run_for(seconds(10));
  pass(one, seconds(10), 0.5);
  auto both = parts();
  ASSERT_TRUE(tell(one, {both[0]}));
  EXPECT_EQ(telemetry->host("host-1"), nullptr) << "not yet whole";
  ASSERT_TRUE(tell(one, {both[1]}));
  EXPECT_EQ(telemetry->host("host-1")->vms, 3);
  EXPECT_EQ(consumptions, 2);
  for (const char* uuid : {"u1", "u2", "u3"}) EXPECT_DOUBLE_EQ(cpu_s[uuid], 5) << uuid;
}

TEST_F(TelemetryTest, WhatEndedInAMergedSampleIsCounted) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  tell(one);
  loop.run_for(seconds(20));
  one.vms["u2"] = guest("u2");
  pass(one, seconds(20), 0.5);
  model::HostSample merged = sample(one);
  merged.merged = 1;
  merged.vms[0].ended = true;
  one.vms.erase("u1");
  ASSERT_TRUE(tell(one, {merged}));
  EXPECT_DOUBLE_EQ(cpu_s["u1"], 10);
  EXPECT_EQ(telemetry->host("host-1")->vms, 1);
}

TEST_F(TelemetryTest, ABusyDomainThatSaysLessHasNotReadItsDisksAgain) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  one.vms["u1"].disk_written = Bytes(1'000'000'000);
  tell(one);
  run(one, seconds(10), 1);
  const model::VmSample full = one.vms["u1"];
  model::VmSample& vm = one.vms["u1"];
  vm.disk_written = vm.disk_read = {};
  vm.guest_available = vm.guest_usable = {};
  one.uptime += seconds(10);
  loop.run_for(seconds(10));
  tell(one);
  EXPECT_EQ(telemetry->vm("vm-1")->active, 300);
  EXPECT_EQ(telemetry->vm("vm-1")->disk_written, 0);
  vm = full;
  run(one, seconds(10), 1);
  EXPECT_DOUBLE_EQ(disk["u1"], 20'000);
}

TEST_F(TelemetryTest, NonsenseIsRefusedOrIgnored) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  tell(one);
  model::HostSample bad = sample(one);
  bad.vms[0].cpu_time = seconds(-1);
  ++bad.sequence;
  auto refused = tell(one, {bad});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "/samples/0/vms/0");
  bad.boot_id.clear();
  EXPECT_EQ(tell(one, {bad}).error().field, "/samples/0/boot_id");
  // A hundred days of CPU in ten seconds.
  run(one, seconds(10), 1);
  one.vms["u1"].cpu_time += std::chrono::hours(2400);
  run(one, seconds(10), 0);
  EXPECT_DOUBLE_EQ(cpu_s["u1"], 10);
  EXPECT_DOUBLE_EQ(telemetry->vm("vm-1")->cpu_mhz, kCore);
  run(one, seconds(10), 0.5);
  EXPECT_DOUBLE_EQ(telemetry->vm("vm-1")->cpu_mhz, 0.5 * kCore);
}

TEST_F(TelemetryTest, GoesOnWhereAnEarlierProcessLeftOff) {
  Machine one{.id = "host-1"};
  one.vms["u1"] = guest("u1");
  tell(one);
  run(one, seconds(10), 1);
  const std::string kept = json::encode(telemetry->cursor("host-1"));
  const model::HostSample last = sample(one);
  double counted = 0;
  telemetry.emplace(engine);
  telemetry->on_consumed([&](const Consumption& each) {
    for (const VmConsumption& vm : each.vms) counted += vm.cpu_s;
  });
  telemetry->restore("host-1", *json::decode<HostCursor>(kept, {.stored = true}));
  ASSERT_TRUE(tell(one, {last}));
  EXPECT_EQ(counted, 0) << "it was counted before";
  run(one, minutes(5), 1);
  EXPECT_DOUBLE_EQ(counted, 300);
}

}  // namespace
}  // namespace chorok::manager
