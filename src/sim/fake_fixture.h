// Two fake hosts as the contract of ports::Hypervisor wants them. Only tests include this.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>

#include "sim/fake_cluster.h"

namespace chorok::sim {
struct FakeFixture {
  static std::string missing() { return {}; }
  ports::Hypervisor& hypervisor(int host) { return *cluster.hypervisors.at(host); }
  bool wait(const std::function<bool()>& done) {
    return cluster.loop.advance_until(done, std::chrono::minutes(10));
  }
  model::DomainSpec domain(const std::string& name) {
    model::DomainSpec spec = cluster.describe_vm(name, kSharedPool);
    cluster.make_disk(0, spec.disks[0].path);
    return spec;
  }
  ports::MigrateRequest to(int host) {
    ports::MigrateRequest request;
    request.target_uri = cluster.world.host(static_cast<HostIndex>(host)).uri();
    request.settings.tls = false;
    return request;
  }
  std::string disk_path(const std::string& name) {
    return fmt::format("{}/{}.qcow2", kSharedPool, name);
  }
  void make_disk(const std::string& path) { cluster.make_disk(0, path); }
  ports::MigrateRequest nowhere() {
    ports::MigrateRequest request;
    request.target_uri = "fake://192.0.2.250/system";
    return request;
  }
  void pass(Duration time) { cluster.loop.run_for(time); }
  void kill_daemon(int host) { cluster.world.restart_libvirtd(static_cast<HostIndex>(host)); }

  FakeCluster cluster{2};
};

}  // namespace chorok::sim
