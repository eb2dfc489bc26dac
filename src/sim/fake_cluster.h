// For tests: a FakeWorld of a few hosts on a shared datastore, with calls that wait for their
// answer in virtual time.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/fake_world.h"
#include "sim/virtual_loop.h"

namespace chorok::sim {

inline constexpr std::string_view kSharedPool = "/srv/shared";
inline constexpr std::string_view kLocalPool = "/srv/local";

struct FakeCluster {
  explicit FakeCluster(std::uint32_t hosts, WorldSettings settings = {})
      : world(loop, std::move(settings)) {
    world.files().add_datastore({std::string(kSharedPool), true, Mib{1 << 20}, {}});
    world.files().add_datastore({std::string(kLocalPool), false, Mib{1 << 20}, {}});
    for (std::uint32_t i = 0; i < hosts; ++i) {
      HostSettings host;
      host.name = fmt::format("host{}", i + 1);
      host.address = fmt::format("192.0.2.{}", i + 1);
      world.add_host(std::move(host));
      hypervisors.push_back(world.open_hypervisor(i));
      storages.push_back(world.open_storage(i));
    }
  }

  // The answer of an asynchronous call, or nothing when none came within `limit`.
  template <class T = void, class Call>
  std::optional<Result<T>> ask(Call call, Duration limit = std::chrono::minutes(10)) {
    auto answer = std::make_shared<std::optional<Result<T>>>();
    call([answer](Result<T> result) {
      CHOROK_ASSERT(!*answer);
      *answer = std::move(result);
    });
    CHOROK_ASSERT(!*answer);  // never from inside the call
    loop.advance_until([&] { return answer->has_value(); }, limit);
    return std::move(*answer);
  }

  // A VM with one disk and one NIC; nothing of it is made.
  static model::DomainSpec describe_vm(const std::string& name, std::string_view pool) {
    model::DomainSpec spec;
    spec.uuid = "uuid-" + name;
    spec.vm = "vm-" + name;
    spec.name = name;
    spec.generation = 1;
    spec.spec.memory = Mib{1024};
    model::DomainDisk disk;
    disk.spec.name = "root";
    disk.path = fmt::format("{}/{}.qcow2", pool, name);
    spec.disks.push_back(disk);
    model::DomainNic nic;
    nic.spec.name = "eth0";
    nic.spec.mac = "52:54:00:00:00:01";
    nic.bridge = "br0";
    spec.nics.push_back(nic);
    return spec;
  }
  // The same with its disk, defined on a host.
  model::DomainSpec make_vm(HostIndex host, const std::string& name,
                            std::string_view pool = kSharedPool) {
    model::DomainSpec spec = describe_vm(name, pool);
    make_disk(host, spec.disks[0].path);
    auto defined = ask([&](auto done) { hypervisors[host]->define(spec, std::move(done)); });
    CHOROK_ASSERT(defined && *defined);
    return spec;
  }
  void make_disk(HostIndex host, const std::string& path) {
    auto made = ask<ports::ImageInfo>([&](auto done) {
      storages[host]->create({path, model::DiskFormat::kQcow2, Mib{2048}, ""}, nullptr,
                             std::move(done));
    });
    CHOROK_ASSERT(made && *made);
  }
  Result<> start(HostIndex host, const std::string& uuid) {
    return *ask([&](auto done) { hypervisors[host]->start(uuid, false, std::move(done)); });
  }
  Result<model::MigrationStats> migrate(HostIndex from, HostIndex to, const std::string& uuid,
                                        ports::MigrateRequest request = {}) {
    request.target_uri = world.host(to).uri();
    auto answer = ask<model::MigrationStats>(
        [&](auto done) { hypervisors[from]->migrate(uuid, request, nullptr, std::move(done)); });
    return *answer;
  }
  std::vector<model::Instance> list(HostIndex host) {
    auto all = ask<std::vector<model::Instance>>(
        [&](auto done) { hypervisors[host]->list(std::move(done)); });
    return all && *all ? **all : std::vector<model::Instance>{};
  }
  // The instance on that host; nothing when it has none.
  std::optional<model::Instance> see(HostIndex host, const std::string& uuid) {
    for (model::Instance& each : list(host))
      if (each.uuid == uuid) return std::move(each);
    return std::nullopt;
  }

  VirtualLoop loop;
  FakeWorld world;
  std::vector<std::unique_ptr<ports::Hypervisor>> hypervisors;
  std::vector<std::unique_ptr<ports::Storage>> storages;
};

}  // namespace chorok::sim
