// version, explain, and the API as it is.
#include <fmt/format.h>

#include <algorithm>

#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/schema.h"
#include "cli/yaml.h"

namespace chorok::cli {

Result<int> run_version(Session& session, const Invocation&) {
  Value version = Value::object({{"chorok", CHOROK_VERSION}});
  if (session.connection()) {
    auto api = session.api(std::chrono::seconds(3));
    auto answer = api ? (*api)->get("/version") : std::unexpected(api.error());
    if (answer)
      version.member("manager") = std::move(*answer);
    else
      session.note(fmt::format("the manager does not answer: {}\n", answer.error().message));
  }
  if (session.is_structured()) {
    session.out_value(version);
    return exit_code::kOk;
  }
  session.out(fmt::format("chorok {}\n", CHOROK_VERSION));
  if (const Value* manager = version.find("manager"))
    session.out(fmt::format(
        "manager {} (API {}{}) at {}\n", manager->get("version").text(), manager->get("api").text(),
        manager->get("simulated").boolean() ? ", simulated hosts" : "", session.url()));
  return exit_code::kOk;
}

Result<int> run_explain(Session& session, const Invocation& call) {
  if (session.is_structured()) {
    Value schema = TRY(parse_json(TRY(explain_schema(call.args[0]))));
    session.out_value(schema);
    return exit_code::kOk;
  }
  bool fits = session.terminal().out_is_terminal();
  session.out(TRY(explain(call.args[0], fits ? session.terminal().width() : 0)));
  return exit_code::kOk;
}

namespace {

Result<std::string> api_body(Session& session, const Invocation& call) {
  if (call.args.size() < 3) return std::string{};
  const std::string& body = call.args[2];
  if (body == "-") return session.terminal().read_all_input();
  if (body.starts_with('@')) return read_file(body.substr(1));
  return body;
}

}  // namespace

Result<int> run_api(Session& session, const Invocation& call) {
  Call request;
  request.method = call.args[0];
  std::ranges::transform(request.method, request.method.begin(),
                         [](unsigned char c) { return std::toupper(c); });
  request.path = call.args[1].starts_with('/') ? call.args[1] : "/" + call.args[1];
  request.body = TRY(api_body(session, call));
  request.query = session.change_query();
  Answer answer = TRY(TRY(session.api())->call(request));
  if (answer.body.is_null()) return exit_code::kOk;
  session.out(session.options().output == Output::kYaml ? to_yaml(answer.body)
                                                        : to_json(answer.body, true) + "\n");
  return exit_code::kOk;
}

}  // namespace chorok::cli
