// The world itself under random work and random faults: whatever strikes, it stays a world that
// could be, answers every call exactly once, and tells the same story for the same seed.
#include <gtest/gtest.h>

#include "sim/fake_cluster.h"
#include "sim/history_check.h"

namespace chorok::sim {
namespace {

using std::chrono::seconds;

class Chaos {
 public:
  explicit Chaos(std::uint64_t seed)
      : random_(Random(seed).fork("chaos")),
        cluster_(kHosts, {.seed = seed, .faults = FaultRates::vary(Random(seed).fork("rates"))}),
        history_(cluster_.world) {
    cluster_.world.faults().enable(false);
    for (std::uint32_t i = 0; i < kVms; ++i)
      uuids_.push_back(cluster_.make_vm(i % kHosts, fmt::format("vm{}", i)).uuid);
    cluster_.world.faults().enable(true);
  }

  // Answers the story that the world told.
  std::string run(int steps) {
    for (int step = 0; step < steps; ++step) {
      random_.chance(0.05) ? strike() : work(uuids_[random_.below(uuids_.size())]);
      cluster_.loop.run_for(random_.between(Duration{}, seconds(3)));
      history_.tick();
    }
    heal();
    return story_;
  }

  std::uint64_t asked = 0;
  std::uint64_t answered = 0;

  FakeWorld& world() { return cluster_.world; }

 private:
  static constexpr std::uint32_t kHosts = 3;
  static constexpr std::uint32_t kVms = 6;

  template <class T = void>
  Done<Result<T>> note(std::string what) {
    ++asked;
    return [this, what = std::move(what), once = false](const Result<T>& result) mutable {
      CHOROK_ASSERT(!std::exchange(once, true));
      ++answered;
      story_ += fmt::format("{} {} {}\n", cluster_.loop.now().time_since_epoch().count(), what,
                            result ? "ok" : to_string(result.error().code));
    };
  }

  void work(const std::string& uuid) {
    std::vector<Sighting> active;
    std::vector<HostIndex> places;
    for (const Sighting& each : world().sightings()) {
      if (each.uuid != uuid) continue;
      places.push_back(each.host);
      if (each.state != DomainState::kOff && each.state != DomainState::kCrashed)
        active.push_back(each);
    }
    if (places.empty()) return;
    if (active.empty()) {
      HostIndex on = places[random_.below(places.size())];
      return hypervisor(on).start(uuid, false, note("start " + uuid));
    }
    for (const Sighting& each : active)
      if (!each.runs && active.size() > 1 && world().migrations() == 0)
        return hypervisor(each.host).destroy(uuid, note("destroy half of " + uuid));
    const Sighting& one = active.front();
    if (!one.runs) return hypervisor(one.host).resume(uuid, note("resume " + uuid));
    act(one);
  }

  void act(const Sighting& vm) {
    auto& on = hypervisor(vm.host);
    switch (random_.below(7)) {
      case 0:
        return on.destroy(vm.uuid, note("destroy " + vm.uuid));
      case 1:
        return on.shutdown(vm.uuid, note("shutdown " + vm.uuid));
      case 2:
        return on.suspend(vm.uuid, note("suspend " + vm.uuid));
      case 3:
        return on.reboot(vm.uuid, random_.chance(0.5), note("reboot " + vm.uuid));
      case 4:
        return on.list(note<std::vector<model::Instance>>("list"));
      case 5:
        (void)(random_.chance(0.5) ? world().guest_poweroff(vm.uuid) : world().crash_qemu(vm.uuid));
        return;
      default: {
        ports::MigrateRequest request;
        request.target_uri = world().host(static_cast<HostIndex>(random_.below(kHosts))).uri();
        request.settings.post_copy = random_.chance(0.3);
        request.settings.bandwidth_mib_s = static_cast<std::int64_t>(random_.below(300));
        on.migrate(vm.uuid, request, nullptr, note<model::MigrationStats>("migrate " + vm.uuid));
        if (random_.chance(0.2)) on.abort_migration(vm.uuid, note("abort " + vm.uuid));
      }
    }
  }

  void strike() {
    auto host = static_cast<HostIndex>(random_.below(kHosts));
    auto other = static_cast<HostIndex>(random_.below(kHosts));
    switch (random_.below(5)) {
      case 0:
        return world().kill_host(host);
      case 1:
        return world().start_host(host);
      case 2:
        return world().restart_libvirtd(host);
      case 3:
        return world().set_link(host, other, random_.chance(0.5));
      default:
        return world().cut_datastore(host, kSharedPool, random_.chance(0.3));
    }
  }

  void heal() {
    world().faults().enable(false);
    for (HostIndex host = 0; host < kHosts; ++host) {
      world().start_host(host);
      world().start_libvirtd(host);
      world().cut_datastore(host, kSharedPool, false);
      for (HostIndex other = 0; other < kHosts; ++other) world().set_link(host, other, true);
    }
    cluster_.loop.run_for(std::chrono::hours(1));
    history_.tick();
    for (const Sighting& each : world().sightings())
      story_ += fmt::format("{} on {} life {} boots {} worked {}\n", each.uuid, each.host,
                            each.life, each.boots, each.counter.count());
  }

  ports::Hypervisor& hypervisor(HostIndex host) { return *cluster_.hypervisors[host]; }

  Random random_;
  FakeCluster cluster_;
  HistoryCheck history_;
  std::vector<std::string> uuids_;
  std::string story_;
};

TEST(WorldSeeds, EveryCallIsAnsweredOnceAndNothingImpossibleHappens) {
  std::uint64_t struck = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Chaos chaos(seed);
    chaos.run(150);
    EXPECT_EQ(chaos.asked, chaos.answered) << "seed " << seed;
    EXPECT_EQ(chaos.world().describe_violations(), "") << "seed " << seed;
    EXPECT_EQ(chaos.world().migrations(), 0u) << "seed " << seed;
    for (std::size_t kind = 1; kind < kFaultKinds; ++kind)
      struck += chaos.world().faults().count(static_cast<Fault>(kind));
    if (HasFailure()) return;
  }
  EXPECT_GT(struck, 1000u);
}

TEST(WorldSeeds, TheSameSeedTellsTheSameStory) {
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    ASSERT_EQ(Chaos(seed).run(100), Chaos(seed).run(100)) << "seed " << seed;
  EXPECT_NE(Chaos(1).run(100), Chaos(2).run(100));
}

}  // namespace
}  // namespace chorok::sim
