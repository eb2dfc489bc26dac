#include "sim/fake_storage.h"

#include <gtest/gtest.h>

#include "sim/fake_cluster.h"

namespace chorok::sim {
namespace {

TEST(FakeStorage, SharedFilesAreSeenByAllAndLocalOnesByOne) {
  FakeCluster cluster(2);
  cluster.make_disk(0, "/srv/shared/a.qcow2");
  cluster.make_disk(0, "/srv/local/a.qcow2");
  auto info = [&](HostIndex host, std::string path) {
    return *cluster.ask<ports::ImageInfo>(
        [&](auto done) { cluster.storages[host]->info(path, std::move(done)); });
  };
  EXPECT_EQ(info(1, "/srv/shared/a.qcow2")->capacity, Mib{2048});
  EXPECT_TRUE(info(0, "/srv/local/a.qcow2"));
  EXPECT_EQ(info(1, "/srv/local/a.qcow2").error().code, Code::kNotFound);
}

TEST(FakeStorage, TheMarkerTellsDatastoresApart) {
  FakeCluster cluster(2);
  auto probe = [&](HostIndex host, std::string id) {
    return *cluster.ask<model::DatastoreReach>(
        [&](auto done) { cluster.storages[host]->probe(id, "/srv/shared", std::move(done)); });
  };
  EXPECT_TRUE(probe(0, "ds-1")->reachable);
  EXPECT_TRUE(probe(1, "ds-1")->reachable);
  EXPECT_EQ(probe(1, "ds-2").error().code, Code::kConflict);
  cluster.world.cut_datastore(1, "/srv/shared", true);
  EXPECT_FALSE(probe(1, "ds-1")->reachable);
}

TEST(FakeStorage, CreatesOnceAndRemovesAlways) {
  FakeCluster cluster(1);
  auto create = [&](Mib size, std::string copy_of = {}) {
    return *cluster.ask<ports::ImageInfo>([&](auto done) {
      cluster.storages[0]->create({"/srv/shared/d", model::DiskFormat::kRaw, size, copy_of},
                                  nullptr, std::move(done));
    });
  };
  EXPECT_EQ(create(Mib{10}, "/srv/shared/none").error().code, Code::kNotFound);
  EXPECT_TRUE(create(Mib{10}));
  EXPECT_TRUE(create(Mib{5}));
  EXPECT_EQ(create(Mib{20}).error().code, Code::kAlreadyExists);
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(*cluster.ask(
        [&](auto done) { cluster.storages[0]->remove("/srv/shared/d", std::move(done)); }));
}

TEST(FakeStorage, PathsStayBeneathTheirDatastore) {
  FakeCluster cluster(1);
  auto& storage = *cluster.storages[0];
  EXPECT_EQ(storage.resolve("/srv/shared", "vms/a").value(), "/srv/shared/vms/a");
  for (const char* bad : {"", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/"})
    EXPECT_EQ(storage.resolve("/srv/shared", bad).error().code, Code::kInvalid) << bad;
}

TEST(FakeStorage, ADiskInUseIsNotRemovedAndTheWishIsNoticed) {
  FakeCluster cluster(1);
  model::DomainSpec spec = cluster.make_vm(0, "a");
  ASSERT_TRUE(cluster.start(0, spec.uuid));
  auto remove = [&] {
    return *cluster.ask(
        [&](auto done) { cluster.storages[0]->remove(spec.disks[0].path, std::move(done)); });
  };
  EXPECT_EQ(remove().error().code, Code::kFailedPrecondition);
  EXPECT_EQ(cluster.world.violations().size(), 1u);
  cluster.world.kill_host(0);
  cluster.world.start_host(0);
  cluster.loop.run_for(std::chrono::seconds(5));
  EXPECT_TRUE(remove());
}

TEST(FakeStorage, AFullDatastoreSaysSo) {
  FakeCluster cluster(1);
  cluster.world.files().datastore("/srv/local")->capacity = Mib{0};
  auto made = *cluster.ask<ports::ImageInfo>([&](auto done) {
    cluster.storages[0]->create({"/srv/local/d", model::DiskFormat::kQcow2, Mib{1}, ""}, nullptr,
                                std::move(done));
  });
  EXPECT_EQ(made.error().code, Code::kExhausted);
}

}  // namespace
}  // namespace chorok::sim
