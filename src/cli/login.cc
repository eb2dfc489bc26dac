// login, logout, context: who one is, and which managers are known.
#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "cli/format.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/trust.h"
#include "net/uri.h"

namespace chorok::cli {
namespace {

constexpr std::uint16_t kManagerPort = 8443;

// "manager" and "manager:8443" are what people type.
Result<net::Url> manager_url(std::string text) {
  if (text.find("://") == std::string::npos) {
    std::size_t bracket = text.rfind(']');
    bool has_port = text.find(':', bracket == std::string::npos ? 0 : bracket) != std::string::npos;
    text = fmt::format("https://{}{}", text, has_port ? "" : fmt::format(":{}", kManagerPort));
  }
  auto url = net::parse_url(text);
  if (!url) return usage_fail(url.error().message);
  url->target = "/";
  return url;
}

std::string plain(std::string fingerprint) {
  std::erase(fingerprint, ':');
  std::ranges::transform(fingerprint, fingerprint.begin(),
                         [](unsigned char c) { return std::tolower(c); });
  return fingerprint;
}

Result<> ask_whether_to_trust(Session& session, const std::string& url,
                              const std::string& fingerprint) {
  auto answer = session.terminal().ask(
      fmt::format("The manager at {} is not known yet. Its CA has the SHA-256\n  {}\n"
                  "`chorok-manager init` printed the same. Trust it? [y/N] ",
                  url, fingerprint),
      false);
  if (!answer)
    return usage_fail(
        fmt::format("the CA of {} is not known and there is no terminal to ask; it is {}", url,
                    fingerprint),
        "--fingerprint");
  if (*answer == "y" || *answer == "Y" || *answer == "yes") return {};
  return fail(Code::kCancelled, "the manager is not trusted; nothing was sent to it");
}

// How the server will be known: by a CA that is at hand, or by a fingerprint.
Result<Connection> trusted_connection(Session& session, const Invocation& call, const net::Url& url,
                                      const Config& config) {
  Connection connection;
  connection.url = url.to_string();
  while (connection.url.ends_with('/')) connection.url.pop_back();
  if (!url.is_secure()) return connection;
  std::string ca = session.options().ca_file;
  if (ca.empty()) ca = session.terminal().env("CHOROK_CA");
  if (!ca.empty()) {
    connection.ca_pem = TRY(read_file(ca));
  } else if (call.has("fingerprint")) {
    connection.fingerprint = plain(std::string(call.value("fingerprint")));
  } else if (const auto* known = config.find_url(connection.url); known && !known->ca.empty()) {
    connection.ca_pem = known->ca;
  } else {
    connection.fingerprint = TRY(probe_ca_fingerprint(url.host, url.port, std::chrono::seconds(5)));
    TRY(ask_whether_to_trust(session, connection.url, connection.fingerprint));
  }
  return connection;
}

Result<> remember(Session& session, Config config, ContextConfig context, const net::Url& url) {
  std::string name = session.options().context.empty() ? url.host : session.options().context;
  config.contexts[name] = std::move(context);
  config.current = name;
  return save_config(session.config_path(), config);
}

}  // namespace

Result<int> run_login(Session& session, const Invocation& call) {
  net::Url url = TRY(manager_url(call.args[0]));
  Config config = TRY(session.config());
  Connection connection = TRY(trusted_connection(session, call, url, config));
  ContextConfig context;
  context.url = connection.url;
  context.ca = connection.ca_pem;
  context.user = call.value("user", "admin");
  std::string password = TRY(read_password(session, call, false));
  session.use(TRY(Api::create(std::move(connection))));
  Api& api = *TRY(session.api());
  Value body = Value::object({{"user", context.user}, {"password", password}});
  auto answer = api.call({.method = "POST", .path = "/login", .body = to_json(body)});
  if (!answer && answer.error().code == Code::kUnauthenticated)
    return fail(Code::kFailedPrecondition, fmt::format("{} does not let {} in: {}", context.url,
                                                       context.user, answer.error().message));
  if (!answer) return std::unexpected(answer.error());
  context.token = answer->body.get("token").text();
  if (auto expires = json::parse_time(answer->body.get("expires").text()))
    context.expires = *expires;
  if (context.ca.empty()) context.ca = api.server_ca();
  std::string user = context.user;
  TRY(remember(session, std::move(config), std::move(context), url));
  session.note(fmt::format("logged in to {} as {}\n", api.connection().url, user));
  return exit_code::kOk;
}

namespace {

// chk_ID_SECRET
std::string token_id(std::string_view token) {
  std::size_t begin = token.find('_'), end = token.rfind('_');
  if (begin == std::string_view::npos || begin == end) return {};
  return std::string(token.substr(begin + 1, end - begin - 1));
}

}  // namespace

Result<int> run_logout(Session& session, const Invocation&) {
  Config config = TRY(session.config());
  std::string name = session.options().context.empty() ? config.current : session.options().context;
  if (!config.find(name)) {
    session.note("nobody is logged in\n");
    return exit_code::kOk;
  }
  // A manager that is gone does not keep one from forgetting it.
  std::string id = token_id(config.contexts[name].token);
  auto api = session.api(std::chrono::seconds(5));
  if (api && !id.empty()) (void)(*api)->call({.method = "DELETE", .path = ref_path("tokens", id)});
  config.contexts.erase(name);
  if (config.current == name)
    config.current = config.contexts.empty() ? "" : config.contexts.begin()->first;
  TRY(save_config(session.config_path(), config));
  session.note(fmt::format("{} is forgotten\n", name));
  return exit_code::kOk;
}

Result<int> run_context(Session& session, const Invocation& call) {
  Config config = TRY(session.config());
  if (!call.args.empty()) {
    if (!config.find(call.args[0]))
      return fail(Code::kNotFound, fmt::format("there is no context '{}'", call.args[0]));
    config.current = call.args[0];
    TRY(save_config(session.config_path(), config));
    return exit_code::kOk;
  }
  Value rows = Value::list();
  for (const auto& [name, context] : config.contexts)
    rows.push(Value::object({{"current", name == config.current ? "*" : ""},
                             {"name", name},
                             {"url", context.url},
                             {"user", context.user},
                             {"expires", json::format_time(context.expires)}}));
  if (session.is_structured()) {
    session.out_value(rows);
    return exit_code::kOk;
  }
  session.out(
      render_table(make_table(ContextConfig::type(), {"current", "name", "url", "user", "expires"},
                              rows.items(), session.terminal().now()),
                   {.colours = session.colours()}));
  return exit_code::kOk;
}

}  // namespace chorok::cli
