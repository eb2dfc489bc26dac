// What can be done with alarms and webhooks beside what every kind has.
#include <fmt/format.h>

#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/text.h"

namespace chorok::cli {
namespace {

Result<int> run_alarm(Session& session, const Invocation& call) {
  Api& api = *TRY(session.api());
  int code = exit_code::kOk;
  for (const std::string& id : call.args) {
    const Answer answer = TRY(api.call({.method = "POST",
                                        .path = ref_path("alarms", id, call.command->name),
                                        .query = session.change_query()}));
    if (session.options().dry_run)
      code = std::max(code, session.tell_dry_run(id, answer.body));
    else if (session.is_structured())
      session.out_value(answer.body);
    else
      session.note(fmt::format("{} {} {}: {}\n", id, printable(answer.body.get("kind").text()),
                               printable(answer.body.get("subject_name").text()),
                               answer.body.get("state").text()));
  }
  return code;
}

Result<int> run_webhook_test(Session& session, const Invocation& call) {
  const Answer answer = TRY(TRY(session.api())
                                ->call({.method = "POST",
                                        .path = ref_path("webhooks", call.args[0], "test"),
                                        .query = session.change_query()}));
  if (session.options().dry_run) return session.tell_dry_run(call.args[0], answer.body);
  if (session.is_structured()) {
    session.out_value(answer.body);
  } else {
    const std::int64_t status = answer.body.get("status").integer();
    session.out(fmt::format("{}: {}{}\n", call.args[0],
                            printable(answer.body.get("message").text()),
                            status == 0 ? "" : fmt::format(" (status {})", status)));
  }
  return answer.body.get("ok").boolean() ? exit_code::kOk : exit_code::kFailed;
}

}  // namespace

void add_alarms(std::vector<CommandSpec>& all) {
  for (const auto& [name, doc] :
       {std::pair{"acknowledge", "Say that somebody knows of it."},
        {"clear", "Say that it is over, where no condition tells: a crash that was looked into."}})
    all.push_back({.group = "alarm",
                   .name = name,
                   .doc = doc,
                   .operands = "ID…",
                   .args_min = 1,
                   .args_max = kMany,
                   .completes = {"alarm"},
                   .handler = run_alarm});
  all.push_back({.group = "webhook",
                 .name = "test",
                 .doc = "Post a message there now, and say what was answered.",
                 .operands = "NAME",
                 .args_min = 1,
                 .args_max = 1,
                 .completes = {"webhook"},
                 .handler = run_webhook_test});
}

}  // namespace chorok::cli
