// What a cluster's newest round leaves to people: listed, applied, ignored.
#include <fmt/format.h>

#include "base/json.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/text.h"

namespace chorok::cli {
namespace {

const model::ResourceKind& cluster_kind() {
  return *model::find_resource_kind("cluster");
}

std::string what(const Value& item) {
  const std::string_view kind = item.get("kind").text();
  const std::string to = printable(item.get("to").text());
  if (kind == "power_on") return fmt::format("switch {} on", to);
  if (kind == "power_off") return fmt::format("switch {} off", to);
  const std::string vm = printable(item.get("vm").text());
  if (kind == "start") return fmt::format("start {} on {}", vm, to);
  return fmt::format("migrate {} from {} to {}", vm, printable(item.get("from").text()), to);
}

void show_one(Session& session, const Value& item) {
  std::string after;
  for (const Value& id : item.get("after").items())
    after += fmt::format("{}{}", after.empty() ? "" : ", ", id.text());
  session.out(fmt::format("{}  {}  {}  {}\n", item.get("id").text(), item.get("state").text(),
                          item.get("priority").integer(), what(item)));
  session.out(
      fmt::format("    {}: {}\n", item.get("why").text(), printable(item.get("reason").text())));
  session.out(fmt::format("    gains {:.0f} J, costs {:.0f} J{}{}\n", item.get("gain_j").number(),
                          item.get("cost_j").number(), after.empty() ? "" : ", after " + after,
                          item.get("applied_by").text().empty()
                              ? ""
                              : ", applied by " + printable(item.get("applied_by").text())));
}

void show(Session& session, const Value& answer) {
  if (session.is_structured()) return session.out_value(answer);
  const Value::List& items = answer.get("items").items();
  if (session.options().quiet) {
    for (const Value& item : items) session.out(fmt::format("{}\n", item.get("id").text()));
    return;
  }
  if (answer.get("round").integer() == 0) return session.note("no round has been taken yet\n");
  if (items.empty())
    return session.note(
        fmt::format("round {} leaves nothing to a person; chorok cluster plan says "
                    "what it does\n",
                    answer.get("round").integer()));
  session.out(fmt::format("round {}, {}; until {}\n\n", answer.get("round").integer(),
                          answer.get("at").text(), answer.get("expires").text()));
  for (const Value& item : items) show_one(session, item);
}

Result<int> run_recommendations(Session& session, const Invocation& call) {
  const std::string name =
      call.args.empty() ? TRY(only_name(session, cluster_kind())) : call.args[0];
  show(session, TRY(TRY(session.api())->get(ref_path("clusters", name, "recommendations"))));
  return exit_code::kOk;
}

// `cluster apply` and `cluster ignore`.
Result<int> run_decide(Session& session, const Invocation& call) {
  if (call.args.empty() != call.on("all"))
    return usage_fail(fmt::format("name recommendations, or say --all: chorok cluster {} ID…",
                                  call.command->name));
  const std::string name = call.has("cluster") ? std::string(call.value("cluster"))
                                               : TRY(only_name(session, cluster_kind()));
  Value request = Value::object();
  if (call.on("all")) request.member("all") = true;
  for (const std::string& id : call.args) request.make("ids").push(id);
  const Answer answer =
      TRY(TRY(session.api())
              ->call({.method = "POST",
                      .path = fmt::format("{}/{}", ref_path("clusters", name, "recommendations"),
                                          call.command->name),
                      .query = session.change_query(),
                      .body = to_json(request)}));
  if (session.options().dry_run) return session.tell_dry_run(name, answer.body);
  show(session, answer.body);
  return exit_code::kOk;
}

}  // namespace

void add_recommendations(std::vector<CommandSpec>& all) {
  all.push_back({.group = "cluster",
                 .name = "recommendations",
                 .doc = "What its newest round would do and leaves to a person.",
                 .operands = "[NAME]",
                 .args_max = 1,
                 .completes = {"cluster"},
                 .handler = run_recommendations});
  for (const auto& [name, doc] :
       {std::pair{"apply", "Do what was recommended, with all that it waits for."},
        {"ignore", "Leave for an hour what was recommended."}})
    all.push_back({.group = "cluster",
                   .name = name,
                   .doc = doc,
                   .operands = "[ID…]",
                   .args_max = kMany,
                   .flags = {{.name = "all", .doc = "All that are open."},
                             {.name = "cluster",
                              .value = "NAME",
                              .doc = "Whose; where there is one alone, that one.",
                              .completes = "cluster"}},
                   .handler = run_decide});
}

}  // namespace chorok::cli
