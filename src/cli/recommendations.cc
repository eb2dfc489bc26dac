// What a cluster's newest round leaves to people: listed, applied, ignored.
#include <fmt/format.h>

#include "base/json.h"
#include "cli/format.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/quantity.h"
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

std::string relative(Session& session, const Value& value) {
  const auto time = json::parse_time(value.text());
  return time ? human_time(*time, session.terminal().now()) : std::string(value.text());
}

// "gains 63.33 Wh over 30 min (126.7 W), costs 1.20 Wh"
std::string worth(const Value& item) {
  const double gain = item.get("gain_j").number();
  const double over = item.get("gain_over_s").number();
  const std::string cost = "costs " + human_joules(item.get("cost_j").number());
  if (gain == 0) return cost;
  // What balance wins is CPU time, told as the energy of delivering it.
  const std::string_view why = item.get("why").text();
  const bool is_power = item.get("kind").text().starts_with("power_") || why == "consolidate";
  std::string out = "gains " + human_joules(gain);
  if (!is_power) out += " worth of CPU time";
  if (over > 0) out += " over " + human_seconds(over);
  if (over > 0 && is_power) out += fmt::format(" ({})", human_watts(gain / over));
  return out + ", " + cost;
}

std::string until(Session& session, const Value& item) {
  if (item.get("expires").text().empty()) return {};
  const bool is_applied = !item.get("applied_by").text().empty();
  return fmt::format(", {} {}", is_applied ? "given up" : "expires",
                     relative(session, item.get("expires")));
}

void show_one(Session& session, const Value& item) {
  std::string after;
  for (const Value& id : item.get("after").items())
    after += fmt::format("{}{}", after.empty() ? "" : ", ", id.text());
  session.out(fmt::format("{}  {}  priority {}  {}\n", item.get("id").text(),
                          item.get("state").text(), item.get("priority").integer(), what(item)));
  session.out(
      fmt::format("    {}: {}\n", item.get("why").text(), printable(item.get("reason").text())));
  if (const std::string_view waits = item.get("waits_for").text(); !waits.empty())
    session.out(fmt::format("    {}{}\n", item.get("state").text() == "waiting" ? "waits " : "",
                            printable(waits)));
  session.out(fmt::format("    {}{}{}{}\n", worth(item), after.empty() ? "" : ", after " + after,
                          item.get("applied_by").text().empty()
                              ? ""
                              : ", applied by " + printable(item.get("applied_by").text()),
                          until(session, item)));
}

void show(Session& session, const Value& answer) {
  if (session.is_structured()) return session.out_value(answer);
  const Value::List& items = answer.get("items").items();
  if (session.options().output == Output::kCsv)
    return session.out(
        make_csv({"id", "state", "priority", "kind", "vm", "from", "to", "why", "reason", "gain_j",
                  "gain_over_s", "cost_j", "after", "expires", "applied_by", "waits_for"},
                 items, true));
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
  session.out(fmt::format("round {}, {}\n\n", answer.get("round").integer(),
                          relative(session, answer.get("at"))));
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
  const Result<Answer> answer =
      TRY(session.api())
          ->call({.method = "POST",
                  .path = fmt::format("{}/{}", ref_path("clusters", name, "recommendations"),
                                      call.command->name),
                  .query = session.change_query(),
                  .body = to_json(request)});
  if (!answer) {
    if (answer.error().code == Code::kConflict || answer.error().field == "/ids")
      session.advise(
          fmt::format("see what is recommended now: chorok cluster recommendations {}", name));
    return Unexpected(answer.error());
  }
  if (session.options().dry_run) return session.tell_dry_run(name, answer->body);
  show(session, answer->body);
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
