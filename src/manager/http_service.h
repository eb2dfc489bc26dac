// One manager, put together: engine, world, reconciler, agents, requests, accounts, the API and its
// listeners, on one loop over one store. Both programs are this: chorok-manager over SQLite with
// real agents, chorok-sim over memory with simulated ones.
#pragma once

#include <memory>
#include <string>

#include "manager/accounts.h"
#include "manager/agents.h"
#include "manager/alarms.h"
#include "manager/api.h"
#include "manager/cluster_drivers.h"
#include "manager/energy.h"
#include "manager/energy_watch.h"
#include "manager/enforcement.h"
#include "manager/engine.h"
#include "manager/http_offload.h"
#include "manager/pki.h"
#include "manager/reconciler.h"
#include "manager/recorder.h"
#include "manager/requests.h"
#include "manager/shortages.h"
#include "manager/telemetry.h"
#include "manager/webhooks.h"
#include "manager/world.h"
#include "net/asio_loop.h"
#include "net/tls.h"

namespace chorok::manager {

struct ServiceSettings {
  IdSource ids;  // empty: random
  EngineSettings engine;
  AgentsSettings agents;
  TelemetrySettings telemetry;
  ports::History* history = nullptr;   // null: what was used is known of now only
  ports::PlanLog* plan_log = nullptr;  // null: rounds are known for two hours only
  DriverSettings clusters;
  EnforcementSettings enforcement;
  PowerSwitches* switches = nullptr;  // null: no host has a BMC
  PowerMeters* meters = nullptr;      // null: no BMC says what a host draws
  EnergyAccountsSettings energy;
  EnergyWatchSettings energy_watch;
  // Seals a BMC's password; empty: there is nowhere to keep one.
  std::function<std::string(const std::string& secret, const std::string& place)> seal;
  // Opens what it sealed; empty: webhooks have no secrets.
  Webhooks::Unseal unseal;
  AlarmsSettings alarms;
  AccountsSettings accounts;
  ApiSettings api;
  net::HttpLimits http;
};

class Service {
 public:
  // The loop, the store and the PKI outlive it.
  Service(net::AsioLoop& loop, ports::Store& store, const Pki& pki, ServiceSettings settings);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Leads and knows everything when it returns. kUnavailable: another manager leads.
  net::Async<> start();
  // After start(). Answers the port.
  Result<std::uint16_t> listen(const std::string& address, std::uint16_t port,
                               std::shared_ptr<net::TlsServerContext> tls);
  // /metrics without a token; for a loopback address.
  Result<std::uint16_t> listen_metrics(const std::string& address, std::uint16_t port);
  // The admin's socket: only the owner of the process may open it.
  Result<> listen_local(const std::string& path);
  // Says goodbye to everybody, then gives the lease back.
  net::Async<> stop();

  // What an agent measured. Done when it is kept.
  void take_telemetry(const std::string& host, const model::TelemetryBatch& batch,
                      Done<Result<>> done);

  Engine& engine() { return engine_; }
  Agents& agents() { return *agents_; }
  Telemetry& telemetry() { return *telemetry_; }
  EnergyAccounts& energy() { return *energy_; }
  ClusterDrivers& clusters() { return *clusters_; }
  World& world() { return *world_; }
  Accounts& accounts() { return *accounts_; }
  Requests& requests() { return *requests_; }
  Api& api() { return *api_; }

 private:
  void make_parts();
  void make_telemetry();
  void make_alarms();
  void make_enforcement();
  void watch_energy();
  AgentReach reach();
  void tell_violation(const std::string& host, const std::string& words);

  net::AsioLoop& loop_;
  const Pki& pki_;
  ServiceSettings settings_;
  OffloadPool offload_;
  Engine engine_;
  std::unique_ptr<World> world_;
  std::unique_ptr<Telemetry> telemetry_;
  std::unique_ptr<EnergyAccounts> energy_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<EnergyWatch> energy_watch_;
  std::unique_ptr<Agents> agents_;
  std::unique_ptr<Reconciler> reconciler_;
  NoSwitches no_switches_;
  std::unique_ptr<ClusterDrivers> clusters_;
  std::unique_ptr<Shortages> shortages_;
  std::unique_ptr<Alarms> alarms_;
  std::unique_ptr<Webhooks> webhooks_;
  std::unique_ptr<Enforcement> enforcement_;
  std::unique_ptr<Accounts> accounts_;
  std::unique_ptr<Requests> requests_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<net::HttpServer> server_;
  std::unique_ptr<net::HttpServer> local_;
  std::unique_ptr<net::HttpServer> metrics_;
};

}  // namespace chorok::manager
