// A cluster for tests, said in a few words. Only tests include this.
#pragma once

#include <fmt/format.h>

#include <string>

#include "model/snapshot.h"

namespace chorok::policy {

struct TestCluster {
  TestCluster() {
    snapshot.now = Time(std::chrono::hours(24));
    snapshot.cluster = "test";
    snapshot.requirements.resize(1);
    snapshot.offers.resize(1);
    model::PowerCurve curve;
    curve.name = "test";
    for (std::size_t i = 0; i < curve.watts.size(); ++i) {
      curve.watts[i] = 100 + 10 * static_cast<double>(i);
    }
    curve.standby = 10;
    snapshot.curves.push_back(curve);
  }

  // Ten cores of 1,000 MHz and 10,000 MiB, unless said otherwise; wakes in two minutes.
  model::Index host(double cpu = 10000, double memory = 10000) {
    model::SnapshotHost host;
    host.name = fmt::format("host{}", snapshot.hosts.size() + 1);
    host.capacity = {cpu, memory};
    host.core_mhz = 1000;
    host.cores = 10;
    host.time_on = std::chrono::minutes(2);
    host.boot_energy = 20000;
    snapshot.hosts.push_back(host);
    return static_cast<model::Index>(snapshot.hosts.size() - 1);
  }

  // Asks for `cpu` steadily (deviation 0); of 1,000 MiB unless said otherwise.
  model::Index vm(model::Index host, double cpu, double memory = 1000, int vcpus = 4) {
    model::SnapshotVm vm;
    vm.name = fmt::format("vm{}", snapshot.vms.size() + 1);
    vm.run = host == model::kNone ? model::VmRun::kWaiting : model::VmRun::kOn;
    vm.host = host;
    vm.vcpus = vcpus;
    vm.size = {1000.0 * vcpus, memory};
    vm.cpu_demand = {cpu, cpu, 0, cpu, cpu, cpu};
    vm.memory_demand = {memory / 2, memory / 2, 0, memory / 2, memory / 2, memory / 2};
    vm.consumed = memory;
    snapshot.vms.push_back(vm);
    return static_cast<model::Index>(snapshot.vms.size() - 1);
  }

  model::Snapshot snapshot;
};

}  // namespace chorok::policy
