#include "manager/api_routes.h"

#include <fmt/format.h>

#include <algorithm>

#include "manager/api_core.h"
#include "manager/cluster_use.h"
#include "manager/host_bmc.h"
#include "manager/plan_view.h"
#include "manager/webhooks.h"
#include "model/energy.h"
#include "model/usage.h"

namespace chorok::manager {
namespace {

using model::ResourceKind;
using model::Verb;

const std::vector<Param> kListParams = {
    {"limit", "integer", "Rows of a page, 1 to 1000; 0: everything. Default 100."},
    {"continue", "string", "What the page before answered; at the same revision."},
    {"labels", "string", "a=b, a!=b, a, !a, a in (b,c), separated by commas."},
    {"field", "string", "PATH=VALUE or PATH!=VALUE, separated by commas; may be repeated."},
    {"name", "string", "Names that match; * and ? are wildcards."},
    {"sort", "string", "Paths separated by commas; - before one for descending."},
    {"fields", "string", "Paths to show, separated by commas; default everything."}};
const Param kDryRun = {"dry_run", "boolean", "Say what would happen, and change nothing."};

bool is_one_of(std::string_view kind, std::initializer_list<std::string_view> kinds) {
  return std::ranges::find(kinds, kind) != kinds.end();
}

std::vector<std::string> pattern_of(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    path.remove_prefix(1);
    std::string_view segment = path.substr(0, path.find('/'));
    out.emplace_back(segment);
    path.remove_prefix(segment.size());
  }
  return out;
}

std::string capital(std::string_view word) {
  std::string out;
  bool upper = true;
  for (char c : word) {
    if (c == '-') {
      upper = true;
      continue;
    }
    out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    upper = false;
  }
  return out;
}

class RouteMaker {
 public:
  Route& add(std::string method, std::string_view path, std::string id, std::string doc,
             Handler handler) {
    Route route;
    route.method = std::move(method);
    route.pattern = pattern_of(path);
    route.id = std::move(id);
    route.doc = std::move(doc);
    route.handler = handler;
    route.tag = "manager";
    out_.push_back(std::move(route));
    return out_.back();
  }

  void kind_routes(const ResourceKind& kind) {
    const std::string base = fmt::format("/api/v1/{}", kind.plural);
    const std::string name = capital(kind.kind);
    auto of_kind = [&](Route& route) -> Route& {
      route.kind = &kind;
      route.answer = &kind.type();
      route.tag = kind.plural;
      return route;
    };
    Route& list = of_kind(add("GET", base, "list" + capital(kind.plural),
                              fmt::format("Lists {}.", kind.plural), list_objects));
    list.answer_form = AnswerForm::kList;
    list.query = kListParams;
    of_kind(add("GET", base + "/{ref}", "get" + name, fmt::format("Shows one {}.", kind.kind),
                get_object))
        .query = {{"fields", "string", "Paths to show, separated by commas."}};
    if (kind.creatable) {
      Route& create = of_kind(
          add("POST", base, "create" + name, fmt::format("Makes a {}.", kind.kind), create_object));
      create.body_form = BodyForm::kJson;
      create.body = &kind.type();
      create.status = 201;
      if (kind.kind == "vm") {
        task(create);
        create.query.push_back({"start", "boolean", "Start it when it is made."});
      }
    }
    if (is_one_of(kind.kind, {"vm", "host", "datastore", "network", "cluster", "pool", "rule",
                              "user", "webhook"})) {
      Route& patch = of_kind(add("PATCH", base + "/{ref}", "patch" + name,
                                 fmt::format("Changes a {} (RFC 7396 merge patch).", kind.kind),
                                 patch_object));
      patch.body_form = BodyForm::kPatch;
      patch.body = &kind.type();
    }
    if (is_one_of(kind.kind, {"vm", "host", "datastore", "network", "cluster", "pool", "rule",
                              "user", "token", "webhook"}))
      remove_route(of_kind(add("DELETE", base + "/{ref}", "delete" + name,
                               fmt::format("Removes a {}.", kind.kind), delete_object)));
  }

  void remove_route(Route& route) {
    route.answer_form = AnswerForm::kNothing;
    route.answer = nullptr;
    route.status = 204;
    if (route.kind->kind == "vm") {
      task(route);
      route.query = {{"keep_disks", "boolean", "Leave its disks where they are."},
                     {"hard", "boolean", "Stop it first if it runs."},
                     {"force", "boolean", "Even if its host cannot be asked."}};
    } else if (route.kind->kind == "host") {
      route.query = {{"force", "boolean", "Even if VMs belong to it."}};
    } else if (route.kind->kind == "pool") {
      route.query = {{"move_up", "boolean", "What is in it moves up to its parent."}};
    }
  }

  void verb_route(const Verb& verb) {
    const ResourceKind& kind = *model::find_resource_kind(verb.kind);
    Route& route = add("POST", fmt::format("/api/v1/{}/{{ref}}/{}", kind.plural, verb.verb),
                       model::request_type(verb).name, std::string(verb.doc), do_verb);
    route.kind = &kind;
    route.verb = &verb;
    route.tag = kind.plural;
    route.body_form = BodyForm::kJson;
    route.body = &model::request_type(verb);
    task(route);
  }

  static void task(Route& route) {
    route.answer_form = AnswerForm::kTask;
    route.answer = &type_of<model::Task>();
    route.status = 202;
  }

  std::vector<Route> take() {
    for (Route& route : out_)
      if (route.may_dry_run()) route.query.push_back(kDryRun);
    return std::move(out_);
  }

 private:
  std::vector<Route> out_;
};

void document(Route& route, AnswerForm form, const Type* answer = nullptr) {
  route.answer_form = form;
  route.answer = answer;
}
void takes(Route& route, const Type& body) {
  route.body_form = BodyForm::kJson;
  route.body = &body;
}

void manager_routes(RouteMaker& make) {
  Route* route = &make.add("GET", "/api/v1/version", "getVersion", "What this is; needs no token.",
                           get_version);
  route->access = Access::kPublic;
  document(*route, AnswerForm::kDocument);
  route = &make.add("GET", "/api/v1/openapi.json", "getOpenapi", "This document.", get_openapi);
  route->access = Access::kPublic;
  document(*route, AnswerForm::kDocument);
  route =
      &make.add("GET", "/api/v1/status", "getStatus", "How the manager itself does.", get_status);
  document(*route, AnswerForm::kObject, &type_of<ManagerStatus>());
  route = &make.add("GET", "/api/v1/backup", "getBackup",
                    "The store as a file, as it is now; restore it with `chorok-manager restore`.",
                    get_backup);
  document(*route, AnswerForm::kBytes);
  route = &make.add("GET", "/api/v1/watch", "watch",
                    "Streams changes: `id` is the revision to go on from, `event` is put, delete "
                    "or compacted (list again), `data` is {kind, id, object}.",
                    watch);
  document(*route, AnswerForm::kEvents);
  route->query = {{"kinds", "string", "Kinds separated by commas; default all."},
                  {"since", "integer", "Changes after this revision; default from now on."}};
}

void session_routes(RouteMaker& make) {
  Route* route =
      &make.add("POST", "/api/v1/login", "login", "Name and password for a token.", login);
  route->access = Access::kPublic;
  takes(*route, type_of<model::Login>());
  document(*route, AnswerForm::kObject, &type_of<model::NewToken>());
  route = &make.add("POST", "/api/v1/tokens", "createToken",
                    "Makes a token; its text is shown this once.", create_token);
  route->tag = "tokens";
  route->status = 201;
  takes(*route, type_of<model::TokenRequest>());
  document(*route, AnswerForm::kObject, &type_of<model::NewToken>());
  route = &make.add("POST", "/api/v1/join", "joinHost",
                    "A host with a join token asks for its certificate.", join_host);
  route->access = Access::kPublic;
  takes(*route, type_of<model::JoinRequest>());
  document(*route, AnswerForm::kObject, &type_of<model::JoinAnswer>());
}

void special_routes(RouteMaker& make) {
  Route* route = &make.add("POST", "/api/v1/tasks/{ref}/cancel", "cancelTask",
                           "Asks a task to stop.", cancel_task);
  route->tag = "tasks";
  document(*route, AnswerForm::kObject, &type_of<model::Task>());
  route = &make.add("POST", "/api/v1/clusters/{ref}/baseline", "setBaseline",
                    "Asks the hosts for the CPU that all can offer and sets it as the cluster's.",
                    set_baseline);
  route->tag = "clusters";
  document(*route, AnswerForm::kObject, &type_of<model::Cluster>());
  route = &make.add("GET", "/api/v1/clusters/{ref}/plan", "getClusterPlan",
                    "What its loops have decided last, and how far that is carried out.",
                    get_cluster_plan);
  route->tag = "clusters";
  document(*route, AnswerForm::kObject, &type_of<LivePlan>());
  for (auto [path, id, tag, handler] :
       {std::tuple{"/api/v1/hosts/{ref}/why", "whyHost", "hosts", Handler{get_host_why}},
        std::tuple{"/api/v1/vms/{ref}/why", "whyVm", "vms", Handler{get_vm_why}}}) {
    route = &make.add("GET", path, id, "Why it is where it is and as it is.", handler);
    route->tag = tag;
    document(*route, AnswerForm::kObject, &type_of<LiveWhy>());
    route->query = {
        {"at", "string", "As of then: a time, or -SECONDS before now; from the kept plans."},
        {"last", "integer", "Decisions to show, the newest first; 1 to 1000, default 20."}};
  }
  route = &make.add("GET", "/api/v1/hosts/{ref}/bmc", "getHostBmc",
                    "Asks its BMC whether it has power, and what it can do.", get_host_bmc);
  route->tag = "hosts";
  document(*route, AnswerForm::kObject, &type_of<HostBmc>());
  route = &make.add("GET", "/api/v1/clusters/{ref}/snapshot", "getClusterSnapshot",
                    "Everything its policies know of it, as text (docs/snapshot.md): `chorok plan` "
                    "reads it.",
                    get_cluster_snapshot);
  route->tag = "clusters";
  document(*route, AnswerForm::kDocument);
  route = &make.add("GET", "/api/v1/clusters/{ref}/use", "getClusterUse",
                    "Where its CPU and memory go: its pools, what they were promised, what they "
                    "ask for and are entitled to.",
                    get_cluster_use);
  route->tag = "clusters";
  document(*route, AnswerForm::kObject, &type_of<ClusterUse>());
  route->query = {{"vms", "boolean", "VMs too."}};
  for (auto [name, id, doc, handler] :
       {std::tuple{"console", "openConsole", "The serial console.", Handler{open_console}},
        std::tuple{"vnc", "openVnc", "The display (RFB).", Handler{open_vnc}}}) {
    route = &make.add("GET", fmt::format("/api/v1/vms/{{ref}}/{}", name), id,
                      std::string(doc) + " A WebSocket with binary frames both ways.", handler);
    route->tag = "vms";
    document(*route, AnswerForm::kWebSocket);
  }
}

void recommendation_routes(RouteMaker& make) {
  const std::string all = "/api/v1/clusters/{ref}/recommendations";
  const auto finish = [](Route& route) {
    route.tag = "clusters";
    document(route, AnswerForm::kObject, &type_of<RecommendationList>());
  };
  finish(make.add("GET", all, "getRecommendations",
                  "What its newest round would do and leaves to a person.", get_recommendations));
  for (auto [verb, id, doc, handler] :
       {std::tuple{"apply", "applyRecommendations",
                   "Does them, with what they wait for, as if the cluster were automatic.",
                   Handler{apply_recommendations}},
        std::tuple{"ignore", "ignoreRecommendations", "Leaves them be for an hour.",
                   Handler{ignore_recommendations}}}) {
    Route& route = make.add("POST", all + "/" + verb, id, doc, handler);
    takes(route, type_of<RecommendationRequest>());
    finish(route);
  }
}

void alarm_routes(RouteMaker& make) {
  Route* route = &make.add("POST", "/api/v1/alarms/{ref}/acknowledge", "acknowledgeAlarm",
                           "Says that somebody knows of it.", acknowledge_alarm);
  route->tag = "alarms";
  document(*route, AnswerForm::kObject, &type_of<model::Alarm>());
  route = &make.add("POST", "/api/v1/alarms/{ref}/clear", "clearAlarm",
                    "Says that what began it is over; one whose condition holds is refused.",
                    clear_alarm);
  route->tag = "alarms";
  document(*route, AnswerForm::kObject, &type_of<model::Alarm>());
  route = &make.add("POST", "/api/v1/webhooks/{ref}/test", "testWebhook",
                    "Posts a message of the event 'test' now, and says what was answered.",
                    test_webhook);
  route->tag = "webhooks";
  document(*route, AnswerForm::kObject, &type_of<WebhookTest>());
}

void usage_routes(RouteMaker& make) {
  Route* route =
      &make.add("GET", "/metrics", "getMetrics",
                "For Prometheus, in its text format; takes a bearer token too.", get_metrics);
  document(*route, AnswerForm::kBytes);
  route = &make.add("GET", "/api/v1/usage", "getUsage", "What hosts and VMs use now.", get_usage);
  document(*route, AnswerForm::kObject, &type_of<model::UsageNow>());
  route->query = {{"stale", "boolean", "Also what was last heard of more than two minutes ago."}};
  for (auto [plural, id, handler] : {std::tuple{"vms", "vmStats", Handler{vm_stats}},
                                     std::tuple{"hosts", "hostStats", Handler{host_stats}}}) {
    route = &make.add("GET", fmt::format("/api/v1/{}/{{ref}}/stats", plural), id,
                      "What was used over some time, in steps.", handler);
    route->tag = plural;
    document(*route, AnswerForm::kObject, &type_of<model::UsageSeries>());
    route->query = {
        {"from", "string", "A time, or -SECONDS before now; default an hour before `to`."},
        {"to", "string", "A time, or -SECONDS before now; default now."},
        {"step", "number", "Seconds a point; default a round one that makes at most 240."}};
  }
}

void dirty_rate_route(RouteMaker& make) {
  Route& route = make.add("GET", "/api/v1/vms/{ref}/dirty-rate", "vmDirtyRate",
                          "Measures how fast its guest writes to its memory; answers when the "
                          "window is over.",
                          vm_dirty_rate);
  route.tag = "vms";
  document(route, AnswerForm::kObject, &type_of<model::DirtyRate>());
  route.query = {{"window", "integer", "Seconds to watch it, 1 to 60; default 1."}};
}

void energy_routes(RouteMaker& make) {
  const Param from = {"from", "string",
                      "A time, or -SECONDS before now; default an hour before `to`."};
  const Param to = {"to", "string", "A time, or -SECONDS before now; default now."};
  Route* route =
      &make.add("GET", "/api/v1/energy", "getEnergy", "What hosts and VMs draw now.", get_energy);
  document(*route, AnswerForm::kObject, &type_of<model::EnergyNow>());
  for (auto [plural, id, handler] :
       {std::tuple{"clusters", "clusterEnergy", Handler{cluster_energy}},
        std::tuple{"hosts", "hostEnergy", Handler{host_energy}},
        std::tuple{"vms", "vmEnergy", Handler{vm_energy}},
        std::tuple{"pools", "poolEnergy", Handler{pool_energy}}}) {
    route = &make.add("GET", fmt::format("/api/v1/{}/{{ref}}/energy", plural), id,
                      "Energy, money and CO2 over some time, in steps.", handler);
    route->tag = plural;
    document(*route, AnswerForm::kObject, &type_of<model::EnergySeries>());
    route->query = {
        from,
        to,
        {"step", "number", "Seconds a point; default a round one that makes at most 240."}};
    if (std::string_view(plural) == "clusters")
      route->query.push_back(
          {"parts", "string", "Also those: `vms`, `pools`, `vapps`, with commas between."});
  }
  route = &make.add("GET", "/api/v1/metering", "getMetering",
                    "What VMs, pools or users used, for billing.", get_metering);
  document(*route, AnswerForm::kObject, &type_of<model::Metering>());
  route->query = {{"month", "string", "2026-11; instead of from and to."},
                  from,
                  to,
                  {"utc_offset", "number", "Hours that the month's clock is ahead of UTC."},
                  {"by", "string", "vm, pool, vapp or user; vm if not said."},
                  {"cluster", "string", "Of this cluster only: name or id."}};
}

void file_routes(RouteMaker& make) {
  constexpr std::string_view kFiles = "/api/v1/datastores/{ref}/files";
  const std::string one = std::string(kFiles) + "/{path...}";
  const Param host = {"host", "string", "The host that does it; default one that reaches it."};
  Route* route =
      &make.add("GET", kFiles, "listFiles", "Lists the files of a datastore.", list_files);
  route->tag = "datastores";
  document(*route, AnswerForm::kObject, &type_of<model::FileList>());
  route->query = {{"path", "string", "Below this folder only."}, host};
  route =
      &make.add("PUT", one, "putFile",
                "Stores the body as a file. X-Checksum-Sha256: what it must come to.", put_file);
  route->tag = "datastores";
  route->body_form = BodyForm::kBytes;
  route->status = 201;
  document(*route, AnswerForm::kObject, &type_of<model::FileInfo>());
  route->query = {host};
  route = &make.add("DELETE", one, "deleteFile", "Deletes a file.", delete_file);
  route->tag = "datastores";
  route->status = 204;
  document(*route, AnswerForm::kNothing);
  route->query = {host};
}

void agent_routes(RouteMaker& make) {
  Route* route = &make.add("GET", "/agent/v1", "agentLink",
                           "The agent's connection: JSON-RPC 2.0 over a WebSocket.", agent_link);
  document(*route, AnswerForm::kWebSocket);
  route->access = Access::kHost;
  route->tag = "agent";
  route = &make.add("GET", "/agent/v1/stream/{ticket}", "agentStream",
                    "The agent's side of a console or display.", agent_stream);
  document(*route, AnswerForm::kWebSocket);
  route->access = Access::kHost;
  route->tag = "agent";
  route = &make.add("GET", "/agent/v1/transfer/{ticket}", "agentTransfer",
                    "The bytes of an upload.", agent_transfer);
  document(*route, AnswerForm::kBytes);
  route->access = Access::kHost;
  route->tag = "agent";
  route = &make.add("POST", "/agent/v1/renew", "renewHost",
                    "A new certificate for the host of this one.", renew_host);
  takes(*route, type_of<RenewRequest>());
  document(*route, AnswerForm::kObject, &type_of<model::JoinAnswer>());
  route->access = Access::kHost;
  route->tag = "agent";
}

}  // namespace

std::string Route::path() const {
  std::string out;
  for (const std::string& segment : pattern) {
    out += '/';
    out += segment == "{path...}" ? "{path}" : segment;
  }
  return out;
}

std::vector<Route> make_routes() {
  RouteMaker make;
  manager_routes(make);
  session_routes(make);
  for (const ResourceKind& kind : model::resource_kinds()) make.kind_routes(kind);
  for (const Verb& verb : model::verbs()) make.verb_route(verb);
  special_routes(make);
  recommendation_routes(make);
  alarm_routes(make);
  usage_routes(make);
  dirty_rate_route(make);
  energy_routes(make);
  file_routes(make);
  agent_routes(make);
  return make.take();
}

namespace {

bool fits(const Route& route, const std::vector<std::string>& segments,
          std::vector<std::string>& args) {
  args.clear();
  const bool takes_rest = !route.pattern.empty() && route.pattern.back() == "{path...}";
  if (takes_rest ? segments.size() < route.pattern.size() : segments.size() != route.pattern.size())
    return false;
  for (std::size_t i = 0; i < route.pattern.size(); ++i) {
    const std::string& part = route.pattern[i];
    if (part == "{path...}") {
      args.push_back(fmt::format(
          "{}", fmt::join(segments.begin() + static_cast<long>(i), segments.end(), "/")));
    } else if (part.starts_with('{')) {
      args.push_back(segments[i]);
    } else if (part != segments[i]) {
      return false;
    }
  }
  return true;
}

}  // namespace

Match match_route(const std::vector<Route>& routes, std::string_view method,
                  const std::vector<std::string>& segments) {
  Match match;
  std::vector<std::string> args;
  for (const Route& route : routes) {
    if (!fits(route, segments, args)) continue;
    if (route.method == method) {
      match.route = &route;
      match.args = std::move(args);
      return match;
    }
    if (std::ranges::find(match.allowed, route.method) == match.allowed.end())
      match.allowed.push_back(route.method);
  }
  return match;
}

std::string nearest_path(const std::vector<Route>& routes,
                         const std::vector<std::string>& segments) {
  // The first segment that leads nowhere is replaced by what is near to it.
  std::vector<const Route*> left;
  for (const Route& route : routes) left.push_back(&route);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    std::vector<const Route*> next;
    std::vector<std::string_view> known;
    for (const Route* route : left) {
      if (i >= route->pattern.size()) continue;
      const std::string& part = route->pattern[i];
      if (part.starts_with('{') || part == segments[i]) next.push_back(route);
      if (!part.starts_with('{')) known.push_back(part);
    }
    if (!next.empty()) {
      left = std::move(next);
      continue;
    }
    std::string_view near = nearest(segments[i], known);
    if (near.empty()) return {};
    std::vector<std::string> fixed = segments;
    fixed[i] = near;
    return fmt::format("/{}", fmt::join(fixed, "/"));
  }
  return {};
}

const Type& RenewRequest::type() {
  static const Type kType =
      describe<RenewRequest>("RenewRequest", "A host asks for a new certificate.")
          .field("csr", &RenewRequest::csr, "Certificate request, PEM.",
                 {.max_length = 16384, .required = true});
  return kType;
}

const Type& ManagerStatus::type() {
  static const Type kType =
      describe<ManagerStatus>("ManagerStatus", "How the manager does.")
          .field("version", &ManagerStatus::version, "")
          .field("simulated", &ManagerStatus::simulated, "Its hosts are simulated.")
          .field("term", &ManagerStatus::term, "Of the leader; agents obey no older one.")
          .field("started", &ManagerStatus::started, "")
          .field("hosts", &ManagerStatus::hosts, "")
          .field("hosts_connected", &ManagerStatus::hosts_connected, "")
          .field("vms", &ManagerStatus::vms, "")
          .field("vms_on", &ManagerStatus::vms_on, "")
          .field("tasks_open", &ManagerStatus::tasks_open, "")
          .field("revision", &ManagerStatus::revision, "Of the last change.")
          .field("store_problem", &ManagerStatus::store_problem,
                 "Why nothing can be written at present; empty when it can.");
  return kType;
}

}  // namespace chorok::manager
