#include "manager/http_service.h"

#include "crypto/random.h"
#include "crypto/x509.h"
#include "manager/energy_report.h"
#include "manager/http_await.h"
#include "manager/http_webhook.h"
#include "manager/plan_view.h"

namespace chorok::manager {
namespace {

std::uint32_t random32() {
  std::uint32_t out = 0;
  crypto::random_bytes(&out, sizeof out);
  return out;
}

IdSource or_random(IdSource ids) {
  if (ids) return ids;
  return [](std::string_view prefix) { return crypto::random_id(prefix); };
}

constexpr Duration kStopGrace = std::chrono::seconds(3);  // systemd waits for 90

}  // namespace

Service::Service(net::AsioLoop& loop, ports::Store& store, const Pki& pki, ServiceSettings settings)
    : loop_(loop),
      pki_(pki),
      settings_(std::move(settings)),
      offload_(loop),
      engine_(loop, store, or_random(settings_.ids), settings_.engine) {}

Service::~Service() {
  if (settings_.switches != nullptr) settings_.switches->reach_agents({});
}

net::Async<> Service::start() {
  CO_TRY(
      co_await until_done<Result<>>([&](Done<Result<>> done) { engine_.start(std::move(done)); }));
  make_parts();
  if (recorder_ != nullptr) {
    auto restored = co_await until_done<Result<>>(
        [&](Done<Result<>> done) { recorder_->restore(std::move(done)); });
    if (!restored) Log("manager").error("the history cannot be read: {}", restored.error().message);
  }
  watch_energy();
  reconciler_->mark_all();
  co_return Result<>{};
}

void Service::make_telemetry() {
  telemetry_ = std::make_unique<Telemetry>(engine_, settings_.telemetry);
  energy_ = std::make_unique<EnergyAccounts>(engine_, settings_.energy);
  energy_->on_violation(
      [this](const std::string& host, const std::string& words) { tell_violation(host, words); });
  if (settings_.history != nullptr)
    recorder_ = std::make_unique<Recorder>(engine_, *telemetry_, energy_.get(), *settings_.history);
  else
    telemetry_->on_consumed([this](Consumption& consumption) { energy_->account(consumption); });
  settings_.api.energy = energy_.get();
  settings_.api.meter_problem = [this](const std::string& host) {
    return energy_watch_ == nullptr ? std::string() : energy_watch_->problem(host);
  };
  settings_.api.telemetry = telemetry_.get();
  settings_.api.history = settings_.history;
  agents_->on_telemetry(
      [this](const std::string& host, const model::TelemetryBatch& batch, Done<Result<>> done) {
        take_telemetry(host, batch, std::move(done));
      });
}

// Not before it is known what was accounted already.
void Service::watch_energy() {
  energy_watch_ = std::make_unique<EnergyWatch>(
      loop_, engine_, *energy_, settings_.meters,
      [this](const std::vector<EnergyAccount>& accounts) {
        if (recorder_ != nullptr) recorder_->take(accounts);
      },
      settings_.energy_watch);
}

void Service::tell_violation(const std::string& id, const std::string& words) {
  if (const auto host = engine_.inventory().hosts().find(id))
    tell_of_host(engine_, *host, "host.energy_sum", words, model::Severity::kError);
}

void Service::take_telemetry(const std::string& host, const model::TelemetryBatch& batch,
                             Done<Result<>> done) {
  if (recorder_ != nullptr) return recorder_->take(host, batch, std::move(done));
  done(telemetry_->take(host, batch));
}

void Service::make_alarms() {
  shortages_ = std::make_unique<Shortages>(engine_, *clusters_);
  AlarmSources sources{.shortages = [this] {
    return clusters_ == nullptr ? std::vector<control::Shortage>() : shortages_->now();
  }};
  if (const auto ca = crypto::certificate_info(pki_.ca_pem())) sources.ca_expires = ca->not_after;
  alarms_ = std::make_unique<Alarms>(engine_, std::move(sources), settings_.alarms);
  webhooks_ =
      std::make_unique<Webhooks>(engine_, http_webhook_post(loop_.executor()), settings_.unseal);
}

// Of hosts that their own agents switch off, and that are prepared for their power to go.
AgentReach Service::reach() {
  return {
      .is_connected = [this](const std::string& host) { return agents_->connected(host); },
      .connections = [this](const std::string& host) { return agents_->connections(host); },
      .put_to_standby =
          [this](const std::string& host, const model::StandbyRequest& request,
                 Done<Result<>> done) { agents_->put_to_standby(host, request, std::move(done)); },
      .prepare =
          [this](const std::string& host, const model::PrepareRequest& request, Duration limit,
                 Done<Result<>> done) { agents_->prepare(host, request, limit, std::move(done)); }};
}

void Service::make_enforcement() {
  auto tell = [this](const std::string& host, std::string params, ports::Channel::Reply reply) {
    agents_->call(host, "enforce", std::move(params), settings_.enforcement.timeout,
                  std::move(reply));
  };
  enforcement_ = std::make_unique<Enforcement>(Enforcement::Sources{.engine = engine_,
                                                                    .world = *world_,
                                                                    .loads = telemetry_.get(),
                                                                    .offload = offload_.offload()},
                                               std::move(tell), settings_.enforcement);
}

void Service::make_parts() {
  world_ = std::make_unique<World>(engine_);
  agents_ = std::make_unique<Agents>(engine_, *world_, settings_.agents);
  make_telemetry();
  reconciler_ = std::make_unique<Reconciler>(engine_, *world_, *agents_);
  agents_->connect(*reconciler_);
  PowerSwitches& switches = settings_.switches != nullptr ? *settings_.switches : no_switches_;
  switches.reach_agents(reach());
  settings_.clusters.agents = reach();
  settings_.clusters.draws = [this](const std::string& host) { return energy_->metered(host); };
  settings_.clusters.curve = [this](const std::string& host) {
    return energy_->learned_curve(host);
  };
  settings_.api.plan_log = settings_.plan_log;
  if (settings_.plan_log != nullptr)
    settings_.clusters.on_round = [log = settings_.plan_log, told = settings_.clusters.on_round](
                                      const std::string& cluster, const PlanRecord& record) {
      if (told) told(cluster, record);
      log->append(logged(cluster, record), [](Result<>) {});
    };
  settings_.clusters.offload = offload_.offload();
  clusters_ = std::make_unique<ClusterDrivers>(engine_, *world_, switches, telemetry_.get(),
                                               settings_.clusters);
  make_alarms();
  make_enforcement();
  accounts_ = std::make_unique<Accounts>(engine_, pki_, offload_.offload(), settings_.accounts);
  Identities identities;
  identities.uuid = crypto::uuid_v4;
  identities.random32 = random32;
  identities.hash = [this](std::string password, Done<Result<std::string>> done) {
    accounts_->hash(std::move(password), std::move(done));
  };
  identities.seal = settings_.seal;
  identities.has_switch = [&switches](const model::Host& host) {
    return switches.find(host) != nullptr;
  };
  identities.can_reach = [&switches](const model::BmcSpec& bmc) { return switches.can_reach(bmc); };
  identities.calendar = [folder = settings_.api.calendars_folder](const std::string& name,
                                                                  bool is_carbon) -> Result<> {
    auto found = CalendarBook(folder).find(name, is_carbon);
    if (!found) return Unexpected(found.error());
    return {};
  };
  requests_ = std::make_unique<Requests>(engine_, *world_, *agents_, std::move(identities));
  ApiSettings api = settings_.api;
  api.switches = &switches;
  api.drivers = [this](const std::string& cluster) -> ClusterDriver* {
    return clusters_ == nullptr ? nullptr : clusters_->find(cluster);
  };
  api.enforced = [this](const std::string& vm) {
    return enforcement_ == nullptr ? std::nullopt : enforcement_->find(vm);
  };
  api.offload = offload_.offload();
  api.webhooks = webhooks_.get();
  api.snapshot = [this](const std::string& cluster) {
    ClusterSnapshot made =
        make_snapshot(engine_.inventory(), cluster, engine_.now(),
                      {.loads = telemetry_.get(),
                       .world = world_.get(),
                       .revision = static_cast<std::int64_t>(engine_.revision())});
    const ClusterDriver* driver = clusters_ == nullptr ? nullptr : clusters_->find(cluster);
    if (driver != nullptr) driver->fleet().mark_bmcs(made);
    return made;
  };
  api_ = std::make_unique<Api>(loop_.executor(), engine_, *requests_, *accounts_, *agents_,
                               std::move(api));
  auto policy = [this](const net::Request& request) { return api_->body_policy(request); };
  server_ = std::make_unique<net::HttpServer>(
      loop_.executor(), [this](net::Request& request) { return api_->handle(request); },
      settings_.http, policy);
  local_ = std::make_unique<net::HttpServer>(
      loop_.executor(), [this](net::Request& request) { return api_->handle_local(request); },
      settings_.http, policy);
  metrics_ = std::make_unique<net::HttpServer>(
      loop_.executor(), [this](net::Request& request) { return api_->handle_metrics(request); },
      settings_.http, policy);
}

Result<std::uint16_t> Service::listen(const std::string& address, std::uint16_t port,
                                      std::shared_ptr<net::TlsServerContext> tls) {
  return server_->listen(address, port, std::move(tls));
}

Result<std::uint16_t> Service::listen_metrics(const std::string& address, std::uint16_t port) {
  return metrics_->listen(address, port, nullptr);
}

Result<> Service::listen_local(const std::string& path) {
  return local_->listen_unix(path, 0600);
}

net::Async<> Service::stop() {
  clusters_.reset();  // orders nothing any more
  enforcement_.reset();
  if (alarms_ != nullptr)
    (void)co_await until_done<Result<>>(
        [&](Done<Result<>> done) { alarms_->stop(std::move(done)); });
  energy_watch_.reset();
  if (server_ != nullptr) {
    co_await server_->stop(kStopGrace);
    co_await local_->stop(kStopGrace);
    co_await metrics_->stop(kStopGrace);
  }
  co_return co_await until_done<Result<>>(
      [&](Done<Result<>> done) { engine_.stop(std::move(done)); });
}

}  // namespace chorok::manager
