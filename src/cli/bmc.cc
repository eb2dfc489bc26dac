// How a host's power is reached: `chorok host bmc`.
#include <fmt/format.h>

#include "cli/handlers.h"
#include "cli/objects.h"

namespace chorok::cli {

Result<int> run_bmc(Session& session, const Invocation& call) {
  const std::string& name = call.args[0];
  Value bmc = Value::object();
  const auto take = [&](std::string_view flag, std::string_view field) {
    if (call.has(flag)) bmc.member(field) = std::string(call.value(flag));
  };
  const auto take_number = [&](std::string_view flag, std::string_view field) -> Result<void> {
    if (!call.has(flag)) return {};
    auto number = parse_json(call.value(flag));
    if (!number || !number->is_int())
      return usage_fail("is a whole number", fmt::format("--{}", flag));
    bmc.member(field) = number->integer();
    return {};
  };
  take("driver", "driver");
  take("address", "address");
  take("user", "user");
  take("fingerprint", "fingerprint");
  TRY(take_number("port", "port"));
  TRY(take_number("cipher-suite", "cipher_suite"));
  for (const std::string& option : call.values("option")) {
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos) return usage_fail("write NAME=VALUE", "--option");
    bmc.make("options").member(option.substr(0, equals)) = option.substr(equals + 1);
  }
  if (call.has("password-file")) bmc.member("password") = TRY(read_password(session, call, false));
  if (bmc.members().empty())
    return usage_fail("say what it is, for instance --driver ipmi --address 10.0.0.9 --user admin "
                      "--password-file FILE; --driver '' forgets it");
  Answer answer = TRY(TRY(session.api())
                          ->call({.method = "PATCH",
                                  .path = ref_path("hosts", name),
                                  .query = session.change_query(),
                                  .body = to_json(Value::object({{"bmc", std::move(bmc)}}))}));
  if (session.options().dry_run) return session.tell_dry_run(name, answer.body);
  if (session.is_structured())
    session.out_value(answer.body);
  else
    session.note(fmt::format("the BMC of host {} is set\n", name));
  return exit_code::kOk;
}

}  // namespace chorok::cli
