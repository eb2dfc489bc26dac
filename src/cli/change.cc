// create and delete.
#include <fmt/format.h>

#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/wait.h"

namespace chorok::cli {
namespace {

// The object to create: the file's, with the name and the flags over it.
Result<Value> object_to_create(Session& session, const Invocation& call) {
  Value object = Value::object();
  if (call.has("file"))
    object = TRY(read_object(session, call.command->kind->type(), std::string(call.value("file"))));
  if (!call.args.empty()) object.make("meta/name") = call.args[0];
  TRY(apply_flags(call, object));
  if (object.get("meta/name").text().empty())
    return usage_fail(fmt::format("a {} needs a name: chorok {} NAME", call.command->kind->kind,
                                  call.command->path()));
  if (call.command->kind->kind == "vm") name_devices(object);
  return object;
}

// What was done: the object in JSON or YAML, a line for people, the name alone when quiet.
void tell_done(Session& session, std::string_view kind, const Value& object,
               std::string_view what) {
  if (session.is_structured())
    session.out_value(object);
  else if (session.options().quiet)
    session.out(fmt::format("{}\n", name_of(object)));
  else
    session.out(fmt::format("{} {} {} ({})\n", kind, name_of(object), what, id_of(object)));
}

}  // namespace

Result<int> create_object(Session& session, const Invocation& call, const Value& object) {
  const model::ResourceKind& kind = *call.command->kind;
  Query query = session.change_query();
  if (call.on("start")) query.emplace_back("start", "true");
  Answer answer = TRY(TRY(session.api())
                          ->call({.method = "POST",
                                  .path = fmt::format("/{}", kind.plural),
                                  .query = std::move(query),
                                  .body = to_json(object)}));
  if (session.options().dry_run)
    return session.tell_dry_run(object.get("meta/name").text(), answer.body);
  constexpr int kAccepted = 202;
  if (answer.status != kAccepted) {
    tell_done(session, kind.kind, answer.body, "made");
    return exit_code::kOk;
  }
  if (session.options().wait) return wait_for_tasks(session, {std::move(answer.body)});
  tell_started(session, {answer.body});
  return exit_code::kOk;
}

Result<int> run_create(Session& session, const Invocation& call) {
  return create_object(session, call, TRY(object_to_create(session, call)));
}

Result<int> run_delete(Session& session, const Invocation& call) {
  const model::ResourceKind& kind = *call.command->kind;
  auto chosen = TRY(chosen_names(session, kind, call.args, call.value("selector")));
  std::string names = fmt::format("{}", fmt::join(chosen, ", "));
  bool with_disks = kind.kind == "vm" && !call.on("keep-disks");
  TRY(confirm(session, call,
              fmt::format("{} {} {}{}?", call.command->name == "remove" ? "Remove" : "Delete",
                          kind.kind, names, with_disks ? " with all disks" : "")));
  Api& api = *TRY(session.api());
  Query query = session.change_query();
  for (auto [flag, name] : {std::pair{"keep-disks", "keep_disks"},
                            {"hard", "hard"},
                            {"force", "force"},
                            {"move-up", "move_up"}})
    if (call.on(flag)) query.emplace_back(name, "true");
  std::vector<Value> tasks;
  int code = exit_code::kOk;
  for (const std::string& name : chosen) {
    Answer answer =
        TRY(api.call({.method = "DELETE", .path = ref_path(kind.plural, name), .query = query}));
    if (session.options().dry_run)
      code = std::max(code, session.tell_dry_run(name, answer.body));
    else if (answer.body.is_object())
      tasks.push_back(std::move(answer.body));
    else
      session.note(fmt::format("{} {} is gone\n", kind.kind, name));
  }
  if (tasks.empty()) return code;
  if (session.options().wait) return wait_for_tasks(session, std::move(tasks));
  tell_started(session, tasks);
  return code;
}

Result<int> run_baseline(Session& session, const Invocation& call) {
  const model::ResourceKind& kind = *call.command->kind;
  std::string name = call.args.empty() ? TRY(only_name(session, kind)) : call.args[0];
  Answer answer = TRY(TRY(session.api())
                          ->call({.method = "POST",
                                  .path = ref_path(kind.plural, name, "baseline"),
                                  .query = session.change_query()}));
  if (session.options().dry_run) return session.tell_dry_run(name, answer.body);
  if (session.is_structured())
    session.out_value(answer.body);
  else
    session.out(fmt::format("{}\n", answer.body.get("cpu_baseline").text()));
  return exit_code::kOk;
}

}  // namespace chorok::cli
