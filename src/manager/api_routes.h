// The table of routes: what there is under which path, for the router and for the OpenAPI document
// alike.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "model/verbs.h"
#include "net/http.h"

namespace chorok::manager {

struct Call;
using Handler = net::Async<net::Response> (*)(Call&);

enum class Access : std::uint8_t { kPublic, kToken, kHost };
enum class BodyForm : std::uint8_t { kNone, kJson, kPatch, kBytes };
enum class AnswerForm : std::uint8_t {
  kNothing,
  kObject,
  kList,
  kTask,
  kEvents,
  kWebSocket,
  kBytes,
  kDocument
};

struct Param {
  std::string_view name;
  std::string_view schema;  // "string", "integer", "boolean"
  std::string_view doc;
};

struct Route {
  std::string method;
  std::vector<std::string> pattern;  // {"api","v1","vms","{ref}"}; "{path...}" takes all the rest
  std::string id;                    // operationId
  std::string tag;
  std::string doc;
  Handler handler = nullptr;
  Access access = Access::kToken;
  const model::ResourceKind* kind = nullptr;
  const model::Verb* verb = nullptr;
  BodyForm body_form = BodyForm::kNone;
  const Type* body = nullptr;
  AnswerForm answer_form = AnswerForm::kObject;
  const Type* answer = nullptr;
  int status = 200;
  std::vector<Param> query;

  bool changes() const { return method != "GET"; }
  bool may_dry_run() const { return changes() && access == Access::kToken; }
  std::string path() const;  // "/api/v1/vms/{ref}"
};

std::vector<Route> make_routes();

// What a path leads to: a route with the values of its pattern, or what is there instead.
struct Match {
  const Route* route = nullptr;
  std::vector<std::string> args;
  std::vector<std::string> allowed;  // methods of that path, when it has others
};
Match match_route(const std::vector<Route>& routes, std::string_view method,
                  const std::vector<std::string>& segments);
// A path that is near to one that is not there, or empty.
std::string nearest_path(const std::vector<Route>& routes,
                         const std::vector<std::string>& segments);

// What POST /agent/v1/renew takes.
struct RenewRequest {
  std::string csr;
  static const Type& type();
};

// What GET /status answers.
struct ManagerStatus {
  std::string version;
  bool simulated = false;
  std::uint64_t term = 0;
  Time started{};
  std::int64_t hosts = 0;
  std::int64_t hosts_connected = 0;
  std::int64_t vms = 0;
  std::int64_t vms_on = 0;
  std::int64_t tasks_open = 0;
  std::uint64_t revision = 0;
  std::string store_problem;
  static const Type& type();
};

}  // namespace chorok::manager
