#include "agent/departure.h"

#include "agent/test_support.h"

namespace chorok::agent {
namespace {

using namespace testing;
using model::Standby;
using std::chrono::hours;
using std::chrono::minutes;

// A host that does what the test says.
struct FakeStandby final : ports::HostStandby {
  Result<> can(Standby how) override {
    if (how == Standby::kSuspend && !suspends) return fail(Code::kUnsupported, "offers no 'mem'");
    return {};
  }
  void go(Standby how, Duration after, Done<Result<>> then) override {
    ++went;
    last = how;
    wake_after = after;
    done = std::move(then);
  }

  bool suspends = true;
  int went = 0;
  Standby last{};
  Duration wake_after{};
  Done<Result<>> done;
};

class DepartureTest : public AgentTest {
 protected:
  DepartureTest() {
    standby = &host;
    boot();
    core->on_detached([this](const Error& why) { detached = why.message; });
    connect();
    settle();
  }
  Result<std::string> tell(Standby how = Standby::kOff) {
    return ask("host.standby",
               json::encode(model::StandbyRequest{.term = 1, .how = how, .wake_after = hours(3)}));
  }
  void expect_refused(const Result<std::string>& answer, Code code, const std::string& why) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, code);
    EXPECT_TRUE(answer.error().message.contains(why)) << answer.error().message;
    settle(minutes(1));
    EXPECT_EQ(host.went, 0);
  }

  FakeStandby host;
  std::string detached;
};

TEST_F(DepartureTest, AnswersAndGoes) {
  ASSERT_TRUE(tell());
  EXPECT_EQ(host.went, 0) << "the answer leaves first";
  settle();
  EXPECT_EQ(host.went, 1);
  EXPECT_EQ(host.last, Standby::kOff);
  EXPECT_TRUE(core->connected()) << "until its system ends it";
  ASSERT_TRUE(tell()) << "asked again while it goes";
  settle();
  EXPECT_EQ(host.went, 1);
}

TEST_F(DepartureTest, NotWhileAGuestRuns) {
  model::VmTarget web = running_vm("web");
  expect_refused(tell(), Code::kFailedPrecondition, "'web' runs here");
  expect_ok(run(OpKind::kDestroy, web));
  EXPECT_TRUE(tell()) << "one that is off does not matter";
}

TEST_F(DepartureTest, NotWhileAnOperationIsUnderWay) {
  model::VmTarget web = vm("web");
  expect_ok(run(OpKind::kDefine, web));
  ASSERT_TRUE(start(operation(OpKind::kStart, web)));
  auto answer = tell();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kFailedPrecondition);
  settle(minutes(1));
  EXPECT_EQ(host.went, 0);
}

TEST_F(DepartureTest, BeginsNothingOnceItGoes) {
  model::VmTarget web = vm("web");
  expect_ok(run(OpKind::kDefine, web));
  ASSERT_TRUE(tell());
  auto begun = start(operation(OpKind::kStart, web));
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(begun.error().message.contains("goes to standby"));
}

TEST_F(DepartureTest, AnOlderManagerIsNotObeyed) {
  manager.welcome.term = 7;
  connect();
  expect_refused(tell(), Code::kConflict, "");
}

TEST_F(DepartureTest, SaysWhatTheHostLacks) {
  host.suspends = false;
  expect_refused(tell(Standby::kSuspend), Code::kUnsupported, "no 'mem'");
  EXPECT_TRUE(tell(Standby::kOff));
  standby = nullptr;
  boot();
  connect();
  auto answer = tell();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kUnsupported);
}

TEST_F(DepartureTest, WhatNobodyHasTakenYetIsOnTheDisk) {
  settle(minutes(2));
  manager.swallow_telemetry = true;
  const std::size_t told = manager.count["telemetry"];
  telemetry_medium.content.clear();
  ASSERT_TRUE(tell());
  EXPECT_GT(manager.count["telemetry"], static_cast<int>(told)) << "it measures once more";
  EXPECT_TRUE(telemetry_medium.content.contains("boot-1"));
}

TEST_F(DepartureTest, AFullDiskKeepsItOn) {
  manager.swallow_telemetry = true;
  telemetry_medium.full = true;
  expect_refused(tell(), Code::kExhausted, "cannot be kept");
  telemetry_medium.full = false;
  EXPECT_TRUE(tell());
}

TEST_F(DepartureTest, OneThatIsStillThereTakesOperationsAgain) {
  model::VmTarget web = vm("web");
  expect_ok(run(OpKind::kDefine, web));
  ASSERT_TRUE(tell());
  settle();
  host.done({});
  settle(minutes(4));
  EXPECT_FALSE(start(operation(OpKind::kStart, web)));
  settle(minutes(2));
  expect_ok(run(OpKind::kStart, web));
}

TEST_F(DepartureTest, OneThatCannotGoSaysSoByStaying) {
  ASSERT_TRUE(tell());
  settle();
  host.done(fail(Code::kFailedPrecondition, "systemctl ended with 1"));
  settle();
  ASSERT_TRUE(tell());
  settle();
  EXPECT_EQ(host.went, 2);
}

// Its power is about to be taken by somebody who knows nothing of guests.
class PreparedTest : public DepartureTest {
 protected:
  Result<std::string> prepare(Duration hold = minutes(3)) {
    return ask("host.prepare", json::encode(model::PrepareRequest{.term = 1, .hold = hold}));
  }
  bool takes_operations() {
    const auto begun = start(operation(OpKind::kDefine, vm(fmt::format("vm{}", ++vms_))));
    settle(seconds(5));
    if (!begun) EXPECT_TRUE(begun.error().message.contains("its power")) << begun.error().message;
    return begun.has_value();
  }
  int vms_ = 0;
};

TEST_F(PreparedTest, WhatNobodyHasTakenIsOnTheDiskAndItBeginsNothing) {
  standby = nullptr;  // a slice, or a host without systemd: its BMC needs neither
  boot();
  connect();
  settle(minutes(2));
  manager.swallow_telemetry = true;
  const int told = manager.count["telemetry"];
  telemetry_medium.content.clear();
  ASSERT_TRUE(prepare());
  EXPECT_GT(manager.count["telemetry"], told) << "it measures once more";
  EXPECT_TRUE(telemetry_medium.content.contains("boot-1"));
  EXPECT_FALSE(takes_operations());
  EXPECT_TRUE(prepare()) << "asked again, by the same manager or the next";
  EXPECT_TRUE(core->connected());
}

TEST_F(PreparedTest, NotWhileAGuestRunsThatNobodyKnowsOf) {
  model::DomainSpec domain = cluster.describe_vm("by-hand", kSharedPool);
  domain.vm.clear();
  cluster.make_disk(0, domain.disks[0].path);
  ASSERT_TRUE(cluster.world.define_foreign(0, domain, true));
  const auto answer = prepare();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(answer.error().message.contains("'by-hand' runs here")) << answer.error().message;
  EXPECT_TRUE(takes_operations());
}

TEST_F(PreparedTest, NotWhileLibvirtDoesNotSayWhatRuns) {
  cluster.world.stop_libvirtd(0);
  const auto answer = prepare();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(answer.error().message.contains("is not known")) << answer.error().message;
}

TEST_F(PreparedTest, OneWhosePowerStaysTakesOperationsAgain) {
  ASSERT_TRUE(prepare());
  settle(minutes(2));
  EXPECT_FALSE(takes_operations());
  settle(minutes(1));
  EXPECT_TRUE(takes_operations()) << "it was told for how long";
  ASSERT_TRUE(prepare(hours(24)));
  settle(minutes(9));
  EXPECT_FALSE(takes_operations());
  settle(minutes(1));
  EXPECT_TRUE(takes_operations()) << "no manager is believed for longer";
}

TEST_F(PreparedTest, TheManagerMayTakeItBack) {
  ASSERT_TRUE(prepare());
  EXPECT_TRUE(prepare({})) << "its power stays";
  EXPECT_TRUE(takes_operations());
  EXPECT_TRUE(prepare({})) << "and again";
  settle(minutes(5));
  EXPECT_TRUE(takes_operations());
}

TEST_F(PreparedTest, OneThatIsPreparedMayBeToldToGoByItself) {
  ASSERT_TRUE(prepare());
  ASSERT_TRUE(tell());
  settle();
  EXPECT_EQ(host.went, 1);
  EXPECT_TRUE(prepare({})) << "what goes by itself is not called back";
  EXPECT_TRUE(prepare());
  EXPECT_FALSE(start(operation(OpKind::kDefine, vm("late"))));
}

TEST_F(PreparedTest, AFullDiskIsSaid) {
  manager.swallow_telemetry = true;
  telemetry_medium.full = true;
  EXPECT_EQ(prepare().error().code, Code::kExhausted);
  EXPECT_TRUE(takes_operations());
}

// SIGTERM, of an upgrade or of a system that shuts down.
TEST_F(DepartureTest, WhatNobodyHasTakenOutlivesACleanStop) {
  settle(minutes(2));
  manager.swallow_telemetry = true;
  const std::size_t before = manager.samples.size();
  while (manager.samples.size() == before) settle();
  ASSERT_EQ(telemetry_medium.content, "") << "one sample waits in memory";
  const model::HostSample last = manager.samples.back();
  core->stop("the agent stops");
  EXPECT_FALSE(core->connected());
  manager.swallow_telemetry = false;
  manager.samples.clear();
  boot();
  connect();
  settle();
  ASSERT_FALSE(manager.samples.empty());
  EXPECT_EQ(manager.samples.front().sequence, last.sequence);
}

// Hours pass by its clock; the agent is the same, and what it counts is nobody's consumption.
TEST_F(DepartureTest, ASuspendedHostIsNotConnectedAndComesBackAsItWas) {
  settle(minutes(2));
  ASSERT_FALSE(manager.samples.empty());
  for (const model::HostSample& each : manager.samples) EXPECT_FALSE(each.resumed);
  ASSERT_TRUE(tell(Standby::kSuspend));
  settle();
  EXPECT_EQ(host.last, Standby::kSuspend);
  EXPECT_EQ(host.wake_after, hours(3));
  EXPECT_FALSE(core->connected());
  EXPECT_EQ(detached, "this host is suspended");

  detached.clear();
  connect();
  EXPECT_FALSE(core->connected()) << "what is sent to it now would be obeyed when it wakes";
  EXPECT_EQ(detached, "this host is suspended");

  manager.samples.clear();
  settle(hours(2));
  const Time woken = cluster.loop.now();
  host.done({});
  settle();
  connect();
  EXPECT_TRUE(core->connected());
  EXPECT_EQ(manager.hello.boot_id, "boot-1");
  settle(minutes(3));
  // One that it took while it fell asleep is as any other.
  auto after =
      std::ranges::find_if(manager.samples, [&](const auto& each) { return each.time >= woken; });
  ASSERT_NE(after, manager.samples.end());
  EXPECT_TRUE(after->resumed);
  EXPECT_EQ(std::ranges::count(manager.samples, true, &model::HostSample::resumed), 1);
  running_vm("web");
}

}  // namespace
}  // namespace chorok::agent
