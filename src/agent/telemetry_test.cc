#include "agent/telemetry.h"

#include <set>

#include "agent/test_support.h"

namespace chorok::agent {
namespace {

using namespace testing;
using std::chrono::minutes;

class TelemetryTest : public AgentTest {
 protected:
  const model::VmSample* newest(const std::string& uuid) {
    if (manager.samples.empty()) return nullptr;
    auto& vms = manager.samples.back().vms;
    auto found = std::ranges::find(vms, uuid, &model::VmSample::uuid);
    return found == vms.end() ? nullptr : &*found;
  }
  // Every sample once, and each later than the one before it.
  void expect_ascending() {
    std::uint64_t before = 0;
    for (const model::HostSample& each : manager.samples) {
      EXPECT_GT(each.sequence, before);
      EXPECT_EQ(each.boot_id, "boot-1");
      before = each.sequence;
    }
  }
};

TEST_F(TelemetryTest, SaysWhatTheHostAndItsVmsUse) {
  connect();
  model::VmTarget web = running_vm("web");
  settle(seconds(30));
  ASSERT_GE(manager.samples.size(), 2u);
  const model::VmSample* vm = newest(web.uuid);
  ASSERT_TRUE(vm);
  EXPECT_GT(vm->cpu_time, Duration{});
  EXPECT_EQ(vm->memory, Mib{512});
  EXPECT_TRUE(vm->guest_known());
  EXPECT_TRUE(vm->dirty_known);
  EXPECT_EQ(vm->dirty_mib_s, 20);
  EXPECT_TRUE(manager.samples.back().cpu_known);
  EXPECT_GT(manager.samples.back().uptime, Duration{});
  expect_ascending();
}

TEST_F(TelemetryTest, MeasuresADirtyRateWhenAsked) {
  connect();
  model::VmTarget web = running_vm("web"), off = vm("off");
  expect_ok(run(model::OpKind::kDefine, off));
  settle(seconds(3));
  const auto rate = [&](const std::string& uuid, Duration window) {
    return ask("vm.dirty_rate", json::encode(model::DirtyRateRequest{uuid, window}));
  };
  const Time began = cluster.loop.now();
  const auto answer = rate(web.uuid, seconds(2));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(json::decode<model::DirtyRateAnswer>(*answer)->mib_s, 20);
  EXPECT_GE(cluster.loop.now() - began, seconds(2));
  EXPECT_EQ(rate(off.uuid, seconds(1)).error().code, Code::kFailedPrecondition);
  EXPECT_EQ(rate(web.uuid, seconds(0)).error().code, Code::kInvalid);
  // Many at once: one after the other, and not without end.
  std::vector<Result<std::string>> answers;
  const Time asked = cluster.loop.now();
  for (int i = 0; i < 12; ++i)
    manager.channel->call("vm.dirty_rate",
                          json::encode(model::DirtyRateRequest{web.uuid, seconds(2)}), seconds(40),
                          [&](Result<std::string> said) { answers.push_back(std::move(said)); });
  cluster.loop.advance_until([&] { return answers.size() == 12; }, minutes(2));
  ASSERT_EQ(answers.size(), 12u);
  EXPECT_EQ(std::ranges::count_if(answers, [](const auto& each) { return !each; }), 3);
  EXPECT_EQ(answers[0].error().code, Code::kUnavailable);
  EXPECT_GE(cluster.loop.now() - asked, seconds(18));
}

// A meter of the host itself: counts ten watts, or cannot be read, or never answers.
struct CountingMeter final : ports::PowerMeter {
  explicit CountingMeter(Loop& l) : loop(l) {}
  void read(Done<Result<model::PowerReading>> done) override {
    ++reads;
    if (hangs) return waiting.push_back(std::move(done));
    if (fails) return done(fail(Code::kUnavailable, "not now"));
    model::PowerReading reading{.source = model::WattSource::kMeasured,
                                .method = model::MeterMethod::kRapl,
                                .scope = model::MeterScope::kProcessors};
    reading.energy = Joules(10 * chorok::seconds(loop.now().time_since_epoch()));
    reading.energy_since = Time(seconds(1));
    done(std::move(reading));
  }
  Loop& loop;
  int reads = 0;
  bool fails = false;
  bool hangs = false;
  std::vector<Done<Result<model::PowerReading>>> waiting;
};

TEST_F(TelemetryTest, TellsItsMetersWithEachSample) {
  CountingMeter meter(cluster.loop);
  meters = {&meter};
  kill();
  boot();
  connect();
  running_vm("web");
  settle(minutes(2));
  ASSERT_GE(manager.samples.size(), 10u);
  EXPECT_NEAR(meter.reads, static_cast<double>(manager.samples.size()), 1) << "no timer of its own";
  const model::HostSample& last = manager.samples.back();
  const model::HostSample& before = manager.samples[manager.samples.size() - 2];
  ASSERT_EQ(last.power.size(), 1u);
  ASSERT_EQ(before.power.size(), 1u);
  EXPECT_NEAR(last.power[0].energy->value - before.power[0].energy->value,
              10 * chorok::seconds(last.uptime - before.uptime), 1);
  meter.fails = true;
  settle(seconds(30));
  EXPECT_TRUE(manager.samples.back().power.empty());
  meter.hangs = true;
  manager.samples.clear();
  settle(minutes(2));
  EXPECT_GE(manager.samples.size(), 4u) << "a meter that hangs makes samples late and not missing";
  EXPECT_FALSE(manager.samples.back().vms.empty());
  kill();
}

TEST_F(TelemetryTest, KeepsTheManagersPaceOnItsBeats) {
  connect();
  running_vm("web");
  settle(seconds(20));
  manager.samples.clear();
  settle(minutes(10));
  EXPECT_NEAR(static_cast<double>(manager.samples.size()), 60, 1);
  model::AgentConfig config = test_config();
  config.sample_interval = seconds(4);
  manager.channel->notify("config", json::encode(config));
  settle(seconds(4));
  manager.samples.clear();
  settle(minutes(1));
  EXPECT_NEAR(static_cast<double>(manager.samples.size()), 15, 1);
  config.sample_interval = Duration{};
  manager.channel->notify("config", json::encode(config));
  settle(seconds(4));
  manager.samples.clear();
  settle(minutes(10));
  EXPECT_EQ(manager.samples.size(), 0u);
}

TEST_F(TelemetryTest, AHostWithoutVmsIsLeftAlone) {
  connect();
  settle(minutes(2));
  manager.samples.clear();
  settle(minutes(10));
  EXPECT_NEAR(static_cast<double>(manager.samples.size()), 10, 1);
}

TEST_F(TelemetryTest, TellsLaterWhatNobodyHeard) {
  connect();
  model::VmTarget web = running_vm("web");
  settle(seconds(20));
  core->detach("cut");
  manager.samples.clear();
  settle(minutes(5));
  EXPECT_EQ(manager.samples.size(), 0u);
  connect();
  settle(seconds(5));
  EXPECT_GE(manager.samples.size(), 30u);
  expect_ascending();
  EXPECT_EQ(telemetry_medium.content, "");
}

TEST_F(TelemetryTest, WithoutAnAnswerItIsSentAgain) {
  connect();
  running_vm("web");
  settle(seconds(20));
  manager.samples.clear();
  manager.swallow_telemetry = true;
  settle(minutes(1));
  // Each again and again; a manager that counts by number is not misled.
  std::set<std::uint64_t> different;
  for (const model::HostSample& each : manager.samples) different.insert(each.sequence);
  EXPECT_GT(manager.samples.size(), different.size());
  manager.swallow_telemetry = false;
  settle(seconds(30));
  manager.samples.clear();
  settle(minutes(1));
  expect_ascending();
}

TEST_F(TelemetryTest, AKilledAgentGoesOnWhereItWas) {
  connect();
  running_vm("web");
  settle(seconds(20));
  core->detach("cut");
  manager.samples.clear();
  settle(minutes(1));
  boot();
  settle(seconds(25));  // without a manager it goes on measuring
  connect();
  settle(seconds(5));
  // The last one before the kill was not on the disk yet.
  EXPECT_GE(manager.samples.size(), 7u);
  expect_ascending();
}

TEST_F(TelemetryTest, AnOldManagerHearsNothing) {
  manager.welcome.version = 1;
  connect();
  running_vm("web");
  settle(minutes(5));
  EXPECT_EQ(manager.samples.size(), 0u);
  EXPECT_EQ(manager.count["beat"] > 100, true);
}

TEST_F(TelemetryTest, WhatTheManagerCannotReadDoesNotHoldUpTheRest) {
  connect();
  running_vm("web");
  manager.telemetry_refusal = Error{Code::kInvalid, "no", "/samples"};
  settle(minutes(1));
  manager.telemetry_refusal.reset();
  manager.samples.clear();
  settle(seconds(21));
  EXPECT_LE(manager.samples.size(), 3u);
  EXPECT_GE(manager.samples.size(), 2u);
}

// Twenty hosts meet their manager in one moment and beat every two seconds from then on.
TEST_F(TelemetryTest, HostsThatCameTogetherDoNotTellAllTogether) {
  kill();
  hypervisor = cluster.world.open_hypervisor(0);
  struct Host {
    std::vector<Time> told;
    std::unique_ptr<Telemetry> meter;
  };
  std::vector<Host> hosts(20);
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    Host& host = hosts[i];
    host.meter = std::make_unique<Telemetry>(
        cluster.loop, *hypervisor, fmt::format("boot-{}", i), TelemetrySettings{},
        [&](const std::string&, ports::Channel::Reply reply) {
          host.told.push_back(cluster.loop.now());
          reply("{}");
        },
        [] { return true; });
    host.meter->begin(true);
  }
  const Time began = cluster.loop.now();
  for (int beat = 0; beat < 100; ++beat) {
    for (const Host& host : hosts) host.meter->on_beat(true);
    settle(seconds(2));
  }
  std::map<Duration, int> at;
  for (const Host& host : hosts) {
    ASSERT_GE(host.told.size(), 20U);
    EXPECT_LT(host.told[0] - began, seconds(1)) << "what is there is told at once";
    EXPECT_LE(host.told[1] - host.told[0], seconds(11));
    for (std::size_t i = 2; i < host.told.size(); ++i)
      EXPECT_NEAR(chorok::seconds(host.told[i] - host.told[i - 1]), 10, 1);
    ++at[(host.told[10] - began) % seconds(10) / seconds(2) * seconds(2)];
  }
  EXPECT_EQ(at.size(), 5U);
  for (const auto& [when, count] : at) EXPECT_LE(count, 8);
}

TEST_F(TelemetryTest, ACrowdComesInParts) {
  kill();
  hypervisor = cluster.world.open_hypervisor(0);
  std::vector<model::HostSample> told;
  Telemetry meter(
      cluster.loop, *hypervisor, "boot-1", {.vms_per_sample = 2},
      [&](const std::string& params, ports::Channel::Reply reply) {
        auto batch = *json::decode<model::TelemetryBatch>(params, {.stored = true});
        std::ranges::move(batch.samples, std::back_inserter(told));
        reply("{}");
      },
      [] { return true; });
  for (int i = 0; i < 5; ++i) {
    model::DomainSpec domain{.uuid = fmt::format("u{}", i), .name = fmt::format("n{}", i)};
    ASSERT_TRUE(cluster.world.define_foreign(0, domain, true));
  }
  meter.begin(true);
  meter.on_beat(true);
  settle(seconds(1));
  ASSERT_EQ(told.size(), 3u);
  EXPECT_TRUE(told[0].more && told[1].more && !told[2].more);
  EXPECT_EQ(told[2].vms.size(), 1u);
  EXPECT_LT(told[0].sequence, told[1].sequence);
  EXPECT_EQ(told[0].uptime, told[2].uptime);
}

}  // namespace
}  // namespace chorok::agent
