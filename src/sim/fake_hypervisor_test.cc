#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sim/fake_cluster.h"
#include "sim/history_check.h"

namespace chorok::sim {
namespace {

using model::VmState;
using std::chrono::milliseconds;
using std::chrono::seconds;

#define EXPECT_CODE(result, expected)                                                 \
  do {                                                                                \
    auto chorok_result = (result);                                                    \
    ASSERT_FALSE(chorok_result.has_value());                                          \
    EXPECT_EQ(chorok_result.error().code, expected) << chorok_result.error().message; \
  } while (false)

TEST(FakeHypervisor, AVmLivesThroughItsStates) {
  FakeCluster cluster(1);
  auto& hypervisor = *cluster.hypervisors[0];
  std::string uuid = cluster.make_vm(0, "a").uuid;
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kOff);
  Time before = cluster.loop.now();
  ASSERT_TRUE(cluster.start(0, uuid));
  EXPECT_EQ(cluster.loop.now() - before, cluster.world.times().start);
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kOn);
  ASSERT_TRUE(cluster.start(0, uuid));  // it runs already: success
  cluster.loop.run_for(seconds(5));
  EXPECT_EQ(cluster.see(0, uuid)->ips, std::vector<std::string>{"10.0.0.1"});

  ASSERT_TRUE(*cluster.ask([&](auto done) { hypervisor.suspend(uuid, std::move(done)); }));
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kPaused);
  Duration worked = cluster.world.sightings()[0].counter;
  cluster.loop.run_for(seconds(60));
  EXPECT_EQ(cluster.world.sightings()[0].counter, worked);
  ASSERT_TRUE(*cluster.ask([&](auto done) { hypervisor.resume(uuid, std::move(done)); }));
  ASSERT_TRUE(*cluster.ask([&](auto done) { hypervisor.save(uuid, std::move(done)); }));
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kSaved);
  EXPECT_TRUE(cluster.world.running().empty());
  ASSERT_TRUE(cluster.start(0, uuid));
  EXPECT_GE(cluster.world.running()[0].counter, worked);
  EXPECT_EQ(cluster.world.running()[0].boots, 1u);

  ASSERT_TRUE(*cluster.ask([&](auto done) { hypervisor.shutdown(uuid, std::move(done)); }));
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kOn);  // asked, not done
  cluster.loop.run_for(seconds(3));
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kOff);
  ASSERT_TRUE(*cluster.ask([&](auto done) { hypervisor.undefine(uuid, std::move(done)); }));
  EXPECT_TRUE(*cluster.ask([&](auto done) { hypervisor.undefine(uuid, std::move(done)); }));
  EXPECT_FALSE(cluster.see(0, uuid));
  EXPECT_CODE(cluster.start(0, uuid), Code::kNotFound);
}

TEST(FakeHypervisor, ImageLocksKeepTwoGuestsOffOneDisk) {
  FakeCluster cluster(2);
  model::DomainSpec spec = cluster.make_vm(0, "a");
  ASSERT_TRUE(
      *cluster.ask([&](auto done) { cluster.hypervisors[1]->define(spec, std::move(done)); }));
  ASSERT_TRUE(cluster.start(0, spec.uuid));
  EXPECT_CODE(cluster.start(1, spec.uuid), Code::kFailedPrecondition);
  cluster.world.kill_host(0);
  EXPECT_TRUE(cluster.start(1, spec.uuid));
  EXPECT_EQ(cluster.world.describe_violations(), "");
}

TEST(FakeHypervisor, WithoutLocksTheWorldSeesTheDouble) {
  WorldSettings settings;
  settings.image_locks = false;
  FakeCluster cluster(2, settings);
  model::DomainSpec spec = cluster.make_vm(0, "a");
  ASSERT_TRUE(
      *cluster.ask([&](auto done) { cluster.hypervisors[1]->define(spec, std::move(done)); }));
  ASSERT_TRUE(cluster.start(0, spec.uuid));
  ASSERT_TRUE(cluster.start(1, spec.uuid));
  EXPECT_THAT(cluster.world.describe_violations(),
              testing::HasSubstr("runs on host1 and on host2"));
  EXPECT_THAT(cluster.world.describe_violations(), testing::HasSubstr("two running guests write"));
}

TEST(FakeHypervisor, CallsOfOneDomainWaitForEachOtherAndOthersDoNot) {
  FakeCluster cluster(1);
  std::string a = cluster.make_vm(0, "a").uuid, b = cluster.make_vm(0, "b").uuid;
  std::string log;
  auto& hypervisor = *cluster.hypervisors[0];
  hypervisor.start(a, false, [&](Result<> r) { log += r ? "start-a " : "fail "; });
  hypervisor.destroy(a, [&](Result<> r) { log += r ? "destroy-a " : "fail "; });
  hypervisor.start(b, false, [&](Result<> r) { log += r ? "start-b " : "fail "; });
  cluster.loop.run_for(seconds(5));
  EXPECT_EQ(log, "start-a start-b destroy-a ");
  EXPECT_EQ(cluster.see(0, a)->state, VmState::kOff);
}

TEST(FakeHypervisor, PowerLossKeepsDefinitionsAndLosesGuests) {
  FakeCluster cluster(1);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  ASSERT_TRUE(cluster.start(0, uuid));
  auto boot_id = [&] {
    auto& hypervisor = *cluster.hypervisors[0];
    return (*cluster.ask<model::HostInventory>(
                [&](auto done) { hypervisor.inventory(std::move(done)); }))
        ->boot_id;
  };
  std::string first = boot_id();
  cluster.world.kill_host(0);
  EXPECT_CODE(cluster.start(0, uuid), Code::kUnavailable);
  EXPECT_TRUE(cluster.world.running().empty());
  cluster.world.start_host(0);
  EXPECT_NE(boot_id(), first);
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kOff);
  ASSERT_TRUE(cluster.start(0, uuid));
  EXPECT_EQ(cluster.world.running()[0].boots, 2u);
}

TEST(FakeHypervisor, GuestsOutliveLibvirtd) {
  FakeCluster cluster(1);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  ASSERT_TRUE(cluster.start(0, uuid));
  cluster.loop.run_for(seconds(1));  // what was told of the start has arrived
  std::vector<std::string> log;
  cluster.hypervisors[0]->subscribe(
      [&](const std::string& of, bool connected) { log.push_back(of + (connected ? "+" : "-")); });
  std::optional<Result<>> open;
  cluster.hypervisors[0]->suspend(uuid, [&](Result<> r) { open = std::move(r); });
  cluster.world.restart_libvirtd(0);
  cluster.loop.run_for(milliseconds(100));
  EXPECT_CODE(*open, Code::kUnknown);
  EXPECT_CODE(cluster.start(0, uuid), Code::kUnavailable);
  EXPECT_EQ(cluster.world.running().size(), 1u);
  cluster.loop.run_for(seconds(2));
  EXPECT_EQ(log, (std::vector<std::string>{"-", "+"}));
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kOn);
}

TEST(FakeHypervisor, AStartThatLibvirtdDiedInIsUndoneOrDone) {
  int running = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    FakeCluster cluster(1, {.seed = seed});
    std::string uuid = cluster.make_vm(0, "a").uuid;
    cluster.hypervisors[0]->start(uuid, false, [](Result<>) {});
    cluster.loop.run_for(milliseconds(200));
    EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kStarting);
    cluster.world.restart_libvirtd(0);
    cluster.loop.run_for(seconds(3));
    VmState state = cluster.see(0, uuid)->state;
    ASSERT_TRUE(state == VmState::kOn || state == VmState::kOff);
    running += state == VmState::kOn;
    ASSERT_TRUE(cluster.start(0, uuid));
  }
  EXPECT_GT(running, 5);
  EXPECT_LT(running, 35);
}

TEST(FakeHypervisor, FaultsAnswerAsTheyShould) {
  FakeCluster cluster(1);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  FaultPlan& faults = cluster.world.faults();
  auto state = [&] { return cluster.see(0, uuid)->state; };

  faults.script("hypervisor.start", "", Fault::kErrorBefore);
  EXPECT_CODE(cluster.start(0, uuid), Code::kFailedPrecondition);
  EXPECT_EQ(state(), VmState::kOff);
  faults.script("hypervisor.start", "", Fault::kUnknownBefore);
  EXPECT_CODE(cluster.start(0, uuid), Code::kUnknown);
  EXPECT_EQ(state(), VmState::kOff);
  faults.script("hypervisor.start", "", Fault::kUnknownAfter);
  EXPECT_CODE(cluster.start(0, uuid), Code::kUnknown);
  EXPECT_EQ(state(), VmState::kOn);
  faults.script("hypervisor.suspend", "", Fault::kLostAnswer);
  Time before = cluster.loop.now();
  EXPECT_CODE(*cluster.ask([&](auto d) { cluster.hypervisors[0]->suspend(uuid, std::move(d)); }),
              Code::kTimeout);
  EXPECT_GE(cluster.loop.now() - before, seconds(30));
  EXPECT_EQ(state(), VmState::kPaused);
  faults.script("hypervisor.resume", "", Fault::kDisconnect);
  EXPECT_CODE(*cluster.ask([&](auto d) { cluster.hypervisors[0]->resume(uuid, std::move(d)); }),
              Code::kUnknown);
  cluster.loop.run_for(seconds(3));
  EXPECT_NE(state(), VmState::kOff);
}

TEST(FakeHypervisor, ADestroyedConnectionIsSilentAndItsWorkGoesOn) {
  FakeCluster cluster(1);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  bool answered = false;
  cluster.hypervisors[0]->start(uuid, false, [&](Result<>) { answered = true; });
  cluster.loop.run_for(milliseconds(100));
  cluster.hypervisors[0] = cluster.world.open_hypervisor(0);
  cluster.loop.run_for(seconds(5));
  EXPECT_FALSE(answered);
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kOn);
}

TEST(FakeHypervisor, ACrashedQemuIsSeenAsCrashed) {
  FakeCluster cluster(1);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  ASSERT_TRUE(cluster.start(0, uuid));
  ASSERT_TRUE(cluster.world.crash_qemu(uuid));
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kCrashed);
  ASSERT_TRUE(cluster.start(0, uuid));
  EXPECT_EQ(cluster.see(0, uuid)->state, VmState::kOn);
}

TEST(FakeHypervisor, SnapshotsGoBackOnPurpose) {
  FakeCluster cluster(1);
  HistoryCheck history(cluster.world);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  auto& hypervisor = *cluster.hypervisors[0];
  ASSERT_TRUE(cluster.start(0, uuid));
  cluster.loop.run_for(seconds(10));
  ASSERT_TRUE(*cluster.ask([&](auto d) { hypervisor.snapshot_create(uuid, "s", std::move(d)); }));
  cluster.loop.run_for(seconds(100));
  history.tick();
  ASSERT_TRUE(*cluster.ask([&](auto d) { hypervisor.snapshot_revert(uuid, "s", std::move(d)); }));
  history.tick();
  EXPECT_LT(cluster.world.running()[0].counter, seconds(20));
  EXPECT_EQ(cluster.world.describe_violations(), "");
  EXPECT_EQ(cluster.see(0, uuid)->snapshots.size(), 1u);
}

TEST(FakeHypervisor, ChangesAreLiveWhereTheyCanBe) {
  FakeCluster cluster(1);
  std::string uuid = cluster.make_vm(0, "a").uuid;
  ASSERT_TRUE(cluster.start(0, uuid));
  auto& hypervisor = *cluster.hypervisors[0];
  auto resized = *cluster.ask<ports::Applied>(
      [&](auto d) { hypervisor.resize(uuid, {.vcpus = 4, .memory = Mib{512}}, std::move(d)); });
  EXPECT_EQ(resized->next_boot, std::vector<std::string>{"vcpus"});
  EXPECT_EQ(resized->live, std::vector<std::string>{"memory"});
}

TEST(HistoryCheck, FindsAnOlderDiskAndUnexpectedPlaces) {
  FakeCluster cluster(2);
  HistoryCheck history(cluster.world);
  model::DomainSpec spec = cluster.make_vm(0, "a");
  ASSERT_TRUE(cluster.start(0, spec.uuid));
  history.tick();
  EXPECT_TRUE(history.settled({{spec.uuid, "a", true, true, "host1"}}).empty());
  EXPECT_EQ(history.settled({{spec.uuid, "a", false, true, "host2"}}).size(), 2u);
  EXPECT_EQ(history.settled({}).size(), 1u);
  cluster.world.kill_host(0);
  cluster.world.files().find(0, spec.disks[0].path)->boots = 0;
  cluster.world.start_host(0);
  ASSERT_TRUE(cluster.start(0, spec.uuid));
  history.tick();
  EXPECT_THAT(cluster.world.describe_violations(), testing::HasSubstr("older copy of its disk"));
}

}  // namespace
}  // namespace chorok::sim
