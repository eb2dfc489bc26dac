#include "manager/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "crypto/sha256.h"
#include "crypto/x509.h"
#include "manager/api_core.h"
#include "manager/openapi.h"
#include "manager/pki.h"

namespace chorok::manager {

ApiCore::ApiCore(const net::Executor& e, Engine& en, Requests& r, Accounts& ac, Agents& ag,
                 ApiSettings s)
    : executor(e),
      engine(en),
      requests(r),
      accounts(ac),
      agents(ag),
      settings(std::move(s)),
      routes(make_routes()),
      openapi(make_openapi(routes, settings.version)),
      listing(en, settings.listing),
      tickets(e),
      idempotency(settings.idempotency_life, settings.idempotency_max,
                  settings.idempotency_bytes_max),
      calendars(settings.calendars_folder),
      started(en.now()) {
  idempotency.load(en.inventory().answers());
}

Result<bool> Call::flag(std::string_view name) const {
  const std::string* text = request.query_value(name);
  if (text == nullptr || *text == "false" || *text == "0") return false;
  if (text->empty() || *text == "true" || *text == "1") return true;
  return fail(Code::kInvalid, fmt::format("'{}' is neither true nor false", *text),
              fmt::format("?{}", name));
}

std::string address_of(const std::string& peer) {
  const std::size_t colon = peer.rfind(':');
  return colon == std::string::npos ? peer : peer.substr(0, colon);
}

std::string Call::value(std::string_view name) const {
  const std::string* text = request.query_value(name);
  return text == nullptr ? std::string() : *text;
}

namespace {

using net::Response;

Result<> check_query(const Call& call) {
  for (const auto& [name, value] : call.request.query) {
    auto is_it = [&](const Param& param) { return param.name == name; };
    if (std::ranges::any_of(call.route.query, is_it)) continue;
    std::vector<std::string_view> known;
    for (const Param& param : call.route.query) known.push_back(param.name);
    std::string_view near = nearest(name, known);
    return fail(Code::kInvalid,
                near.empty() ? fmt::format("there is no parameter '{}' here", name)
                             : fmt::format("there is no parameter '{}' here; did you mean '{}'?",
                                           name, near),
                fmt::format("?{}", name));
  }
  return {};
}

Result<Conditions> read_conditions(const Call& call) {
  Conditions out;
  if (call.route.may_dry_run()) out.dry_run = TRY(call.flag("dry_run"));
  std::string_view text = call.request.headers.get("If-Match");
  if (text.empty() || text == "*") return out;
  if (text.starts_with("W/")) text.remove_prefix(2);
  std::uint64_t revision = 0;
  bool is_quoted = text.size() > 2 && text.front() == '"' && text.back() == '"';
  if (is_quoted) text = text.substr(1, text.size() - 2);
  auto [at, bad] = std::from_chars(text.data(), text.data() + text.size(), revision);
  if (bad != std::errc() || at != text.data() + text.size())
    return fail(Code::kInvalid, "If-Match takes the ETag of an earlier answer, as \"7\"",
                "If-Match");
  out.if_revision = revision;
  return out;
}

// From the Authorization header, or, for browsers' WebSockets which can send none, from the
// subprotocol `chorok.bearer.TOKEN`.
std::string bearer_of(const net::Request& request) {
  std::string_view header = request.headers.get("Authorization");
  if (header.size() > 7 && (header.starts_with("Bearer ") || header.starts_with("bearer ")))
    return std::string(header.substr(7));
  constexpr std::string_view kPrefix = "chorok.bearer.";
  std::string_view rest = request.headers.get("Sec-WebSocket-Protocol");
  while (!rest.empty()) {
    std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), item.size() + 1));
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item.starts_with(kPrefix)) return std::string(item.substr(kPrefix.size()));
  }
  return {};
}

Caller local_caller(const Engine& engine) {
  Caller caller;
  caller.user_name = "local";
  caller.most = model::Role::kAdmin;
  caller.grants = {{"", model::Role::kAdmin}};
  caller.peer = "local";
  // Tokens need an owner that exists.
  for (const auto& [id, user] : engine.inventory().users().all())
    for (const model::Grant& grant : user->grants)
      if (grant.path.empty() && grant.role == model::Role::kAdmin && !user->disabled &&
          caller.user.empty())
        caller.user = id;
  return caller;
}

Result<> identify(Call& call, bool is_local) {
  switch (call.route.access) {
    case Access::kPublic:
      call.caller.peer = is_local ? "local" : address_of(call.request.peer);
      return {};
    case Access::kToken: {
      if (is_local) {
        call.caller = local_caller(call.core.engine);
        return {};
      }
      call.bearer = bearer_of(call.request);
      if (call.bearer.empty())
        return fail(Code::kUnauthenticated,
                    "this needs a token: log in and send it as `Authorization: Bearer TOKEN`");
      call.caller =
          TRY(call.core.accounts.authenticate(call.bearer, address_of(call.request.peer)));
      return {};
    }
    case Access::kHost: {
      if (call.request.certificate == nullptr)
        return fail(Code::kUnauthenticated, "this needs the certificate of a host");
      const std::string& pem = call.request.certificate->pem;
      call.host = TRY(host_id_of(pem));
      call.caller.peer = address_of(call.request.peer);
      call.caller.user_name = call.host;
      auto info = TRY(crypto::certificate_info(pem));
      return call.core.accounts.check_host(call.host, info.serial);
    }
  }
  return {};
}

void audit(Call& call, const Response& response) {
  // What was refused before anybody was known is in the log, not in the store: it would let
  // strangers fill it.
  const bool is_known = call.route.access != Access::kPublic || response.status < 400;
  if (!call.route.changes() || call.conditions.dry_run || !is_known) return;
  model::AuditEntry entry;
  entry.user = call.caller.user_name;
  entry.token = call.caller.token;
  entry.peer = call.caller.peer;
  entry.method = call.request.method;
  // As it was sent: percent-encoded, so whatever was asked for can be stored and shown.
  entry.path =
      call.request.target.substr(0, std::min<std::size_t>(call.request.target.find('?'), 255));
  entry.status = response.status;
  if (response.status == 202) {
    std::string_view location = response.headers.get("Location");
    entry.task = location.substr(location.rfind('/') + 1);
  }
  Changes changes;
  call.core.engine.add_audit(changes, std::move(entry));
  call.core.engine.commit(std::move(changes), [log = call.core.log](Result<> stored) {
    if (!stored) log.error("an audit entry was not stored: {}", stored.error().message);
  });
}

Response response_of(const KeptAnswer& kept) {
  Response response = Response::text(kept.status, kept.body, kept.content_type);
  if (!kept.location.empty()) response.headers.add("Location", kept.location);
  if (!kept.etag.empty()) response.headers.add("ETag", kept.etag);
  response.headers.add("Idempotency-Replayed", "true");
  return response;
}

net::awaitable<Response> run_handler(Call& call) {
  auto result = co_await call.route.handler(call);
  if (result) co_return std::move(*result);
  const Error& error = result.error();
  int status = net::http_status(error.code);
  if (error.code == Code::kConflict) status = call.conflict_status;
  // Nobody knows whether it happened: the client must look, and this is no bug.
  if (error.code == Code::kUnknown) status = 504;
  // Not the client's pace but the manager's disk.
  if (error.code == Code::kExhausted && !call.core.engine.store_problem().empty()) status = 507;
  if (status == 500)
    call.core.log.error("{} {}: {}", call.request.method, call.request.path, error.message);
  co_return problem_response(error, status, call.request.path);
}

// Durable before the client has the answer: a client that has none asks again, also after a
// restart.
net::awaitable<void> keep_answer(Call& call, const std::string& id, const Response& response) {
  constexpr std::size_t kStoredMost = 64 * 1024;
  constexpr std::size_t kDropsAtOnce = 50;
  Engine& engine = call.core.engine;
  Idempotency& keys = call.core.idempotency;
  KeptAnswer answer;
  answer.id = id;
  answer.status = response.status;
  answer.location = response.headers.get("Location");
  answer.etag = response.headers.get("ETag");
  answer.content_type = response.headers.get("Content-Type");
  answer.body = std::get<std::string>(response.body);
  answer = keys.complete(std::move(answer));
  // What must not be cached has a secret in it, and the store keeps no secrets of tokens.
  const bool is_stored =
      response.headers.get("Cache-Control") != "no-store" && answer.body.size() <= kStoredMost;
  Changes changes;
  for (const std::string& dropped : keys.take_dropped(kDropsAtOnce))
    if (engine.inventory().answers().find(dropped) != nullptr) changes.erase<KeptAnswer>(dropped);
  if (is_stored) changes.put(answer);
  keys.finish(std::make_shared<const KeptAnswer>(std::move(answer)));
  auto stored = co_await until_done<Result<>>(
      [&](Done<Result<>> done) { engine.commit(std::move(changes), std::move(done)); });
  if (!stored)
    call.core.log.warn("an answer under an Idempotency-Key was not stored: {}",
                       stored.error().message);
}

// The same key and request give the first answer again; only successes are kept.
net::awaitable<Response> run_once(Call& call) {
  std::string_view key = call.request.headers.get("Idempotency-Key");
  const bool applies = !key.empty() && call.route.method == "POST" &&
                       call.route.access == Access::kToken && !call.conditions.dry_run;
  if (!applies) co_return co_await run_handler(call);
  if (key.size() > 255)
    co_return problem_response({Code::kInvalid, "at most 255 bytes", "Idempotency-Key"}, 400,
                               call.request.path);
  const std::string id = crypto::sha256_hex(fmt::format("{}\n{}", call.caller.user, key));
  auto known = call.core.idempotency.begin(
      id, crypto::sha256_hex(call.request.target + "\n" + call.request.body),
      call.core.engine.now());
  if (!known)
    co_return problem_response(known.error(), known.error().code == Code::kInvalid ? 422 : 409,
                               call.request.path);
  if (*known != nullptr) co_return response_of(**known);
  Response response = co_await run_handler(call);
  if (response.status >= 300 || !std::holds_alternative<std::string>(response.body)) {
    call.core.idempotency.forget(id);
    co_return response;
  }
  co_await keep_answer(call, id, response);
  co_return response;
}

net::awaitable<Response> serve(ApiCore& core, net::Request& request, Match match, bool is_local) {
  Call call{core, request, *match.route, std::move(match.args), {}, {}, {}, {}};
  const bool is_json = call.route.body_form == BodyForm::kNone ||
                       call.route.body_form == BodyForm::kBytes || request.body.empty();
  std::string_view type = request.headers.get("Content-Type", "application/json");
  type = type.substr(0, type.find(';'));
  if (auto known = identify(call, is_local); !known) {
    if (known.error().code == Code::kUnauthenticated)
      co_return unauthenticated_response(known.error(), request.path);
    co_return problem_response(known.error(), net::http_status(known.error().code), request.path);
  }
  Result<> checked = check_query(call);
  if (checked) {
    if (auto conditions = read_conditions(call)) {
      call.conditions = *conditions;
    } else {
      checked = Unexpected(conditions.error());
    }
  }
  if (!checked) co_return problem_response(checked.error(), 400, request.path);
  if (!is_json && type != "application/json" && type != "application/merge-patch+json")
    co_return problem_response({Code::kInvalid, "the body must be JSON", "Content-Type"}, 415,
                               request.path);
  if (call.conditions.if_revision) call.conflict_status = 412;
  Response response = co_await run_once(call);
  audit(call, response);
  co_return response;
}

std::string allow_of(std::vector<std::string> methods) {
  if (std::ranges::find(methods, "GET") != methods.end()) methods.push_back("HEAD");
  methods.push_back("OPTIONS");
  return fmt::format("{}", fmt::join(methods, ", "));
}

net::awaitable<Response> route(ApiCore& core, net::Request& request, bool is_local) {
  Match match = match_route(core.routes, request.method, request.segments);
  if (match.route != nullptr) co_return co_await serve(core, request, std::move(match), is_local);
  if (!match.allowed.empty()) {
    const std::string allow = allow_of(match.allowed);
    if (request.method == "OPTIONS") co_return Response{204, {{"Allow", allow}}, ""};
    Response response = problem_response(
        {Code::kInvalid, fmt::format("{} is not possible here, but {}", request.method, allow), {}},
        405, request.path);
    response.headers.add("Allow", allow);
    co_return response;
  }
  std::string near = nearest_path(core.routes, request.segments);
  std::string detail = "there is nothing at " + request.path.substr(0, 200);
  if (!near.empty()) detail += fmt::format("; did you mean {}?", near);
  co_return problem_response({Code::kNotFound, detail, {}}, 404, request.path);
}

}  // namespace

Api::Api(const net::Executor& executor, Engine& engine, Requests& requests, Accounts& accounts,
         Agents& agents, ApiSettings settings)
    : core_(std::make_unique<ApiCore>(executor, engine, requests, accounts, agents,
                                      std::move(settings))) {}
Api::~Api() = default;

net::awaitable<net::Response> Api::handle(net::Request& request) {
  return route(*core_, request, false);
}

net::awaitable<net::Response> Api::handle_local(net::Request& request) {
  return route(*core_, request, true);
}

net::BodyPolicy Api::body_policy(const net::Request& request) const {
  Match match = match_route(core_->routes, request.method, request.segments);
  if (match.route != nullptr && match.route->body_form == BodyForm::kBytes)
    return {core_->settings.upload_bytes_max, true};
  return {net::HttpLimits{}.body_bytes_max, false};
}

std::span<const Route> Api::routes() const {
  return core_->routes;
}
const std::string& Api::openapi() const {
  return core_->openapi;
}
Tickets& Api::tickets() {
  return core_->tickets;
}

}  // namespace chorok::manager
