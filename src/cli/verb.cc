// The verbs of the model, and what is done to tasks.
#include <fmt/format.h>

#include <algorithm>

#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/progress.h"
#include "cli/wait.h"

namespace chorok::cli {
namespace {

// The last operand is the verb's own where the verb has one and the flag was not given:
// `migrate a b host2`, but `migrate web1 --datastore fast` and `migrate a b --host host2`.
Result<std::string> take_positional(const Invocation& call, std::vector<std::string>& names) {
  const model::Verb& verb = *call.command->verb;
  if (verb.positional.empty() || call.has(verb.positional)) return std::string{};
  std::size_t least = call.has("selector") ? 1 : 2;
  bool is_needed = std::ranges::find(verb.required, verb.positional) != verb.required.end();
  if (names.size() < least) {
    if (!is_needed) return std::string{};
    return usage_fail(
        fmt::format("usage: chorok {} {}", call.command->path(), call.command->operands));
  }
  std::string last = std::move(names.back());
  names.pop_back();
  return last;
}

Result<Value> verb_body(const Invocation& call, const std::string& positional) {
  const model::Verb& verb = *call.command->verb;
  Value body = Value::object();
  if (!positional.empty()) body.member(verb.positional) = positional;
  TRY(apply_flags(call, body));
  for (std::string_view field : verb.required)
    if (!body.find(field)) {
      std::string flag = "--" + std::string(field);
      return usage_fail(fmt::format("`chorok {}` needs {}", call.command->path(), flag), flag);
    }
  return body;
}

}  // namespace

Result<int> run_verb(Session& session, const Invocation& call) {
  const model::ResourceKind& kind = *call.command->kind;
  std::vector<std::string> names = call.args;
  std::string positional = TRY(take_positional(call, names));
  std::string body = to_json(TRY(verb_body(call, positional)));
  names =
      TRY(chosen_names(session, kind, std::move(names), call.value("selector"), call.on("all")));
  Api& api = *TRY(session.api());
  std::vector<Value> tasks;
  int code = exit_code::kOk;
  for (const std::string& name : names) {
    auto answer = api.call({.method = "POST",
                            .path = ref_path(kind.plural, name, call.command->verb->verb),
                            .query = session.change_query(),
                            .body = body});
    if (!answer && names.size() == 1) return std::unexpected(answer.error());
    if (!answer) {  // the others go on
      session.terminal().err(error_text(answer.error().within(name), session.circumstances()));
      code = exit_code_of(answer.error());
    } else if (session.options().dry_run) {
      code = std::max(code, session.tell_dry_run(name, answer->body));
    } else {
      tasks.push_back(std::move(answer->body));
    }
  }
  if (tasks.empty()) return code;
  if (!session.options().wait) {
    tell_started(session, tasks);
    return code;
  }
  int waited = TRY(wait_for_tasks(session, std::move(tasks)));
  return code == exit_code::kOk ? waited : code;
}

Result<int> run_task_cancel(Session& session, const Invocation& call) {
  Api& api = *TRY(session.api());
  std::vector<Value> tasks;
  for (const std::string& id : call.args) {
    Value task = TRY(api.call({.method = "POST", .path = ref_path("tasks", id, "cancel")})).body;
    if (!session.options().wait) session.note(fmt::format("{}: asked to stop\n", task_title(task)));
    tasks.push_back(std::move(task));
  }
  if (!session.options().wait) return exit_code::kOk;
  // That they end as cancelled is what was asked for.
  int code = TRY(wait_for_tasks(session, std::move(tasks)));
  return code == exit_code::kTaskFailed ? exit_code::kOk : code;
}

Result<int> run_task_wait(Session& session, const Invocation& call) {
  Api& api = *TRY(session.api());
  std::vector<Value> tasks;
  for (const std::string& id : call.args) tasks.push_back(TRY(api.get(ref_path("tasks", id))));
  return wait_for_tasks(session, std::move(tasks));
}

}  // namespace chorok::cli
