// What the API's handlers share. Not for other folders.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "manager/api.h"
#include "manager/api_idempotency.h"
#include "manager/api_routes.h"
#include "manager/energy_report.h"
#include "manager/http_await.h"
#include "manager/tickets.h"

namespace chorok::manager {

struct ApiCore {
  ApiCore(const net::Executor& e, Engine& en, Requests& r, Accounts& ac, Agents& ag, ApiSettings s);
  ApiCore(const ApiCore&) = delete;
  ApiCore& operator=(const ApiCore&) = delete;

  net::Executor executor;
  Engine& engine;
  Requests& requests;
  Accounts& accounts;
  Agents& agents;
  ApiSettings settings;
  std::vector<Route> routes;
  std::string openapi;
  Listing listing;
  Tickets tickets;
  Idempotency idempotency;
  CalendarBook calendars;
  Time started{};
  std::size_t watchers = 0;
  std::uint64_t encoded_revision = 0;  // of the change that was encoded last
  std::shared_ptr<const std::string> encoded_event;
  Log log{"api"};
  // False once this is gone: a request may outlive it when the program ends.
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  ~ApiCore() { *alive = false; }
};

// One request on its way through its handler.
struct Call {
  ApiCore& core;
  net::Request& request;
  const Route& route;
  std::vector<std::string> args;  // values of the pattern
  Caller caller;
  std::string bearer;  // what the caller was known by; empty on the admin's socket
  std::string host;    // of a host's certificate
  Conditions conditions;
  int conflict_status = 409;  // 412 where the client gave a condition, 410 for a list that is gone

  const std::string& ref() const { return args.at(0); }
  Result<bool> flag(std::string_view name) const;  // of the query
  std::string value(std::string_view name) const;
};

// A time of the query: "2026-11-22T05:00:00Z", or seconds before now: "-3600".
Result<Time> time_parameter(const Call& call, std::string_view name, Time otherwise);
// The address of a peer without its port.
std::string address_of(const std::string& peer);
// Who may see what: a function of the kind, made once for a list.
std::function<bool(const void*)> visible_to(const ApiCore& core, const Caller& caller,
                                            std::string_view kind);
// The object, if the caller may see it; else kNotFound with a suggestion.
Result<std::shared_ptr<const void>> find_object(Call& call, const model::ResourceKind& kind,
                                                std::string_view ref);

net::Response object_response(const Type& type, const void* object, int status = 200);
net::Response answer_response(Call& call, const Answer& answer, int status);
net::Response dry_run_response(const DryRun& answer);
net::Response problem_response(const Error& error, int status, std::string_view instance);
net::Response unauthenticated_response(const Error& error, std::string_view instance);
// The strong ETag of a record, or empty.
std::string etag_of(const Type& type, const void* object);

// ---- handlers, by file
net::Async<net::Response> list_objects(Call& call);
net::Async<net::Response> get_object(Call& call);
net::Async<net::Response> create_object(Call& call);
net::Async<net::Response> patch_object(Call& call);
net::Async<net::Response> delete_object(Call& call);
net::Async<net::Response> do_verb(Call& call);
net::Async<net::Response> cancel_task(Call& call);
net::Async<net::Response> set_baseline(Call& call);
net::Async<net::Response> acknowledge_alarm(Call& call);
net::Async<net::Response> clear_alarm(Call& call);
net::Async<net::Response> test_webhook(Call& call);
net::Async<net::Response> get_cluster_plan(Call& call);
net::Async<net::Response> get_recommendations(Call& call);
net::Async<net::Response> apply_recommendations(Call& call);
net::Async<net::Response> ignore_recommendations(Call& call);
net::Async<net::Response> get_host_why(Call& call);
net::Async<net::Response> get_vm_why(Call& call);
net::Async<net::Response> get_cluster_snapshot(Call& call);
net::Async<net::Response> get_cluster_use(Call& call);
net::Async<net::Response> get_host_bmc(Call& call);

net::Async<net::Response> get_version(Call& call);
net::Async<net::Response> get_openapi(Call& call);
net::Async<net::Response> get_status(Call& call);
net::Async<net::Response> get_backup(Call& call);

net::Async<net::Response> login(Call& call);
net::Async<net::Response> create_token(Call& call);
net::Async<net::Response> join_host(Call& call);
net::Async<net::Response> renew_host(Call& call);
net::Async<net::Response> agent_link(Call& call);

net::Async<net::Response> watch(Call& call);

net::Async<net::Response> get_metrics(Call& call);
net::Async<net::Response> get_usage(Call& call);
net::Async<net::Response> vm_stats(Call& call);
net::Async<net::Response> vm_dirty_rate(Call& call);
net::Async<net::Response> host_stats(Call& call);
net::Async<net::Response> get_energy(Call& call);
net::Async<net::Response> cluster_energy(Call& call);
net::Async<net::Response> host_energy(Call& call);
net::Async<net::Response> vm_energy(Call& call);
net::Async<net::Response> pool_energy(Call& call);
net::Async<net::Response> get_metering(Call& call);

net::Async<net::Response> open_console(Call& call);
net::Async<net::Response> open_vnc(Call& call);
net::Async<net::Response> agent_stream(Call& call);
net::Async<net::Response> agent_transfer(Call& call);
net::Async<net::Response> list_files(Call& call);
net::Async<net::Response> put_file(Call& call);
net::Async<net::Response> delete_file(Call& call);

}  // namespace chorok::manager
