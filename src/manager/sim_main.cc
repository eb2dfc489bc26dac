// chorok-sim: the whole manager over hosts that are not there. Engine, controllers, agents' core
// and API are those of the real programs; below them are sim's fake hosts, between them links in
// memory. Needs no root, keeps nothing, and says `simulated` wherever it is asked.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "adapters/memory/memory_store.h"
#include "adapters/sqlite/sqlite_history.h"
#include "agent/core.h"
#include "crypto/random.h"
#include "crypto/sha256.h"
#include "manager/http_await.h"
#include "manager/http_options.h"
#include "manager/http_service.h"
#include "manager/state_dir.h"
#include "manager/tickets.h"
#include "net/websocket.h"
#include "sim/fake_bmc.h"
#include "sim/fake_world.h"
#include "sim/memory_channel.h"

namespace chorok::manager {
namespace {

constexpr OptionSpec kOptions[] = {
    {"hosts", "N", "simulated hosts; default 3"},
    {"vms", "N", "VMs to create and start; default 6"},
    {"records", "N", "VMs that are only in the inventory, switched off; default 0"},
    {"listen", "ADDR:PORT", "default 127.0.0.1:8443"},
    {"state", "DIR", "for the CA and the admin's socket; default a temporary folder"},
    {"time-scale", "N", "policies' windows are so many times shorter; default 1"},
    {"admin-password", "WORD", "of the user admin; default chorok-sim"},
    {"verbose", "", "log everything"},
    {"help", "", "this"},
};

constexpr std::string_view kShared = "/srv/shared";
constexpr std::string_view kLocal = "/srv/local";
constexpr long kAtOnce = 100;
// Of a simulated host, before the time scale.
constexpr Duration kBoot = std::chrono::minutes(3);
constexpr Duration kShutdown = std::chrono::seconds(30);
constexpr long kHistoryVms = 2000;
constexpr std::int64_t kHistoryBytes = 128 << 20;
constexpr std::size_t kBatch = 50;  // records a commit; the store takes 100 keys

// One console of a fake guest, joined to a WebSocket end.
struct ConsolePump : std::enable_shared_from_this<ConsolePump> {
  ConsolePump(const net::Executor& executor, std::unique_ptr<ports::ConsoleStream> stream,
              std::shared_ptr<net::WebSocket> end)
      : guest(std::move(stream)), socket(std::move(end)), changed(executor) {}

  void start(const net::Executor& executor) {
    std::weak_ptr<ConsolePump> weak = shared_from_this();
    guest->on_data([weak](std::span<const char> bytes) {
      auto self = weak.lock();
      if (self == nullptr) return;
      self->unsent.append(bytes.data(), bytes.size());
      self->changed.notify_all();
    });
    guest->on_close([weak](Error) {
      auto self = weak.lock();
      if (self == nullptr) return;
      self->is_over = true;
      self->changed.notify_all();
    });
    net::spawn(executor, send(shared_from_this()), "simulated console");
    net::spawn(executor, receive(shared_from_this()), "simulated console input");
  }
  static net::awaitable<void> send(std::shared_ptr<ConsolePump> self) {
    for (;;) {
      while (self->unsent.empty() && !self->is_over) co_await self->changed.wait();
      if (self->unsent.empty()) break;
      if (!co_await self->socket->send_binary(std::exchange(self->unsent, {}))) break;
    }
    co_await self->socket->close();
  }
  static net::awaitable<void> receive(std::shared_ptr<ConsolePump> self) {
    while (auto message = co_await self->socket->receive())
      if (!self->is_over) self->guest->write(std::move(message->data));
    self->is_over = true;
    self->changed.notify_all();
    self->guest.reset();
  }

  std::unique_ptr<ports::ConsoleStream> guest;
  std::shared_ptr<net::WebSocket> socket;
  std::string unsent;
  bool is_over = false;
  net::AsyncEvent changed;
};

// Where the bytes of an upload end: counted and hashed.
class HashSink final : public net::BodySink {
 public:
  explicit HashSink(const net::Executor& executor) : executor_(executor) {}
  net::Async<> write(std::string_view bytes) override {
    hash.update(bytes);
    size += bytes.size();
    co_return Result<>{};
  }
  bool is_closed() const override { return false; }
  void on_close(std::function<void()>) override {}
  net::Executor executor() const override { return executor_; }
  crypto::Sha256 hash;
  std::uint64_t size = 0;

 private:
  net::Executor executor_;
};

// Consoles and files of one simulated host. It takes its tickets at the manager itself, where a
// real agent would dial.
class SimStreams final : public agent::Streams {
 public:
  SimStreams(const net::Executor& executor, sim::FakeWorld& world, sim::HostIndex index,
             ports::Hypervisor& hypervisor, Tickets& tickets, std::string host)
      : executor_(executor),
        world_(world),
        index_(index),
        hypervisor_(hypervisor),
        tickets_(tickets),
        host_(std::move(host)) {}

  void open(model::StreamRequest request, Done<Result<>> done) override {
    auto opened = [this, ticket = request.ticket, done = std::move(done)](
                      Result<std::unique_ptr<ports::ConsoleStream>> guest) mutable {
      if (!guest) return done(Unexpected(guest.error()));
      done(join(ticket, std::move(*guest)));
    };
    if (request.kind == "vnc") return hypervisor_.vnc(request.uuid, std::move(opened));
    hypervisor_.console(request.uuid, std::move(opened));
  }

  void receive(model::FileRequest request, std::string root,
               Done<Result<model::FileInfo>> done) override {
    auto work = [](SimStreams* self, model::FileRequest asked, std::string beneath,
                   Done<Result<model::FileInfo>> then) -> net::awaitable<void> {
      then(co_await self->fetch(std::move(asked), std::move(beneath)));
    };
    net::spawn(executor_, work(this, std::move(request), std::move(root), std::move(done)),
               "simulated upload");
  }

  void list(model::FileRequest request, std::string root,
            Done<Result<model::FileList>> done) override {
    model::FileList list;
    const std::string beneath = request.path.empty() ? root : root + "/" + request.path;
    for (const std::string& path : world_.files().list(index_, beneath)) {
      const sim::FakeFile* file = world_.files().find(index_, path);
      if (file == nullptr) continue;
      list.items.push_back({.path = path.substr(root.size() + 1),
                            .size = static_cast<std::uint64_t>(file->allocated.value) << 20,
                            .format = std::string(name_of(file->format))});
    }
    done(std::move(list));
  }

  void remove(model::FileRequest request, std::string root, Done<Result<>> done) override {
    if (!world_.files().remove(index_, root + "/" + request.path))
      return done(fail(Code::kNotFound, fmt::format("there is no file '{}'", request.path)));
    done({});
  }

 private:
  Result<> join(const std::string& ticket, std::unique_ptr<ports::ConsoleStream> guest) {
    auto meeting = TRY(tickets_.take(TicketKind::kStream, ticket, host_));
    auto [here, there] = net::make_pipe(executor_);
    meeting->socket = net::WebSocket::create(std::move(there), net::WebSocketRole::kServer);
    meeting->changed.notify_all();
    auto end = net::WebSocket::create(std::move(here), net::WebSocketRole::kClient);
    std::make_shared<ConsolePump>(executor_, std::move(guest), std::move(end))->start(executor_);
    return {};
  }

  net::Async<model::FileInfo> fetch(model::FileRequest request, std::string root) {
    auto meeting = CO_TRY(tickets_.take(TicketKind::kTransfer, request.ticket, host_));
    HashSink sink(executor_);
    meeting->sink = &sink;
    meeting->changed.notify_all();
    while (!meeting->over) co_await meeting->changed.wait();
    meeting->sink = nullptr;
    if (meeting->failed) co_return Unexpected(meeting->error);
    model::FileInfo info{.path = request.path, .size = sink.size, .sha256 = sink.hash.finish_hex()};
    if (!request.sha256.empty() && request.sha256 != info.sha256)
      co_return fail(Code::kInvalid, "the checksum is another one: the file was not stored");
    sim::FakeFile file;
    file.capacity = file.allocated = Mib{static_cast<std::int64_t>((info.size >> 20) + 1)};
    CO_TRY(world_.files().make(index_, root + "/" + request.path, file));
    co_return info;
  }

  net::Executor executor_;
  sim::FakeWorld& world_;
  sim::HostIndex index_;
  ports::Hypervisor& hypervisor_;
  Tickets& tickets_;
  std::string host_;
};

struct SimHost {
  std::string id;
  sim::HostIndex index = 0;
  std::unique_ptr<ports::Hypervisor> hypervisor;
  std::unique_ptr<ports::Storage> storage;
  agent::MemoryMedium medium;
  std::unique_ptr<agent::Journal> journal;
  std::unique_ptr<SimStreams> streams;
  std::unique_ptr<agent::AgentCore> core;  // while the host has power
  std::unique_ptr<sim::FakeBmc> bmc;
  std::weak_ptr<sim::MemoryLink> link;
};

struct Plan {
  long hosts = 3;
  long vms = 6;
  long records = 0;
  double time_scale = 1;
  ListenAddress listen;
  StateDir state;
  std::string password;
};

class Simulation : public PowerSwitches {
 public:
  Simulation(Plan plan, const Pki& pki) : plan_(std::move(plan)), pki_(pki), store_(loop_) {
    // In memory, where as many VMs as one likes would not fit.
    if (plan_.vms <= kHistoryVms)
      if (auto opened =
              sqlite::SqliteHistory::open(loop_, {.path = ":memory:", .bytes_max = kHistoryBytes}))
        history_ = std::move(*opened);
    ServiceSettings settings;
    settings.history = history_.get();
    settings.engine.owner = "chorok-sim";
    settings.api.simulated = true;
    settings.switches = this;
    settings.clusters.time_scale = plan_.time_scale;
    settings.telemetry.forecast.slot =
        from_seconds(seconds(settings.telemetry.forecast.slot) / plan_.time_scale);
    service_ = std::make_unique<Service>(loop_, store_, pki_, std::move(settings));
  }
  ~Simulation() override {
    for (auto& host : hosts_) host->core.reset();
  }
  ports::PowerSwitch* find(const model::Host& host) override {
    for (auto& each : hosts_)
      if (each->id == host.meta.id) return each->bmc.get();
    return nullptr;
  }

  int run() {
    loop_.on_signals({SIGTERM, SIGINT}, [this](int) {
      net::spawn(
          loop_.executor(),
          [this]() -> net::awaitable<void> {
            co_await service_->stop();
            loop_.stop();
          },
          "stop");
    });
    net::spawn(loop_.executor(), start(), "start");
    loop_.run();
    return exit_code_;
  }

 private:
  net::awaitable<void> start() {
    auto opened = co_await open();
    if (opened) co_return;
    fmt::print(stderr, "error: {}\n", opened.error().message);
    exit_code_ = 1;
    loop_.stop();
  }

  net::Async<> open() {
    CO_TRY(co_await service_->start());
    CO_TRY(co_await until_done<Result<>>([&](Done<Result<>> done) {
      service_->accounts().create_admin("admin", plan_.password, std::move(done));
    }));
    CO_TRY(co_await make_inventory());
    for (long i = 0; i < plan_.hosts; ++i) make_host(i);
    auto own = CO_TRY(pki_.server_identity(server_names({}), loop_.now()));
    auto tls =
        CO_TRY(net::TlsServerContext::create({own.certificate_pem, own.key_pem}, pki_.ca_pem()));
    const auto port = CO_TRY(service_->listen(plan_.listen.address, plan_.listen.port, tls));
    CO_TRY(service_->listen_local(plan_.state.socket()));
    fmt::print("simulated manager: https://{}:{} user admin password {} CA {}/ca.pem\n",
               plan_.listen.address, port, plan_.password, plan_.state.pki());
    std::fflush(stdout);
    sd_notify("READY=1");
    co_await make_vms();
    co_return Result<>{};
  }

  net::Async<> commit(Changes changes) {
    return until_done<Result<>>(
        [this, kept = std::make_shared<Changes>(std::move(changes))](Done<Result<>> done) {
          service_->engine().commit(std::move(*kept), std::move(done));
        });
  }

  net::Async<> make_inventory() {
    Changes changes;
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
    cluster.migration.tls = false;  // there is nothing to encrypt
    changes.put(std::move(cluster));
    for (long i = 0; i < plan_.hosts; ++i) {
      model::Host host;
      host.meta = named(host_id(i), fmt::format("host{}", i + 1));
      host.cluster = service_->engine().cluster().meta.id;
      host.address = host_address(i);
      host.inventory.simulated = true;
      changes.put(std::move(host));
      if (changes.items().size() >= kBatch) CO_TRY(co_await commit(std::exchange(changes, {})));
    }
    for (long i = 0; i < plan_.records; ++i) {
      changes.put(make_record(i));
      if (changes.items().size() >= kBatch) CO_TRY(co_await commit(std::exchange(changes, {})));
    }
    co_return co_await commit(std::move(changes));
  }

  model::Meta named(std::string id, std::string name) const {
    model::Meta meta;
    meta.id = std::move(id);
    meta.name = std::move(name);
    meta.created = loop_.now();
    return meta;
  }
  static std::string host_id(long i) { return fmt::format("host-{:06}", i + 1); }
  static std::string host_address(long i) {
    return fmt::format("10.{}.{}.{}", i / 62500, i / 250 % 250, i % 250 + 1);
  }

  model::Vm make_record(long i) const {
    model::Vm vm;
    vm.meta = named(fmt::format("vm-{:010}", i + 1), fmt::format("idle{:05}", i + 1));
    vm.meta.labels["tier"] = i % 3 == 0 ? "web" : "batch";
    vm.uuid = crypto::uuid_v4();
    vm.domain = vm.meta.name;
    vm.spec.vcpus = static_cast<std::int32_t>(1 + i % 8);
    vm.spec.memory = Mib{512 << i % 4};
    vm.host = vm.status.host = host_id(i % std::max(1L, plan_.hosts));
    vm.status.host_name = fmt::format("host{}", i % std::max(1L, plan_.hosts) + 1);
    vm.status.since = loop_.now();
    return vm;
  }

  void make_host(long i) {
    if (i == 0) {
      world_.files().add_datastore({std::string(kShared), true, Mib{1 << 26}, {}});
      world_.files().add_datastore({std::string(kLocal), false, Mib{1 << 22}, {}});
    }
    auto host = std::make_unique<SimHost>();
    host->id = host_id(i);
    sim::HostSettings settings;
    settings.name = fmt::format("host{}", i + 1);
    settings.address = host_address(i);
    host->index = world_.add_host(std::move(settings));
    host->hypervisor = world_.open_hypervisor(host->index);
    host->storage = world_.open_storage(host->index);
    host->journal = agent::Journal::open(host->medium).value();
    host->streams =
        std::make_unique<SimStreams>(loop_.executor(), world_, host->index, *host->hypervisor,
                                     service_->api().tickets(), host->id);
    host->bmc = make_bmc(*host);
    boot(*host);
    hosts_.push_back(std::move(host));
  }

  // Its agent begins anew with every boot.
  void boot(SimHost& host) {
    const sim::HostSettings& settings = world_.host(host.index).settings();
    agent::AgentIdentity identity{host.id, world_.host(host.index).inventory().boot_id,
                                  CHOROK_VERSION, settings.address};
    host.core =
        std::make_unique<agent::AgentCore>(loop_, *host.hypervisor, *host.storage, *host.journal,
                                           std::move(identity), host.streams.get());
    host.core->on_detached([this, &host](Error) {
      loop_.after(std::chrono::seconds(1), [this, &host] { dial(host); });
    });
    dial(host);
  }

  std::unique_ptr<sim::FakeBmc> make_bmc(SimHost& host) {
    const auto later = [this](Duration delay, auto work) {
      loop_.after(from_seconds(seconds(delay) / plan_.time_scale), work);
    };
    const auto cut = [this, &host] {
      // What is being told to the agent at this moment ends first.
      loop_.post([this, &host] {
        host.core.reset();
        if (auto link = host.link.lock()) link->cut("the host has no power");
        world_.kill_host(host.index);
      });
    };
    sim::BmcMachine machine{.boot =
                                [this, &host, later] {
                                  later(kBoot, [this, &host] {
                                    if (host.core != nullptr || !host.bmc->has_power()) return;
                                    world_.start_host(host.index);
                                    boot(host);
                                  });
                                },
                            .cut = cut,
                            .ask_to_stop =
                                [&host, later, cut] {
                                  later(kShutdown, [&host, cut] {
                                    cut();
                                    host.bmc->stopped();
                                  });
                                },
                            .draws = [] { return Watts(100); }};
    return std::make_unique<sim::FakeBmc>(
        loop_, std::move(machine),
        sim::BmcSettings{.host = world_.host(host.index).settings().name});
  }

  void dial(SimHost& host) {
    // A host that was removed from the inventory stays away.
    if (service_->engine().inventory().hosts().find(host.id) == nullptr) return;
    if (host.core == nullptr) return;
    auto link = sim::MemoryLink::create(loop_, {}, random_.fork(host.id));
    host.link = link;
    std::shared_ptr<ports::Channel> here = link->take_a();
    std::shared_ptr<ports::Channel> there = link->take_b();
    service_->agents().attach(host.id, std::move(here));
    host.core->attach(std::move(there));
  }

  template <class Condition>
  net::awaitable<void> until(Condition condition) {
    const Time begun = loop_.now();
    do {
      co_await net::sleep_for(std::chrono::milliseconds(20));
    } while (!condition() && loop_.now() - begun < std::chrono::minutes(1));
  }
  // Hosts that have said what they reach.
  long hosts_ready() {
    long ready = 0;
    for (const auto& [id, host] : service_->engine().inventory().hosts().all())
      ready += !host->datastores.empty() && host->datastores.front().reachable ? 1 : 0;
    return ready;
  }
  long tasks_open() {
    long open = 0;
    for (const auto& [id, task] : service_->engine().inventory().tasks().all())
      open += task->finished_state() ? 0 : 1;
    return open;
  }

  net::awaitable<void> make_vms() {
    caller_.user_name = "admin";
    caller_.most = model::Role::kAdmin;
    caller_.grants = {{"", model::Role::kAdmin}};
    co_await until([this] { return hosts_ready() == plan_.hosts; });
    for (long i = 0; i < plan_.vms; ++i) {
      // Some at a time: everything here shares one thread.
      if (i % kAtOnce == 0) co_await until([this] { return creating_ + tasks_open() < kAtOnce; });
      std::string body = fmt::format(
          R"({{"meta":{{"name":"demo{}","labels":{{"demo":"yes"}}}},"spec":{{"vcpus":{},"memory":512,)"
          R"("disks":[{{"name":"root","datastore":"shared","size":2048}}],)"
          R"("nics":[{{"name":"eth0","network":"lan"}}]}}}})",
          i + 1, 1 + i % 2);
      ++creating_;
      service_->requests().create(caller_, "vm", body, true, {}, [this, i](Result<Answer> made) {
        --creating_;
        if (!made) Log("sim").warn("VM demo{}: {}", i + 1, made.error().message);
      });
    }
  }

  Plan plan_;
  const Pki& pki_;
  net::AsioLoop loop_;
  memory::MemoryStore store_;
  std::unique_ptr<sqlite::SqliteHistory> history_;
  sim::Random random_{1};
  sim::FakeWorld world_{loop_};
  std::unique_ptr<Service> service_;
  std::vector<std::unique_ptr<SimHost>> hosts_;
  Caller caller_;  // who creates the VMs
  long creating_ = 0;
  int exit_code_ = 0;
};

Result<int> dispatch(std::span<const std::string_view> args) {
  const Options options = TRY(Options::parse(args, kOptions));
  if (options.has("help") || !options.rest().empty()) {
    fmt::print("usage: chorok-sim [OPTIONS]\n\n{}", help_of(kOptions));
    return options.has("help") ? 0 : 2;
  }
  log_to_stderr(options.has("verbose") ? LogLevel::kDebug : LogLevel::kWarn);
  Plan plan;
  plan.hosts = TRY(options.number("hosts", 3, 1, 10'000));
  plan.vms = TRY(options.number("vms", 6, 0, 100'000));
  plan.records = TRY(options.number("records", 0, 0, 200'000));
  plan.time_scale = static_cast<double>(TRY(options.number("time-scale", 1, 1, 1000)));
  plan.listen = TRY(parse_listen(options.get("listen", "127.0.0.1:8443")));
  plan.password = options.get("admin-password", "chorok-sim");
  const bool is_temporary = !options.has("state");
  plan.state.path = options.get("state");
  if (is_temporary) {
    std::error_code none;
    const std::filesystem::path folder = std::filesystem::temp_directory_path(none);  // TMPDIR
    std::string temporary = (folder / "chorok-sim-XXXXXX").string();
    if (none || ::mkdtemp(temporary.data()) == nullptr)
      return fail(Code::kExhausted,
                  "no temporary folder can be made; set TMPDIR to one that you may write to, or "
                  "give --state DIR");
    plan.state.path = temporary;
  }
  TRY(plan.state.make());
  auto pki = Pki::create(plan.state.pki(), std::chrono::system_clock::now());
  if (!pki && pki.error().code == Code::kAlreadyExists) pki = Pki::open(plan.state.pki());
  if (!pki) return Unexpected(pki.error());
  const std::string folder = plan.state.path;
  const int code = Simulation(std::move(plan), *pki).run();
  if (is_temporary) {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  return code;
}

}  // namespace
}  // namespace chorok::manager

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  std::vector<std::string_view> args(argv + 1, argv + argc);
  auto result = chorok::manager::dispatch(args);
  if (result) return *result;
  fmt::print(stderr, "error: {}\n", result.error().message);
  return 1;
}
