#include "simulation/simulation.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdio>

#include "crypto/random.h"
#include "manager/http_await.h"

namespace chorok::simulation {
namespace {

constexpr long kAtOnce = 100;
constexpr long kHistoryVms = 2000;
constexpr std::int64_t kHistoryBytes = 128 << 20;
constexpr std::size_t kBatch = 50;  // records a commit; the store takes 100 keys

}  // namespace

Simulation::Simulation(Plan plan, const manager::Pki& pki)
    : plan_(std::move(plan)), pki_(pki), bmcs_(loop_) {}

Result<> Simulation::open_files() {
  if (!plan_.on_disk) {
    store_ = std::make_unique<memory::MemoryStore>(loop_);
    // Where as many VMs as one likes would not fit.
    if (plan_.vms <= kHistoryVms)
      if (auto opened =
              sqlite::SqliteHistory::open(loop_, {.path = ":memory:", .bytes_max = kHistoryBytes}))
        history_ = std::move(*opened);
    return {};
  }
  store_ = TRY(sqlite::SqliteStore::open(loop_, {.path = plan_.state.store()}));
  history_ = TRY(sqlite::SqliteHistory::open(loop_, {.path = plan_.state.history()}));
  return {};
}

void Simulation::make_service() {
  manager::ServiceSettings settings;
  settings.history = history_.get();
  settings.engine.owner = "chorok-sim";
  settings.api.simulated = true;
  settings.switches = this;
  // All hosts have one address.
  if (plan_.apart) settings.http.connections_per_peer_max = settings.http.connections_max;
  settings.clusters.time_scale = plan_.time_scale;
  settings.telemetry.forecast.slot =
      from_seconds(seconds(settings.telemetry.forecast.slot) / plan_.time_scale);
  service_ = std::make_unique<manager::Service>(loop_, *store_, pki_, std::move(settings));
}

ports::PowerSwitch* Simulation::find(const model::Host& host) {
  if (plan_.apart) return bmcs_.find(host);
  return machines_ == nullptr ? nullptr : machines_->bmc(host.meta.id);
}

int Simulation::run() {
  loop_.on_signals({SIGTERM, SIGINT}, [this](int) {
    net::spawn(
        loop_.executor(),
        [this]() -> net::awaitable<void> {
          if (service_ != nullptr) co_await service_->stop();
          loop_.stop();
        },
        "stop");
  });
  net::spawn(loop_.executor(), start(), "start");
  loop_.run();
  return exit_code_;
}

net::awaitable<void> Simulation::start() {
  auto opened = co_await open();
  if (opened) co_return;
  fmt::print(stderr, "error: {}\n", opened.error().message);
  exit_code_ = 1;
  loop_.stop();
}

net::Async<> Simulation::open() {
  CO_TRY(open_files());
  make_service();
  CO_TRY(co_await service_->start());
  CO_TRY(co_await manager::until_done<Result<>>([&](Done<Result<>> done) {
    service_->accounts().create_admin("admin", plan_.password, std::move(done));
  }));
  CO_TRY(co_await make_inventory());
  CO_TRY(co_await make_hosts());
  CO_TRY(co_await make_records());
  if (!plan_.apart) make_machines();
  auto own = CO_TRY(pki_.server_identity(manager::server_names({}), loop_.now()));
  auto tls =
      CO_TRY(net::TlsServerContext::create({own.certificate_pem, own.key_pem}, pki_.ca_pem()));
  const auto port = CO_TRY(service_->listen(plan_.listen.address, plan_.listen.port, tls));
  CO_TRY(service_->listen_local(plan_.state.socket()));
  fmt::print("simulated manager: https://{}:{} user admin password {} CA {}/ca.pem\n",
             plan_.listen.address, port, plan_.password, plan_.state.pki());
  std::fflush(stdout);
  manager::sd_notify("READY=1");
  if (plan_.apart) CO_TRY(co_await bmcs_.begin(plan_.apart_socket()));
  co_await make_vms();
  co_return Result<>{};
}

net::Async<> Simulation::commit(manager::Changes changes) {
  return manager::until_done<Result<>>(
      [this, kept = std::make_shared<manager::Changes>(std::move(changes))](Done<Result<>> done) {
        service_->engine().commit(std::move(*kept), std::move(done));
      });
}

net::Async<> Simulation::make_inventory() {
  manager::Changes changes;
  model::Datastore shared;
  shared.meta = named("ds-shared", "shared");
  shared.path = kShared;
  shared.shared = true;
  changes.put(std::move(shared));
  model::Datastore local;
  local.meta = named("ds-local", "local");
  local.path = kLocal;
  changes.put(std::move(local));
  model::Network lan;
  lan.meta = named("net-lan", "lan");
  lan.bridge = "br0";
  changes.put(std::move(lan));
  model::Cluster cluster = service_->engine().cluster();
  cluster.migration.tls = false;                     // there is nothing to encrypt
  cluster.settings.power.require_wake_test = false;  // nor anything to prove
  changes.put(std::move(cluster));
  return commit(std::move(changes));
}

net::Async<> Simulation::make_hosts() {
  manager::Changes changes;
  for (long i = 0; i < plan_.hosts; ++i) {
    model::Host host;
    host.meta = named(host_id(i), host_name(i));
    host.cluster = service_->engine().cluster().meta.id;
    host.address = host_address(i);
    host.inventory.simulated = true;
    if (plan_.apart) CO_TRY(save_identity(plan_.apart_identities(), pki_, loop_.now(), host));
    changes.put(std::move(host));
    if (changes.items().size() >= kBatch) CO_TRY(co_await commit(std::exchange(changes, {})));
  }
  co_return co_await commit(std::move(changes));
}

net::Async<> Simulation::make_records() {
  manager::Changes changes;
  for (long i = 0; i < plan_.records; ++i) {
    changes.put(make_record(i));
    if (changes.items().size() >= kBatch) CO_TRY(co_await commit(std::exchange(changes, {})));
  }
  co_return co_await commit(std::move(changes));
}

model::Meta Simulation::named(std::string id, std::string name) const {
  model::Meta meta;
  meta.id = std::move(id);
  meta.name = std::move(name);
  meta.created = loop_.now();
  return meta;
}

model::Vm Simulation::make_record(long i) const {
  const long home = i % std::max(1L, plan_.hosts);
  model::Vm vm;
  vm.meta = named(fmt::format("vm-{:010}", i + 1), fmt::format("idle{:05}", i + 1));
  vm.meta.labels["tier"] = i % 3 == 0 ? "web" : "batch";
  vm.uuid = crypto::uuid_v4();
  vm.domain = vm.meta.name;
  vm.spec.vcpus = static_cast<std::int32_t>(1 + i % 8);
  vm.spec.memory = Mib{512 << i % 4};
  vm.host = vm.status.host = host_id(home);
  vm.status.host_name = host_name(home);
  vm.status.since = loop_.now();
  return vm;
}

void Simulation::make_machines() {
  Door door{.knows =
                [this](const std::string& host) {
                  return service_->engine().inventory().hosts().find(host) != nullptr;
                },
            .attach =
                [this](const std::string& host, std::shared_ptr<ports::Channel> channel) {
                  service_->agents().attach(host, std::move(channel));
                }};
  machines_ = std::make_unique<Machines>(loop_, &service_->api().tickets(),
                                         ways_in_memory(loop_, std::move(door)),
                                         MachineSettings{.time_scale = plan_.time_scale});
  machines_->add_alike(plan_.hosts);
}

net::awaitable<void> Simulation::until(std::function<bool()> condition) {
  const Time begun = loop_.now();
  do {
    co_await net::sleep_for(std::chrono::milliseconds(20));
  } while (!condition() && loop_.now() - begun < std::chrono::minutes(1));
}

// Hosts that have said what they reach.
long Simulation::hosts_ready() {
  long ready = 0;
  for (const auto& [id, host] : service_->engine().inventory().hosts().all())
    ready += host->power == model::HostPower::kOn && !host->datastores.empty() &&
                     host->datastores.front().reachable
                 ? 1
                 : 0;
  return ready;
}

long Simulation::tasks_open() {
  long open = 0;
  for (const auto& [id, task] : service_->engine().inventory().tasks().all())
    open += task->finished_state() ? 0 : 1;
  return open;
}

net::awaitable<void> Simulation::make_vms() {
  caller_.user_name = "admin";
  caller_.most = model::Role::kAdmin;
  caller_.grants = {{"", model::Role::kAdmin}};
  co_await until([this] { return hosts_ready() == plan_.hosts; });
  for (long i = 0; i < plan_.vms; ++i) {
    // Some at a time: everything here shares one thread.
    if (i % kAtOnce == 0) co_await until([this] { return creating_ + tasks_open() < kAtOnce; });
    make_vm(i);
  }
}

void Simulation::make_vm(long i) {
  const std::string body = fmt::format(
      R"({{"meta":{{"name":"demo{}","labels":{{"demo":"yes"}}}},"spec":{{"vcpus":{},"memory":512,)"
      R"("disks":[{{"name":"root","datastore":"shared","size":2048}}],)"
      R"("nics":[{{"name":"eth0","network":"lan"}}]}}}})",
      i + 1, 1 + i % 2);
  ++creating_;
  service_->requests().create(caller_, "vm", body, true, {},
                              [this, i](Result<manager::Answer> made) {
                                --creating_;
                                if (!made)
                                  Log("sim").warn("VM demo{}: {}", i + 1, made.error().message);
                              });
}

}  // namespace chorok::simulation
