// bench_snapshot HOSTS VMS: records of a cluster into the snapshot its policies plan on, its text,
// and its pools' table. Prints one line of milliseconds, named, the median of nine.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <random>

#include "manager/cluster_use.h"
#include "model/snapshot_text.h"
#include "policy/place.h"

namespace {

using namespace chorok;
using manager::Inventory;

template <class T>
void put(Inventory& inventory, T record) {
  const std::string id = manager::Record<T>::id(record);
  inventory.table<T>().exchange(id, std::make_shared<const T>(std::move(record)));
}

model::Meta meta(std::string_view kind, std::size_t i) {
  model::Meta out;
  out.id = fmt::format("{}-{:010}", kind, i);
  out.name = fmt::format("{}{:06}", kind, i);
  return out;
}

Inventory records(std::size_t hosts, std::size_t vms) {
  Inventory inventory;
  std::mt19937 random(1);
  model::Cluster cluster;
  cluster.meta = meta("cluster", 1);
  put(inventory, cluster);
  model::Datastore shared;
  shared.meta = meta("ds", 1);
  shared.shared = true;
  put(inventory, shared);
  model::Network lan;
  lan.meta = meta("net", 1);
  put(inventory, lan);
  for (std::size_t i = 0; i < 100; ++i) {
    model::Pool pool;
    pool.meta = meta("pool", i);
    pool.cluster = cluster.meta.id;
    if (i >= 10) pool.parent = meta("pool", i % 10).id;
    put(inventory, pool);
  }
  for (std::size_t i = 0; i < hosts; ++i) {
    model::Host host;
    host.meta = meta("host", i);
    host.cluster = cluster.meta.id;
    host.link = model::HostLink::kConnected;
    host.inventory.cpu = {.model = "EPYC",
                          .arch = "x86_64",
                          .sockets = 2,
                          .cores = 32,
                          .threads = 1,
                          .online = 64,
                          .mhz = Mhz{2500},
                          .capacity = Mhz{160000}};
    host.inventory.memory = Mib{262144};
    host.inventory.capabilities = {"live-migration"};
    host.datastores = {{.datastore = shared.meta.id, .reachable = true}};
    host.networks = {{.network = lan.meta.id, .reachable = true}};
    put(inventory, host);
  }
  for (std::size_t i = 0; i < vms; ++i) {
    model::Vm vm;
    vm.meta = meta("vm", i);
    vm.host = meta("host", random() % hosts).id;
    vm.status.host = vm.host;
    vm.status.state = model::VmState::kOn;
    vm.power = model::VmPower::kOn;
    vm.defined = true;
    vm.pool = meta("pool", random() % 100).id;
    vm.spec.vcpus = 2;
    vm.spec.memory = Mib{8192};
    model::DiskSpec root;
    root.name = "root";
    root.datastore = shared.meta.name;
    vm.spec.disks = {root};
    model::NicSpec nic;
    nic.name = "eth0";
    nic.network = lan.meta.name;
    vm.spec.nics = {nic};
    put(inventory, vm);
  }
  return inventory;
}

double median_ms(const std::function<void()>& work) {
  std::vector<double> taken;
  for (int i = 0; i < 9; ++i) {
    const auto before = std::chrono::steady_clock::now();
    work();
    taken.push_back(
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before)
            .count());
  }
  std::ranges::sort(taken);
  return taken[taken.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: bench_snapshot HOSTS VMS\n");
    return 2;
  }
  const auto hosts = static_cast<std::size_t>(std::max(1, std::atoi(argv[1])));
  const auto vms = static_cast<std::size_t>(std::max(0, std::atoi(argv[2])));
  const Inventory inventory = records(hosts, vms);
  const std::string cluster = inventory.default_cluster().meta.id;
  manager::ClusterSnapshot made;
  const double make = median_ms([&] { made = manager::make_snapshot(inventory, cluster, Time{}); });
  std::string text;
  const double write = median_ms([&] { text = model::write_snapshot(made.snapshot).value(); });
  const double use = median_ms([&] { (void)manager::cluster_use(made, cluster, true); });
  // One start, as manager/placer has it while a snapshot serves.
  std::unordered_map<std::string, model::Index> known;
  for (model::Index v = 0; v < made.vms.size(); ++v) known[made.vms[v]] = v;
  model::Vm next = vms > 0 ? *inventory.vms().all().begin()->second : model::Vm{};
  next.meta = meta("next", 1);
  next.host.clear();
  const double place = median_ms([&] {
    const model::Index index = manager::put_waiting(made, inventory, cluster, next, {}, known);
    known[next.meta.id] = index;
    policy::Round round(made.snapshot);
    (void)policy::place_one(round, index);
  });
  fmt::print(
      "place_ms {:.1f} make_ms {:.1f} write_ms {:.1f} use_ms {:.1f} text_bytes {} requirements {} "
      "offers {}\n",
      place, make, write, use, text.size(), made.snapshot.requirements.size(),
      made.snapshot.offers.size());
  return 0;
}
