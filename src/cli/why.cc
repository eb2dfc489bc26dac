// What a living cluster's loops have decided, and why: asked of the manager.
#include <fmt/format.h>

#include "base/json.h"
#include "cli/format.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/plan_show.h"
#include "cli/quantity.h"
#include "cli/text.h"

namespace chorok::cli {
namespace {

template <class T>
Result<T> read(const Value& value) {
  return json::decode<T>(to_json(value, false), {.stored = true});
}

}  // namespace

Result<int> run_cluster_plan(Session& session, const Invocation& call) {
  const model::ResourceKind& kind = *call.command->kind;
  const std::string name = call.args.empty() ? TRY(only_name(session, kind)) : call.args[0];
  const Value answer = TRY(TRY(session.api())->get(ref_path(kind.plural, name, "plan")));
  if (session.is_structured()) {
    session.out_value(answer);
    return exit_code::kOk;
  }
  if (session.options().output == Output::kCsv) {
    session.out(make_csv({"kind", "vm", "from", "to", "priority", "why", "reason", "gain_j",
                          "cost_j", "after", "recommended"},
                         answer.get("plan/actions").items(), true));
    return exit_code::kOk;
  }
  if (answer.get("round").integer() == 0) {
    session.out("no round has been taken yet\n");
    return exit_code::kOk;
  }
  session.out(
      fmt::format("round {}, {}\n", answer.get("round").integer(), answer.get("at").text()));
  show_plan(session, TRY(read<policy::NamedPlan>(answer.get("plan"))));
  std::string held;
  const Value::List& states = answer.get("states").items();
  for (std::size_t i = 0; i < states.size(); ++i)
    if (states[i].text() == "held") held += fmt::format("{}{}", held.empty() ? "" : ", ", i + 1);
  if (!held.empty())
    session.out(
        fmt::format("\nfor a person to decide, as the cluster and its VMs are set: {}\n", held));
  return exit_code::kOk;
}

Result<int> run_why(Session& session, const Invocation& call) {
  const model::ResourceKind* kind = model::find_resource_kind(call.args[0]);
  if (kind == nullptr || (kind->kind != "vm" && kind->kind != "host"))
    return usage_fail("write `chorok why vm NAME` or `chorok why host NAME`");
  TRY(no_table(session));
  Query query;
  if (call.has("at")) query.emplace_back("at", TRY(moment(call.value("at"))));
  if (call.has("last")) query.emplace_back("last", call.value("last"));
  const Value answer =
      TRY(TRY(session.api())->get(ref_path(kind->plural, call.args[1], "why"), std::move(query)));
  if (session.is_structured()) {
    session.out_value(answer);
    return exit_code::kOk;
  }
  session.note(
      fmt::format("round {}, {}\n", answer.get("round").integer(), answer.get("at").text()));
  show_explanation(session, TRY(read<policy::Explanation>(answer.get("now"))));
  const Value::List& decisions = answer.get("decisions").items();
  if (!decisions.empty()) session.out("\ndecided and recommended\n");
  for (const Value& decision : decisions) {
    const std::int64_t rounds = decision.get("rounds").integer();
    session.out(fmt::format(
        "  {}  {}{}\n", decision.get("at").text(), printable(decision.get("text").text()),
        rounds <= 1 ? ""
                    : fmt::format(" (since {}, {} rounds)", decision.get("since").text(), rounds)));
  }
  return exit_code::kOk;
}

}  // namespace chorok::cli
