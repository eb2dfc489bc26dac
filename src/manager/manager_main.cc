// chorok-manager: makes a cluster's state, runs it, and asks the running one for tokens and copies
// through its socket.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>

#include "adapters/sqlite/sqlite_history.h"
#include "adapters/sqlite/sqlite_plan_log.h"
#include "adapters/sqlite/sqlite_store.h"
#include "crypto/random.h"
#include "crypto/seal.h"
#include "manager/api_routes.h"
#include "manager/bmc_meters.h"
#include "manager/bmc_switches.h"
#include "manager/http_options.h"
#include "manager/http_service.h"
#include "manager/round_folder.h"
#include "manager/state_backup.h"
#include "manager/state_dir.h"
#include "net/http_client.h"

namespace chorok::manager {
namespace {

constexpr std::string_view kStateDefault = "/var/lib/chorok-manager";
constexpr std::string_view kListenDefault = "0.0.0.0:8443";
constexpr Duration kMeterInterval = std::chrono::seconds(2);
// A certificate is renewed with a month left; looking twice a day costs nothing.
constexpr Duration kCertificateCheck = std::chrono::hours(12);

constexpr OptionSpec kOptions[] = {
    {"state", "DIR", "where the manager keeps itself; default /var/lib/chorok-manager"},
    {"admin", "NAME", "init: name of the first user; default admin"},
    {"admin-password-file", "FILE", "init: its password; default a random one, printed once"},
    {"address", "NAME_OR_IP",
     "init: a name of this manager that agents and people use; repeatable"},
    {"listen", "ADDR:PORT", "run: default 0.0.0.0:8443; repeatable"},
    {"http", "ADDR:PORT", "run: plain HTTP too, on a loopback address only, for a proxy beside it"},
    {"audit-max", "COUNT", "run: audit entries kept, the oldest go first; default 20000"},
    {"audit-days", "DAYS", "run: and for how long; default 365"},
    {"metrics", "ADDR:PORT",
     "run: /metrics for Prometheus without a token, on a loopback address only"},
    {"sample-interval", "SECONDS", "run: between two samples of a host with VMs; default 10"},
    {"history-max", "MIB", "run: how large history.db may become; default 2048, 0: no history"},
    {"plans-max", "MIB", "run: how much of its rounds to keep in plans.db; default 512, 0: none"},
    {"time-scale", "N", "run: for demonstrations, the policies' windows are so many times shorter"},
    {"record-rounds", "DIR", "run: write every round's snapshot and plan there, newest 10,000"},
    {"lifetime", "SECONDS", "token host: default an hour"},
    {"seal-key", "FILE",
     "restore: the key that the CA's key was sealed with; default DIR/seal.key"},
    {"keep-ca", "", "restore: not the backup's CA; every host must join again"},
    {"verbose", "", "run: log more"},
    {"help", "", "this"},
};

constexpr std::string_view kUsage = R"(usage: chorok-manager COMMAND [OPTIONS]

  init          make the CA, the store and the first admin; safe to repeat
  run           be the manager
  token host    print a token that lets one host join
  status        how the running manager does
  backup FILE   the store and the CA in one file, from the running manager or from a stopped one
  restore FILE  put a backup back; the manager must not run
  version

)";

struct Run {
  StateDir state;
  EngineSettings engine;
  std::vector<ListenAddress> listen;
  std::vector<ListenAddress> plain;
  net::AsioLoop loop;
  std::vector<ListenAddress> metrics;
  Duration sample_interval = std::chrono::seconds(10);
  std::int64_t history_mib = 0;
  std::int64_t plans_mib = 0;
  std::unique_ptr<sqlite::SqliteStore> store;
  std::unique_ptr<sqlite::SqliteHistory> history;
  std::unique_ptr<sqlite::SqlitePlanLog> plans;
  std::unique_ptr<Pki> pki;
  std::unique_ptr<BmcSwitches> switches;
  std::unique_ptr<BmcMeters> meters;
  double time_scale = 1;
  std::unique_ptr<RoundFolder> rounds;
  std::shared_ptr<net::TlsServerContext> tls;
  std::unique_ptr<Service> service;
  std::string served;  // serial-bearing PEM in use
  bool is_stopping = false;
  int exit_code = 0;
  Log log{"manager"};

  Result<net::TlsIdentity> identity() {
    auto pair = TRY(pki->server_identity(server_names(TRY(state.extra_names())), loop.now()));
    return net::TlsIdentity{pair.certificate_pem, pair.key_pem};
  }

  Result<> prepare() {
    pki = std::make_unique<Pki>(TRY(Pki::open(state.pki())));
    auto own = TRY(identity());
    served = own.certificate_pem;
    tls = TRY(net::TlsServerContext::create(own, pki->ca_pem()));
    store = TRY(sqlite::SqliteStore::open(loop, {.path = state.store(), .create = false}));
    open_history();
    ServiceSettings settings;
    settings.history = history.get();
    open_plans();
    settings.plan_log = plans.get();
    settings.agents.sample_interval = sample_interval;
    settings.engine = engine;
    settings.engine.owner = fmt::format("manager-{}", crypto::random_text(10));
    settings.api.scratch_folder = state.path;
    settings.api.calendars_folder = state.path + "/calendars";
    settings.api.backup = [this](std::string path, Done<Result<>> done) {
      store->backup_to(std::move(path), std::move(done));
    };
    const crypto::SealingKey key = TRY(crypto::SealingKey::load(state.seal_key()));
    settings.seal = [key](const std::string& secret, const std::string& place) {
      return key.seal(secret, place);
    };
    const Unseal unseal = [key](const std::string& sealed, const std::string& place) {
      return key.open(sealed, place);
    };
    settings.unseal = unseal;
    switches = std::make_unique<BmcSwitches>(loop, unseal);
    settings.switches = switches.get();
    meters = std::make_unique<BmcMeters>(loop, unseal);
    settings.meters = meters.get();
    // A BMC says the mean of about a second: what is not asked for is not known.
    settings.energy_watch.every = kMeterInterval;
    settings.clusters.time_scale = time_scale;
    if (rounds)
      settings.clusters.on_round = [this](const std::string&, const PlanRecord& record) {
        rounds->keep(record);
      };
    settings.telemetry.forecast.slot =
        from_seconds(seconds(settings.telemetry.forecast.slot) / time_scale);
    service = std::make_unique<Service>(loop, *store, *pki, std::move(settings));
    // systemd starts it again, and then it waits for its turn.
    service->engine().on_lost([this](const Error& why) {
      fmt::print(stderr, "error: {}\n", why.message);
      exit_code = 1;
      stop(0);
    });
    return {};
  }

  // A manager without a past is better than none.
  void open_history() {
    if (history_mib == 0) return;
    sqlite::HistorySettings settings;
    settings.path = state.history();
    settings.bytes_max = history_mib << 20;
    auto opened = sqlite::SqliteHistory::open(loop, std::move(settings));
    if (opened)
      history = std::move(*opened);
    else
      log.error("what VMs and hosts use is not kept: {}", opened.error().message);
  }

  void open_plans() {
    if (plans_mib == 0) return;
    auto opened =
        sqlite::SqlitePlanLog::open(loop, {.path = state.plans(), .bytes_max = plans_mib << 20});
    if (opened)
      plans = std::move(*opened);
    else
      log.error("plans are not kept: {}", opened.error().message);
  }

  net::Async<> open() {
    CO_TRY(co_await service->start());
    for (const ListenAddress& each : listen) {
      auto port = CO_TRY(service->listen(each.address, each.port, tls));
      log.info("listens on {}:{}", each.address, port);
    }
    for (const ListenAddress& each : plain)
      CO_TRY(service->listen(each.address, each.port, nullptr));
    for (const ListenAddress& each : metrics)
      CO_TRY(service->listen_metrics(each.address, each.port));
    CO_TRY(service->listen_local(state.socket()));
    co_return Result<>{};
  }

  net::awaitable<void> start() {
    auto opened = co_await open();
    if (!opened) {
      fmt::print(stderr, "error: {}\n", opened.error().message);
      exit_code = 1;
      loop.stop();
      co_return;
    }
    sd_notify("READY=1");
    watch_certificate();
  }

  void watch_certificate() {
    loop.after(kCertificateCheck, [this] {
      if (auto own = identity(); own && own->certificate_pem != served) {
        served = own->certificate_pem;
        if (auto done = tls->reload(*own, pki->ca_pem()); !done)
          log.error("the new certificate is not used: {}", done.error().message);
        else
          log.info("renewed the server's certificate");
      }
      watch_certificate();
    });
  }

  void stop(int signal) {
    if (is_stopping) return;
    is_stopping = true;
    if (signal != 0) log.info("stops on signal {}", signal);
    sd_notify("STOPPING=1");
    net::spawn(
        loop.executor(),
        [this]() -> net::awaitable<void> {
          if (auto done = co_await service->stop(); !done)
            log.warn("the leader's lease was not given back: {}", done.error().message);
          loop.stop();
        },
        "stop");
  }
};

bool is_loopback(const ListenAddress& where) {
  return where.address.starts_with("127.") || where.address == "::1";
}

Result<int> run(const Options& options, const StateDir& state) {
  log_to_stderr(options.has("verbose") ? LogLevel::kDebug : LogLevel::kInfo);
  Run self;
  self.state = state;
  auto listen = options.all("listen");
  if (listen.empty()) listen.emplace_back(kListenDefault);
  for (const std::string& each : listen) self.listen.push_back(TRY(parse_listen(each)));
  for (const std::string& each : options.all("http")) {
    self.plain.push_back(TRY(parse_listen(each)));
    if (!is_loopback(self.plain.back()))
      return fail(Code::kInvalid, "tokens would be readable on their way: use 127.0.0.1 or ::1",
                  "--http");
  }
  for (const std::string& each : options.all("metrics")) {
    self.metrics.push_back(TRY(parse_listen(each)));
    if (!is_loopback(self.metrics.back()))
      return fail(Code::kInvalid,
                  "it asks for no token: use 127.0.0.1 or ::1, or scrape /metrics with one",
                  "--metrics");
  }
  self.sample_interval = std::chrono::seconds(TRY(options.number("sample-interval", 10, 0, 3600)));
  self.history_mib = TRY(options.number("history-max", 2048, 0, 1 << 20));
  self.plans_mib = TRY(options.number("plans-max", 512, 0, 1 << 20));
  self.engine.audit_max =
      static_cast<std::size_t>(TRY(options.number("audit-max", 20'000, 1, 1'000'000)));
  self.engine.audit_age = std::chrono::days(TRY(options.number("audit-days", 365, 1, 36'500)));
  self.time_scale = static_cast<double>(TRY(options.number("time-scale", 1, 1, 1000)));
  if (options.has("record-rounds")) {
    const std::string folder = options.get("record-rounds", "");
    if (!std::filesystem::is_directory(folder))
      return fail(Code::kNotFound, fmt::format("there is no folder '{}'", folder),
                  "--record-rounds");
    self.rounds = std::make_unique<RoundFolder>(folder);
  }
  // Every agent, console and browser is a descriptor.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  TRY(self.prepare());
  self.loop.on_signals({SIGTERM, SIGINT}, [&self](int signal) { self.stop(signal); });
  net::spawn(self.loop.executor(), self.start(), "start");
  self.loop.run();
  self.service.reset();
  self.history.reset();
  self.plans.reset();
  self.store.reset();
  return self.exit_code;
}

Result<int> init(const Options& options, const StateDir& state) {
  InitRequest request;
  request.state = state;
  request.admin = options.get("admin", "admin");
  request.names = options.all("address");
  if (options.has("admin-password-file")) {
    request.password = TRY(read_text_file(options.get("admin-password-file"), 4096));
    while (request.password.ends_with('\n') || request.password.ends_with('\r'))
      request.password.pop_back();
    if (request.password.empty())
      return fail(Code::kInvalid, "the password file is empty", "--admin-password-file");
  }
  InitAnswer answer = TRY(init_state(request));
  for (const std::string& line : answer.lines) fmt::print("{}\n", line);
  if (!answer.password.empty())
    fmt::print("password of '{}', shown this once: {}\n", request.admin, answer.password);
  fmt::print("CA fingerprint (SHA-256): {}\n", answer.ca_sha256);
  return 0;
}

// What the running manager answers on its socket.
Result<std::string> ask(const StateDir& state, std::string method, std::string path,
                        std::string body = {}) {
  net::HttpClientSettings settings;
  settings.unix_path = state.socket();
  net::BlockingHttpClient client(std::move(settings));
  net::ClientRequest request;
  request.method = std::move(method);
  request.url = TRY(net::parse_url("http://localhost" + path));
  request.body = std::move(body);
  if (!request.body.empty()) request.headers.add("Content-Type", "application/json");
  auto response = client.send(std::move(request));
  if (!response)
    return fail(Code::kUnavailable,
                fmt::format("no manager answers on {} ({}); is it running, and may you open it?",
                            state.socket(), response.error().message));
  if (!response->is_ok())
    return Unexpected(net::error_from_problem(response->status, response->body));
  return std::move(response->body);
}

Result<int> token(const Options& options, const StateDir& state) {
  if (options.rest().size() != 2 || options.rest()[1] != "host")
    return fail(Code::kInvalid, "write `chorok-manager token host`");
  model::TokenRequest request;
  request.purpose = "host";
  request.lifetime = std::chrono::seconds(TRY(options.number("lifetime", 0, 0, 366L * 86400)));
  auto answer = TRY(ask(state, "POST", "/api/v1/tokens", json::encode(request)));
  auto made = TRY(json::decode<model::NewToken>(answer, {.stored = true}));
  fmt::print("{}\n", made.token);
  if (::isatty(STDERR_FILENO) != 0)
    fmt::print(stderr, "on the host: chorok-agent join https://{}:8443 TOKEN (until {})\n",
               server_names({}).dns_names.front(), json::format_time(made.expires));
  return 0;
}

Result<int> status(const Options&, const StateDir& state) {
  auto answer = TRY(ask(state, "GET", "/api/v1/status"));
  auto read = TRY(json::decode<ManagerStatus>(answer, {.stored = true}));
  for (const Field& field : ManagerStatus::type().fields)
    fmt::print("{:<16} {}\n", field.name, json::encode(field.type(), field_at(field, &read)));
  return 0;
}

// The running manager's copy of its store.
Result<> copy_running_store(const StateDir& state, const std::string& path) {
  net::HttpClientSettings settings;
  settings.unix_path = state.socket();
  net::BlockingHttpClient client(std::move(settings));
  net::ClientRequest request;
  request.url = TRY(net::parse_url("http://localhost/api/v1/backup"));
  request.timeout = std::chrono::minutes(10);
  std::FILE* file = std::fopen(path.c_str(), "wxe");
  if (file == nullptr) return fail(Code::kFailedPrecondition, fmt::format("cannot write {}", path));
  int answered = 0;
  std::string problem;
  bool is_written = true;
  auto done = client.stream(
      std::move(request),
      [&](int code, const net::Headers&) {
        answered = code;
        return true;
      },
      [&](std::string_view data) {
        if (answered != 200) {
          problem += data.substr(0, 4096);
          return problem.size() < 65536;
        }
        is_written = std::fwrite(data.data(), 1, data.size(), file) == data.size();
        return is_written;
      });
  is_written = std::fclose(file) == 0 && is_written;
  if (!done) return Unexpected(done.error());
  if (answered != 200) return Unexpected(net::error_from_problem(answered, problem));
  if (!is_written)
    return fail(Code::kExhausted, fmt::format("cannot write {}: is the disk full?", path));
  return {};
}

Result<int> backup(const Options& options, const StateDir& state) {
  if (options.rest().size() != 2) return fail(Code::kInvalid, "write `chorok-manager backup FILE`");
  const std::string& file = options.rest()[1];
  // Who cannot open the socket of a running manager cannot open its store either.
  auto copy = [&](const std::string& path) -> Result<> {
    auto closed = copy_closed_store(state, path);
    const bool is_running = !closed && closed.error().code == Code::kUnavailable;
    return is_running ? copy_running_store(state, path) : closed;
  };
  TRY(write_backup(state, file, copy));
  fmt::print("wrote {}\nThe CA's key in it is sealed with {}: keep a copy of that apart.\n", file,
             state.seal_key());
  return 0;
}

Result<int> restore(const Options& options, const StateDir& state) {
  if (options.rest().size() != 2)
    return fail(Code::kInvalid, "write `chorok-manager restore FILE`");
  RestoreRequest request{state, options.rest()[1], options.get("seal-key"), options.has("keep-ca")};
  for (const std::string& line : TRY(restore_backup(request))) fmt::print("{}\n", line);
  return 0;
}

using Command = Result<int> (*)(const Options&, const StateDir&);

Result<int> dispatch(std::span<const std::string_view> args) {
  const Options options = TRY(Options::parse(args, kOptions));
  const StateDir state{options.get("state", kStateDefault)};
  const std::string name = options.rest().empty() ? "" : options.rest()[0];
  if (name == "version") {
    fmt::print("chorok-manager {}\n", CHOROK_VERSION);
    return 0;
  }
  if (name.empty() || options.has("help")) {
    fmt::print("{}{}", kUsage, help_of(kOptions));
    return name.empty() && !options.has("help") ? 2 : 0;
  }
  static const std::map<std::string_view, Command> kCommands = {
      {"init", init},     {"run", run},       {"token", token},
      {"status", status}, {"backup", backup}, {"restore", restore}};
  auto it = kCommands.find(name);
  if (it == kCommands.end())
    return fail(Code::kInvalid,
                fmt::format("there is no command '{}'; `chorok-manager --help` lists them", name));
  return it->second(options, state);
}

}  // namespace
}  // namespace chorok::manager

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  chorok::manager::tune_allocator();
  std::vector<std::string_view> args(argv + 1, argv + argc);
  auto result = chorok::manager::dispatch(args);
  if (result) return *result;
  const chorok::Error& error = result.error();
  fmt::print(stderr, "error: {}{}{}\n", error.field, error.field.empty() ? "" : ": ",
             error.message);
  return 1;
}
