// The rest of the contract of ports::Hypervisor (see hypervisor_contract.h): what moves, and what
// outlives its daemon. A suite of its own, since one file with both takes long to compile.
#pragma once

#include "ports/hypervisor_contract.h"

namespace chorok::ports {

template <class Fixture>
class HypervisorMoves : public HypervisorContract<Fixture> {};

TYPED_TEST_SUITE_P(HypervisorMoves);

TYPED_TEST_P(HypervisorMoves, MovesWhileItRuns) {
  auto domain = this->fixture_->domain("moves");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  auto stats = this->migrate(domain.uuid, this->fixture_->to(1));
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(stats->kind, "live");
  EXPECT_GT(stats->total, Duration{});
  EXPECT_GT(stats->transferred.value, 0);
  EXPECT_FALSE(this->find(domain.uuid, 0)) << "the source still knows it";
  auto there = this->find(domain.uuid, 1);
  ASSERT_TRUE(there);
  EXPECT_EQ(there->state, model::VmState::kOn);
  EXPECT_TRUE(there->persistent);
  EXPECT_EQ(there->vm, domain.vm);
  EXPECT_EQ(there->generation, domain.generation);
}

TYPED_TEST_P(HypervisorMoves, MovesWhileItIsOff) {
  auto domain = this->fixture_->domain("cold");
  CHOROK_OK(this->define(domain));
  auto request = this->fixture_->to(1);
  request.live = false;
  auto stats = this->migrate(domain.uuid, request);
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(stats->kind, "cold");
  EXPECT_FALSE(this->find(domain.uuid, 0));
  EXPECT_EQ(this->state(domain.uuid, 1), model::VmState::kOff);
}

TYPED_TEST_P(HypervisorMoves, AMigrationThatIsStoppedLeavesItWhereItWas) {
  auto domain = this->fixture_->domain("stopped");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  auto request = this->fixture_->to(1);
  request.settings.bandwidth_mib_s = 1;  // so that there is time to stop it
  std::optional<Result<model::MigrationStats>> outcome;
  std::size_t looks = 0;
  this->hypervisor().migrate(
      domain.uuid, request, [&](MigrateProgress) { ++looks; },
      [&](Result<model::MigrationStats> stats) { outcome = std::move(stats); });
  ASSERT_TRUE(this->fixture_->wait([&] { return looks > 0 || outcome; }));
  CHOROK_OK(this->abort(domain.uuid));
  ASSERT_TRUE(this->fixture_->wait([&] { return outcome.has_value(); }));
  ASSERT_FALSE(*outcome);
  EXPECT_EQ(outcome->error().code, Code::kCancelled) << outcome->error().message;
  EXPECT_EQ(this->state(domain.uuid, 0), model::VmState::kOn);
  EXPECT_FALSE(this->find(domain.uuid, 1));
  CHOROK_OK(this->abort(domain.uuid));  // there is none any more
}

TYPED_TEST_P(HypervisorMoves, AMigrationToNowhereLeavesItWhereItWas) {
  auto domain = this->fixture_->domain("nowhere");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  auto request = this->fixture_->nowhere();
  auto stats = this->migrate(domain.uuid, request);
  ASSERT_FALSE(stats);
  EXPECT_NE(stats.error().code, Code::kUnknown) << stats.error().message;
  EXPECT_EQ(this->state(domain.uuid, 0), model::VmState::kOn);
}

TYPED_TEST_P(HypervisorMoves, MovesDisksWhileItRuns) {
  auto domain = this->fixture_->domain("storage");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  std::string path = this->fixture_->disk_path("storage-moved");
  this->fixture_->make_disk(path);
  auto stats = this->template await<model::MigrationStats>([&](auto done) {
    this->hypervisor().migrate_storage(domain.uuid, {"root"}, {path}, {}, std::move(done));
  });
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_EQ(stats->kind, "storage");
  auto found = this->find(domain.uuid);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->state, model::VmState::kOn);
  ASSERT_EQ(found->disks.size(), 1);
  EXPECT_EQ(found->disks[0].path, path);
}

TYPED_TEST_P(HypervisorMoves, GuestsAndCallersSurviveTheDaemon) {
  auto domain = this->fixture_->domain("daemon");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  std::vector<bool> links;
  this->hypervisor().subscribe([&](const std::string& uuid, bool connected) {
    if (uuid.empty()) links.push_back(connected);
  });
  this->fixture_->kill_daemon(0);
  ASSERT_TRUE(this->fixture_->wait([&] { return links.size() >= 2; }));
  EXPECT_FALSE(links.front());
  EXPECT_TRUE(links.back());
  EXPECT_EQ(this->state(domain.uuid), model::VmState::kOn);
  this->hypervisor().subscribe({});
}

REGISTER_TYPED_TEST_SUITE_P(HypervisorMoves, MovesWhileItRuns, MovesWhileItIsOff,
                            AMigrationThatIsStoppedLeavesItWhereItWas,
                            AMigrationToNowhereLeavesItWhereItWas, MovesDisksWhileItRuns,
                            GuestsAndCallersSurviveTheDaemon);

}  // namespace chorok::ports
