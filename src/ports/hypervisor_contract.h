// What every Hypervisor must do, once, for the fake and for real libvirt. A test file defines a
// Fixture and instantiates the suite:
//
//   struct Fixture {
//     static std::string missing();           // why it cannot run here; empty: it can
//     ports::Hypervisor& hypervisor(int host);                       // two hosts, 0 and 1
//     bool wait(const std::function<bool()>& done);                  // runs the loop; false: too
//                                                                    // long
//     model::DomainSpec domain(const std::string& name);             // of a new UUID, with a disk
//                                                                    // "root" that exists on
//                                                                    // storage of both hosts and
//                                                                    // a NIC "eth0"
//     ports::MigrateRequest to(int host);                            // plain stream, live
//     std::string disk_path(const std::string& name);                // beneath that storage
//     void make_disk(const std::string& path);                       // as large as "root"
//     ports::MigrateRequest nowhere();                               // to where no host is
//     void pass(Duration time);                                      // lets guests run
//     void kill_daemon(int host);                                    // and let it come back
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Fake, HypervisorContract, Fixture);
//
// Only tests include this.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ports/hypervisor.h"

namespace chorok::ports {

template <class Fixture>
class HypervisorContract : public testing::Test {
 protected:
  void SetUp() override {
    std::string missing = Fixture::missing();
    if (!missing.empty()) GTEST_SKIP() << missing;
    fixture_ = std::make_unique<Fixture>();
  }
  void TearDown() override {
    if (fixture_ == nullptr) return;
    for (const std::string& uuid : made_)
      for (int each : {0, 1}) {
        (void)destroy(uuid, each);
        (void)undefine(uuid, each);
      }
  }

  template <class T, class Start>
  Result<T> await(Start start) {
    auto answer = std::make_shared<std::optional<Result<T>>>();
    auto inside = std::make_shared<bool>(true);
    start([answer, inside](Result<T> result) {
      EXPECT_FALSE(*inside) << "completed inside the call";
      EXPECT_FALSE(answer->has_value()) << "completed twice";
      *answer = std::move(result);
    });
    *inside = false;
    if (!fixture_->wait([&] { return answer->has_value(); })) {
      ADD_FAILURE() << "never completed";
      return fail(Code::kTimeout, "never completed");
    }
    return std::move(**answer);
  }

  Hypervisor& hypervisor(int host = 0) { return fixture_->hypervisor(host); }
  Result<> define(const model::DomainSpec& domain, int host = 0) {
    made_.push_back(domain.uuid);
    return await<void>([&](auto done) { hypervisor(host).define(domain, std::move(done)); });
  }
  Result<> undefine(const std::string& uuid, int host = 0) {
    return await<void>([&](auto done) { hypervisor(host).undefine(uuid, std::move(done)); });
  }
  Result<> start(const std::string& uuid, bool paused = false) {
    return await<void>([&](auto done) { hypervisor().start(uuid, paused, std::move(done)); });
  }
  Result<> destroy(const std::string& uuid, int host = 0) {
    return await<void>([&](auto done) { hypervisor(host).destroy(uuid, std::move(done)); });
  }
  Result<> suspend(const std::string& uuid) {
    return await<void>([&](auto done) { hypervisor().suspend(uuid, std::move(done)); });
  }
  Result<> resume(const std::string& uuid) {
    return await<void>([&](auto done) { hypervisor().resume(uuid, std::move(done)); });
  }
  Result<> save(const std::string& uuid) {
    return await<void>([&](auto done) { hypervisor().save(uuid, std::move(done)); });
  }
  Result<> abort(const std::string& uuid) {
    return await<void>([&](auto done) { hypervisor().abort_migration(uuid, std::move(done)); });
  }
  Result<model::MigrationStats> migrate(const std::string& uuid, MigrateRequest request) {
    return await<model::MigrationStats>(
        [&](auto done) { hypervisor().migrate(uuid, std::move(request), {}, std::move(done)); });
  }

  Result<model::HostSample> statistics() {
    return await<model::HostSample>([&](auto done) { hypervisor().statistics(std::move(done)); });
  }
  static std::optional<model::VmSample> sample_of(const model::HostSample& all,
                                                  const std::string& uuid) {
    auto found = std::ranges::find(all.vms, uuid, &model::VmSample::uuid);
    return found == all.vms.end() ? std::nullopt : std::optional(*found);
  }
  std::optional<model::VmSample> sample(const std::string& uuid) {
    auto all = statistics();
    EXPECT_TRUE(all) << all.error().message;
    return all ? sample_of(*all, uuid) : std::nullopt;
  }

  // The instance of a domain on a host; nothing when it has none.
  std::optional<model::Instance> find(const std::string& uuid, int host = 0) {
    auto all = await<std::vector<model::Instance>>(
        [&](auto done) { hypervisor(host).list(std::move(done)); });
    if (!all) {
      ADD_FAILURE() << all.error().message;
      return std::nullopt;
    }
    for (model::Instance& each : *all)
      if (each.uuid == uuid) return std::move(each);
    return std::nullopt;
  }
  model::VmState state(const std::string& uuid, int host = 0) {
    auto found = find(uuid, host);
    return found ? found->state : model::VmState::kUnknown;
  }

  std::unique_ptr<Fixture> fixture_;
  std::vector<std::string> made_;
};

TYPED_TEST_SUITE_P(HypervisorContract);

#define CHOROK_OK(...)                                               \
  do {                                                               \
    auto chorok_ok = (__VA_ARGS__);                                  \
    ASSERT_TRUE(chorok_ok.has_value()) << chorok_ok.error().message; \
  } while (false)

TYPED_TEST_P(HypervisorContract, KnowsItsHost) {
  auto inventory = this->template await<model::HostInventory>(
      [&](auto done) { this->hypervisor().inventory(std::move(done)); });
  ASSERT_TRUE(inventory) << inventory.error().message;
  EXPECT_GT(inventory->cpu.online, 0);
  EXPECT_GT(inventory->cpu.mhz.value, 0);
  EXPECT_GT(inventory->cpu.capacity.value, 0);
  EXPECT_GT(inventory->memory.value, 0);
  EXPECT_FALSE(inventory->accelerator_reason.empty());
  EXPECT_FALSE(inventory->hypervisor.empty());
  EXPECT_FALSE(inventory->boot_id.empty());
  EXPECT_TRUE(std::ranges::count(inventory->capabilities, "live-migration") == 1);
}

TYPED_TEST_P(HypervisorContract, ADomainIsDefinedOnceAndForgotten) {
  auto domain = this->fixture_->domain("defined");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->define(domain));
  auto found = this->find(domain.uuid);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->vm, domain.vm);
  EXPECT_EQ(found->name, domain.name);
  EXPECT_EQ(found->state, model::VmState::kOff);
  EXPECT_EQ(found->generation, domain.generation);
  EXPECT_EQ(found->memory, domain.spec.memory);
  EXPECT_EQ(found->vcpus, domain.spec.vcpus);
  EXPECT_TRUE(found->persistent);
  CHOROK_OK(this->undefine(domain.uuid));
  EXPECT_FALSE(this->find(domain.uuid));
  CHOROK_OK(this->undefine(domain.uuid));
}

TYPED_TEST_P(HypervisorContract, ANameBelongsToOneDomain) {
  auto first = this->fixture_->domain("taken");
  auto second = this->fixture_->domain("other");
  second.name = first.name;
  CHOROK_OK(this->define(first));
  auto refused = this->define(second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kAlreadyExists) << refused.error().message;
}

TYPED_TEST_P(HypervisorContract, WhatIsNotThereIsNotFound) {
  const std::string uuid = "00000000-0000-4000-8000-00000000dead";
  EXPECT_EQ(this->start(uuid).error().code, Code::kNotFound);
  EXPECT_EQ(this->suspend(uuid).error().code, Code::kNotFound);
  auto console = this->template await<std::unique_ptr<ConsoleStream>>(
      [&](auto done) { this->hypervisor().console(uuid, std::move(done)); });
  ASSERT_FALSE(console);
  EXPECT_EQ(console.error().code, Code::kNotFound);
}

TYPED_TEST_P(HypervisorContract, LivesThroughItsStates) {
  auto domain = this->fixture_->domain("life");
  CHOROK_OK(this->define(domain));
  EXPECT_EQ(this->suspend(domain.uuid).error().code, Code::kFailedPrecondition);
  CHOROK_OK(this->start(domain.uuid));
  CHOROK_OK(this->start(domain.uuid));
  EXPECT_EQ(this->state(domain.uuid), model::VmState::kOn);
  EXPECT_EQ(this->undefine(domain.uuid).error().code, Code::kFailedPrecondition);
  CHOROK_OK(this->suspend(domain.uuid));
  CHOROK_OK(this->suspend(domain.uuid));
  EXPECT_EQ(this->state(domain.uuid), model::VmState::kPaused);
  CHOROK_OK(this->resume(domain.uuid));
  CHOROK_OK(this->resume(domain.uuid));
  EXPECT_EQ(this->state(domain.uuid), model::VmState::kOn);
  CHOROK_OK(this->destroy(domain.uuid));
  CHOROK_OK(this->destroy(domain.uuid));
  EXPECT_EQ(this->state(domain.uuid), model::VmState::kOff);
}

TYPED_TEST_P(HypervisorContract, StartsPausedWhenAsked) {
  auto domain = this->fixture_->domain("paused");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid, true));
  EXPECT_EQ(this->state(domain.uuid), model::VmState::kPaused);
  CHOROK_OK(this->resume(domain.uuid));
  EXPECT_EQ(this->state(domain.uuid), model::VmState::kOn);
}

TYPED_TEST_P(HypervisorContract, SavesAndRestores) {
  auto domain = this->fixture_->domain("saved");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  CHOROK_OK(this->save(domain.uuid));
  EXPECT_EQ(this->state(domain.uuid), model::VmState::kSaved);
  CHOROK_OK(this->save(domain.uuid));
  CHOROK_OK(this->start(domain.uuid));
  EXPECT_EQ(this->state(domain.uuid), model::VmState::kOn);
  CHOROK_OK(this->save(domain.uuid));
  CHOROK_OK(this->undefine(domain.uuid));  // with what was saved
}

TYPED_TEST_P(HypervisorContract, ShutdownAsksTheGuest) {
  auto domain = this->fixture_->domain("shutdown");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  auto ask = [&] {
    return this->template await<void>(
        [&](auto done) { this->hypervisor().shutdown(domain.uuid, std::move(done)); });
  };
  // A guest that is still booting may not hear it: a person would ask again, too.
  bool off = false;
  for (int tries = 0; tries < 20 && !off; ++tries) {
    CHOROK_OK(ask());
    this->fixture_->pass(std::chrono::seconds(1));
    off = this->state(domain.uuid) == model::VmState::kOff;
  }
  EXPECT_TRUE(off);
}

TYPED_TEST_P(HypervisorContract, TellsWhatChanged) {
  auto domain = this->fixture_->domain("events");
  std::vector<std::string> told;
  this->hypervisor().subscribe(
      [&](const std::string& uuid, bool connected) { told.push_back(connected ? uuid : "lost"); });
  auto heard = [&] {
    bool yes = this->fixture_->wait([&] { return std::ranges::count(told, domain.uuid) > 0; });
    told.clear();
    return yes;
  };
  CHOROK_OK(this->define(domain));
  EXPECT_TRUE(heard());
  CHOROK_OK(this->start(domain.uuid));
  EXPECT_TRUE(heard());
  CHOROK_OK(this->destroy(domain.uuid));
  EXPECT_TRUE(heard());
  CHOROK_OK(this->undefine(domain.uuid));
  EXPECT_TRUE(heard());
  this->hypervisor().subscribe({});
}

TYPED_TEST_P(HypervisorContract, CountsWhatRuns) {
  auto domain = this->fixture_->domain("stats");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  this->fixture_->pass(std::chrono::seconds(1));
  auto first = this->sample(domain.uuid);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->state, model::VmState::kOn);
  EXPECT_EQ(first->vcpus, domain.spec.vcpus);
  EXPECT_GT(first->cpu_time, Duration{});
  EXPECT_EQ(first->memory, domain.spec.memory);
  EXPECT_GT(first->memory_resident, Mib{});
  this->fixture_->pass(std::chrono::seconds(1));
  auto second = this->sample(domain.uuid);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->life, first->life);
  EXPECT_GT(second->cpu_time, first->cpu_time);
  EXPECT_GE(second->cpu_ready, first->cpu_ready);
  EXPECT_GE(second->disk_read, first->disk_read);
  CHOROK_OK(this->destroy(domain.uuid));
  EXPECT_FALSE(this->sample(domain.uuid)) << "it does not run any more";
  CHOROK_OK(this->start(domain.uuid));
  auto again = this->sample(domain.uuid);
  ASSERT_TRUE(again);
  EXPECT_NE(again->life, first->life) << "its counters began anew";
}

TYPED_TEST_P(HypervisorContract, CountsWhatItsHostUses) {
  auto before = this->statistics();
  ASSERT_TRUE(before) << before.error().message;
  EXPECT_GT(before->uptime, Duration{});
  EXPECT_TRUE(before->cpu_known);
  EXPECT_GT(before->memory_total, Mib{});
  EXPECT_GT(before->memory_available, Mib{});
  EXPECT_LE(before->memory_available, before->memory_total);
  auto domain = this->fixture_->domain("load");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  this->fixture_->pass(std::chrono::seconds(1));
  auto after = this->statistics();
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_GE(after->uptime - before->uptime, std::chrono::seconds(1));
  // Everything a guest uses, its host uses.
  EXPECT_GE(after->cpu_busy - before->cpu_busy, this->sample_of(*after, domain.uuid)->cpu_time / 2);
}

TYPED_TEST_P(HypervisorContract, MeasuresHowFastMemoryIsWritten) {
  auto measure = [&](const std::string& uuid, Duration window) {
    return this->template await<double>(
        [&](auto done) { this->hypervisor().dirty_rate(uuid, window, std::move(done)); });
  };
  auto domain = this->fixture_->domain("writes");
  EXPECT_EQ(measure(domain.uuid, std::chrono::seconds(1)).error().code, Code::kNotFound);
  CHOROK_OK(this->define(domain));
  EXPECT_EQ(measure(domain.uuid, std::chrono::seconds(1)).error().code, Code::kFailedPrecondition);
  CHOROK_OK(this->start(domain.uuid));
  EXPECT_EQ(measure(domain.uuid, Duration{}).error().code, Code::kInvalid);
  auto rate = measure(domain.uuid, std::chrono::seconds(1));
  ASSERT_TRUE(rate) << rate.error().message;
  EXPECT_GE(*rate, 0);
}

TYPED_TEST_P(HypervisorContract, ARedefinedDomainWaitsForItsNextBoot) {
  auto domain = this->fixture_->domain("redefined");
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  EXPECT_FALSE(this->find(domain.uuid)->pending);
  domain.generation += 1;
  domain.spec.memory = Mib(domain.spec.memory.value * 2);
  CHOROK_OK(this->define(domain));
  auto found = this->find(domain.uuid);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->pending);
  EXPECT_EQ(found->generation, domain.generation);
  CHOROK_OK(this->destroy(domain.uuid));
  CHOROK_OK(this->start(domain.uuid));
  found = this->find(domain.uuid);
  EXPECT_FALSE(found->pending);
  EXPECT_EQ(found->memory, domain.spec.memory);
}

TYPED_TEST_P(HypervisorContract, AttachesAndDetaches) {
  auto domain = this->fixture_->domain("devices");
  CHOROK_OK(this->define(domain));
  model::DomainDisk disk;
  disk.spec.name = "data";
  disk.path = this->fixture_->disk_path("devices-data");
  this->fixture_->make_disk(disk.path);
  auto attach = [&] {
    return this->template await<Applied>(
        [&](auto done) { this->hypervisor().attach_disk(domain.uuid, disk, std::move(done)); });
  };
  auto has_disk = [&] {
    auto found = this->find(domain.uuid);
    return found && std::ranges::count(found->disks, "data", &model::DiskInfo::name) > 0;
  };
  CHOROK_OK(attach());
  CHOROK_OK(attach());
  EXPECT_TRUE(has_disk());
  auto detached = this->template await<Applied>(
      [&](auto done) { this->hypervisor().detach(domain.uuid, "data", std::move(done)); });
  ASSERT_TRUE(detached) << detached.error().message;
  EXPECT_EQ(detached->live, std::vector<std::string>{"disks"});
  EXPECT_FALSE(has_disk());
}

TYPED_TEST_P(HypervisorContract, SnapshotsComeAndGo) {
  auto domain = this->fixture_->domain("snapshots");
  CHOROK_OK(this->define(domain));
  auto create = [&](const char* name) {
    return this->template await<void>(
        [&](auto done) { this->hypervisor().snapshot_create(domain.uuid, name, std::move(done)); });
  };
  CHOROK_OK(create("first"));
  CHOROK_OK(create("second"));
  auto found = this->find(domain.uuid);
  ASSERT_TRUE(found);
  ASSERT_EQ(found->snapshots.size(), 2);
  auto second = std::ranges::find(found->snapshots, "second", &model::SnapshotInfo::name);
  ASSERT_NE(second, found->snapshots.end());
  EXPECT_EQ(second->parent, "first");
  EXPECT_TRUE(second->current);
  CHOROK_OK(this->template await<void>([&](auto done) {
    this->hypervisor().snapshot_revert(domain.uuid, "first", std::move(done));
  }));
  auto remove = [&](const char* name) {
    return this->template await<void>(
        [&](auto done) { this->hypervisor().snapshot_delete(domain.uuid, name, std::move(done)); });
  };
  CHOROK_OK(remove("second"));
  CHOROK_OK(remove("second"));
  CHOROK_OK(remove("first"));
  EXPECT_TRUE(this->find(domain.uuid)->snapshots.empty());
}

TYPED_TEST_P(HypervisorContract, AForeignDomainIsAdoptedAsItIs) {
  auto domain = this->fixture_->domain("foreign");
  domain.vm.clear();
  CHOROK_OK(this->define(domain));
  CHOROK_OK(this->start(domain.uuid));
  auto adopt = [&](const char* vm) {
    return this->template await<model::VmSpec>(
        [&](auto done) { this->hypervisor().adopt(domain.uuid, vm, std::move(done)); });
  };
  auto spec = adopt("vm-adopted");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->vcpus, domain.spec.vcpus);
  EXPECT_EQ(spec->memory, domain.spec.memory);
  ASSERT_EQ(spec->disks.size(), 1);
  EXPECT_EQ(spec->disks[0].path, domain.disks[0].path);
  auto found = this->find(domain.uuid);
  EXPECT_EQ(found->vm, "vm-adopted");
  EXPECT_EQ(found->state, model::VmState::kOn);
  CHOROK_OK(adopt("vm-adopted"));
  EXPECT_EQ(adopt("vm-somebody-else").error().code, Code::kAlreadyExists);
}

TYPED_TEST_P(HypervisorContract, SaysEverythingThatStandsAgainstADomain) {
  auto domain = this->fixture_->domain("compatible");
  auto check = [&](const model::DomainSpec& spec) {
    return this->template await<std::vector<std::string>>(
        [&](auto done) { this->hypervisor(0).check_compatible(spec, "", std::move(done)); });
  };
  auto reasons = check(domain);
  ASSERT_TRUE(reasons) << reasons.error().message;
  EXPECT_TRUE(reasons->empty()) << reasons->front();
  domain.spec.machine = "pc-q35-99.9";
  domain.nics[0].bridge = "br-nowhere";
  reasons = check(domain);
  ASSERT_TRUE(reasons);
  EXPECT_EQ(reasons->size(), 2);
}

REGISTER_TYPED_TEST_SUITE_P(HypervisorContract, KnowsItsHost, ADomainIsDefinedOnceAndForgotten,
                            ANameBelongsToOneDomain, WhatIsNotThereIsNotFound,
                            LivesThroughItsStates, StartsPausedWhenAsked, SavesAndRestores,
                            ShutdownAsksTheGuest, TellsWhatChanged, CountsWhatRuns,
                            CountsWhatItsHostUses, MeasuresHowFastMemoryIsWritten,
                            ARedefinedDomainWaitsForItsNextBoot, AttachesAndDetaches,
                            SnapshotsComeAndGo, AForeignDomainIsAdoptedAsItIs,
                            SaysEverythingThatStandsAgainstADomain);

}  // namespace chorok::ports
