// How a host's power is reached, and what it does in standby: `chorok host bmc`. Without flags it
// asks the BMC that the host has, and after a change too: a wrong password is to be seen now, not
// in the night.
#include <fmt/format.h>

#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/quantity.h"

namespace chorok::cli {
namespace {

Result<Value> ask_bmc(Session& session, const std::string& name) {
  Answer answer =
      TRY(TRY(session.api())->call({.method = "GET", .path = ref_path("hosts", name) + "/bmc"}));
  return std::move(answer.body);
}

std::string abilities(const Value& can) {
  std::string out;
  for (const char* what : {"status", "on", "off", "shutdown", "cycle"})
    if (can.get(what).boolean()) out += fmt::format("{}{}", out.empty() ? "" : ", ", what);
  return out;
}

Result<int> show_bmc(Session& session, const std::string& name) {
  const Value bmc = TRY(ask_bmc(session, name));
  if (session.is_structured()) {
    session.out_value(bmc);
    return exit_code::kOk;
  }
  const Value& can = bmc.get("can");
  session.out(fmt::format("power   {}\ndriver  {}\ndevice  {}\ncan     {}\n",
                          bmc.get("chassis").text(), can.get("driver").text(),
                          can.get("device").text(), abilities(can)));
  for (const Value& warning : can.get("warnings").items())
    session.out(fmt::format("warning {}\n", warning.text()));
  return exit_code::kOk;
}

// It is set; whether it works is for the person to know, and does not undo that.
void tell_bmc(Session& session, const std::string& name) {
  const auto bmc = ask_bmc(session, name);
  if (!bmc) {
    session.note(fmt::format("host {}: set; nothing answers yet: {}\n", name, bmc.error().message));
    return;
  }
  const Value& can = bmc->get("can");
  session.note(fmt::format("host {}: set; its BMC answers: power {}, it can {}\n", name,
                           bmc->get("chassis").text(), abilities(can)));
  for (const Value& warning : can.get("warnings").items())
    session.note(fmt::format("host {}: {}\n", name, warning.text()));
}

}  // namespace

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
  take("broadcast", "broadcast");
  take("interface", "interface");
  take("standby", "standby");
  if (call.has("mac")) {
    Value cards = Value::list();
    for (const std::string& each : call.values("mac"))
      if (!each.empty()) cards.push(each);
    bmc.member("mac") = std::move(cards);
  }
  if (call.has("wake-after")) {
    const auto after = parse_duration(call.value("wake-after"));
    if (!after) return usage_fail(after.error().message, "--wake-after");
    bmc.member("wake_after_s") = seconds(*after);
  }
  TRY(take_number("port", "port"));
  TRY(take_number("cipher-suite", "cipher_suite"));
  for (const std::string& option : call.values("option")) {
    const std::size_t equals = option.find('=');
    if (equals == std::string::npos) return usage_fail("write NAME=VALUE", "--option");
    bmc.make("options").member(option.substr(0, equals)) = option.substr(equals + 1);
  }
  if (call.has("password-file")) bmc.member("password") = TRY(read_password(session, call, false));
  if (bmc.members().empty()) return show_bmc(session, name);
  Answer answer = TRY(TRY(session.api())
                          ->call({.method = "PATCH",
                                  .path = ref_path("hosts", name),
                                  .query = session.change_query(),
                                  .body = to_json(Value::object({{"bmc", std::move(bmc)}}))}));
  if (session.options().dry_run) return session.tell_dry_run(name, answer.body);
  if (session.is_structured())
    session.out_value(answer.body);
  else if (answer.body.get("bmc/driver").text().empty())
    session.note(fmt::format("host {} has no BMC any more\n", name));
  else if (!session.options().quiet)
    tell_bmc(session, name);
  return exit_code::kOk;
}

}  // namespace chorok::cli
