// The API over HTTP: routes made from the tables of kinds and verbs (model/verbs.h), bearer tokens,
// roles, conditions, idempotency, audit. It decodes, asks Requests and Accounts, and encodes; what
// may be done is decided there.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "manager/accounts.h"
#include "manager/agents.h"
#include "manager/cluster_snapshot.h"
#include "manager/enforced.h"
#include "manager/engine.h"
#include "manager/listing.h"
#include "manager/requests.h"
#include "net/http.h"

namespace chorok::ports {
class History;
class PlanLog;
}  // namespace chorok::ports
namespace chorok::manager {

class Telemetry;
class EnergyAccounts;
struct Route;
struct ApiCore;
class Tickets;

class ClusterDriver;
class Webhooks;
class PowerSwitches;

struct ApiSettings {
  bool simulated = false;  // said wherever a person could take the hosts for real ones
  std::string version = CHOROK_VERSION;
  ListingSettings listing;
  // A client that repeats a request after this long means it anew.
  Duration idempotency_life = std::chrono::hours(24);
  std::size_t idempotency_max = 10'000;
  std::size_t idempotency_bytes_max = 32 << 20;
  Duration heartbeat = std::chrono::seconds(15);  // below the usual 30 to 60 s of proxies
  std::size_t watch_queue_bytes_max = 4 << 20;    // of one reader that is too slow
  std::size_t watchers_max = 512;
  Duration agent_timeout = std::chrono::seconds(10);   // for an agent to answer or to come
  Duration transfer_timeout = std::chrono::hours(24);  // a slow line and a large disk
  std::uint64_t upload_bytes_max = std::uint64_t{16} << 40;
  // Writes a copy of the store to a new file; empty: this store has no copies.
  std::function<void(std::string path, Done<Result<>> done)> backup;
  std::string scratch_folder;  // for copies on their way out
  // The loops of a cluster, by its id; null where they have not begun. Made by Service.
  std::function<ClusterDriver*(const std::string& cluster)> drivers;
  // What a VM's host was told to give it; null: nothing. Made by Service.
  std::function<std::optional<Enforced>(const std::string& vm)> enforced;
  // Of what is used; null: asked for it, the API says that there is none.
  const Telemetry* telemetry = nullptr;
  ports::History* history = nullptr;
  ports::PlanLog* plan_log = nullptr;  // null: plans are known for two hours only
  Webhooks* webhooks = nullptr;        // made by Service
  PowerSwitches* switches = nullptr;   // the hosts' BMCs; null: none has one. Set by Service
  const EnergyAccounts* energy = nullptr;
  std::string calendars_folder;  // of prices and emissions in files; empty: there is none
  // Why a host's meter is not read; empty function: nobody reads any.
  std::function<std::string(const std::string& host)> meter_problem;
  // A cluster as its policies see it now; and what is worked out of it beside the I/O thread. Made
  // by Service.
  std::function<ClusterSnapshot(const std::string& cluster)> snapshot;
  Offload offload;
};

// Lives on the I/O thread; outlives the HttpServers that ask it.
class Api {
 public:
  Api(const net::Executor& executor, Engine& engine, Requests& requests, Accounts& accounts,
      Agents& agents, ApiSettings settings);
  ~Api();
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  net::awaitable<net::Response> handle(net::Request& request);
  // For the admin's unix socket: who can open it is the administrator of this machine.
  net::awaitable<net::Response> handle_local(net::Request& request);
  // For Prometheus on this machine: /metrics without a token, and nothing else.
  net::awaitable<net::Response> handle_metrics(net::Request& request);
  net::BodyPolicy body_policy(const net::Request& request) const;

  std::span<const Route> routes() const;
  const std::string& openapi() const;
  // For the simulator's agents, which bring their streams themselves.
  Tickets& tickets();

 private:
  std::unique_ptr<ApiCore> core_;
};

}  // namespace chorok::manager
