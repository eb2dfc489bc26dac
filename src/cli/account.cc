// Users, passwords, tokens.
#include <fmt/format.h>

#include "cli/handlers.h"
#include "cli/objects.h"

namespace chorok::cli {

Result<int> run_user_create(Session& session, const Invocation& call) {
  Value user = Value::object();
  if (call.has("file"))
    user = TRY(read_object(session, call.command->kind->type(), std::string(call.value("file"))));
  if (!call.args.empty()) user.make("meta/name") = call.args[0];
  if (user.get("meta/name").text().empty())
    return usage_fail("a user needs a name: chorok user create NAME");
  TRY(apply_flags(call, user));
  if (call.has("role"))
    user.member("grants").push(Value::object({{"path", ""}, {"role", call.value("role")}}));
  if (!user.find("password")) user.member("password") = TRY(read_password(session, call, true));
  return create_object(session, call, user);
}

Result<int> run_passwd(Session& session, const Invocation& call) {
  std::string name = call.args.empty() ? std::string{} : call.args[0];
  if (name.empty()) {
    Config config = TRY(session.config());
    const auto* context = config.find(config.current);
    if (context == nullptr || context->user.empty())
      return usage_fail("whose password? chorok user passwd NAME");
    name = context->user;
  }
  std::string password = TRY(read_password(session, call, true));
  TRY(TRY(session.api())
          ->call({.method = "PATCH",
                  .path = ref_path("users", name),
                  .query = session.change_query(),
                  .body = to_json(Value::object({{"password", password}}))}));
  session.note(fmt::format("the password of {} is changed\n", name));
  return exit_code::kOk;
}

Result<int> run_token_create(Session& session, const Invocation& call) {
  Value request = Value::object();
  TRY(apply_flags(call, request));
  if (!request.find("purpose")) request.member("purpose") = "api";
  Api& api = *TRY(session.api());
  Value token = TRY(api.call({.method = "POST",
                              .path = "/tokens",
                              .query = session.change_query(),
                              .body = to_json(request)}))
                    .body;
  if (session.options().dry_run) return session.tell_dry_run("token", token);
  if (session.is_structured()) {
    session.out_value(token);
    return exit_code::kOk;
  }
  // The token alone on standard output, so that TOKEN=$(chorok token create …) works.
  session.out(fmt::format("{}\n", token.get("token").text()));
  if (request.get("purpose").text() == "host")
    session.note(
        fmt::format("It lets one host in, once, until {}. On the host:\n"
                    "  chorok-agent join {} {}\n",
                    token.get("expires").text(), api.connection().url, token.get("token").text()));
  else
    session.note(
        fmt::format("It is shown this once and works until {}.\n", token.get("expires").text()));
  return exit_code::kOk;
}

}  // namespace chorok::cli
