// chorok plan: the policies, offline, on a snapshot from a file. No manager is asked.
#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "base/text.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/plan_show.h"
#include "cli/table.h"
#include "cli/yaml.h"
#include "model/snapshot_text.h"
#include "policy/check.h"
#include "policy/explain.h"
#include "policy/planner.h"
#include "policy/restart.h"

namespace chorok::cli {
namespace {

using model::Snapshot;
using policy::NamedPlan;

// JSON and YAML snapshots, and htools' text: by what it looks like.
Result<Snapshot> read_cluster(Session& session, const Invocation& call) {
  if (!call.has("file"))
    return usage_fail("say where the cluster is: -f FILE, or -f - for standard input", "--file");
  const std::string file(call.value("file"));
  const std::string text = file == "-" ? TRY(session.terminal().read_all_input())
                                       : TRY(read_file(file, model::kSnapshotBytesMax));
  auto parse = [&]() -> Result<Snapshot> {
    if (model::looks_like_htools(text)) return model::read_htools(text);
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    if (start != std::string::npos && text[start] == '{') return model::read_snapshot(text);
    return model::read_snapshot(to_json(TRY(parse_yaml(text))));
  };
  auto snapshot = parse();
  if (!snapshot) return std::unexpected(snapshot.error().within(file));
  return snapshot;
}

template <class T>
Result<Value> value_of(const T& object) {
  return parse_json(json::encode(object));
}

Result<int> tell(Session& session, const Invocation& call, const Snapshot& snapshot,
                 const policy::Plan& plan) {
  if (call.has("why")) {
    const policy::Explanation why = TRY(policy::explain(snapshot, plan, call.value("why")));
    if (session.is_structured())
      session.out_value(TRY(value_of(why)));
    else
      show_explanation(session, why);
    return exit_code::kOk;
  }
  const NamedPlan shown = named(plan, snapshot);
  if (session.is_structured())
    session.out_value(TRY(value_of(shown)));
  else
    show_plan(session, shown);
  std::string asked;
  for (std::size_t i = 0; i < shown.actions.size(); ++i)
    if (shown.actions[i].recommended)
      asked += fmt::format("{}{}", asked.empty() ? "" : ", ", i + 1);
  if (!asked.empty() && !session.is_structured())
    session.out(fmt::format("\nfor a person to decide, as their VMs are set: {}\n", asked));
  return exit_code::kOk;
}

Result<policy::Plan> restart_plan(const Snapshot& snapshot, const Invocation& call) {
  std::vector<model::Index> lost;
  std::vector<std::string_view> known;
  for (const model::SnapshotHost& host : snapshot.hosts) known.push_back(host.name);
  for (const std::string& name : call.values("lost")) {
    auto it = std::ranges::find(known, name);
    if (it == known.end()) {
      const std::string_view close = nearest(name, known);
      return fail(Code::kNotFound,
                  fmt::format("there is no host '{}'{}", name,
                              close.empty() ? "" : fmt::format("; did you mean '{}'?", close)));
    }
    lost.push_back(static_cast<model::Index>(it - known.begin()));
  }
  // Hosts that the snapshot itself calls lost.
  for (model::Index h = 0; h < snapshot.hosts.size(); ++h)
    if (snapshot.hosts[h].link == model::HostLink::kLost &&
        std::ranges::find(lost, h) == lost.end())
      lost.push_back(h);
  return policy::plan_restart(snapshot, lost);
}

void show_resource(Session& session, std::string_view name, std::string_view unit,
                   const policy::ResourceCheck& r) {
  session.out(fmt::format(
      "{}: {:.0f} {} capacity, {:.0f} reserved, {:.0f} wanted, {:.0f} granted; {} short\n", name,
      r.capacity, unit, r.reserved, r.wanted, r.granted, counted(r.vms_short, "VM")));
}

void show_check(Session& session, const policy::ClusterCheck& c) {
  const bool colours = session.colours();
  auto verdict = [&](bool good, std::string_view yes, std::string_view no) {
    return coloured(good ? yes : no, good ? Tone::kGood : Tone::kBad, colours);
  };
  session.out(fmt::format("{}: {} of {} serve {}\n", verdict(c.sound, "sound", "not sound"),
                          c.hosts_serving, counted(c.hosts, "host"), counted(c.vms_on, "VM")));
  show_resource(session, "cpu", "MHz", c.cpu_mhz);
  show_resource(session, "memory", "MiB", c.memory_mib);
  show_violations(session, c.violations);
  const policy::FailoverCheck& f = c.failover;
  session.out(
      fmt::format("{} {} at once: {} ({}{} tried{})\n", f.failures,
                  f.failures == 1 ? "host may fail" : "hosts may fail",
                  verdict(f.survives, "yes", "no"), f.exhaustive ? "all " : "not all; ", f.cases,
                  f.moved == 0 ? "" : fmt::format(", {} would make room", counted(f.moved, "VM"))));
  for (const policy::UncoveredFailure& u : f.uncovered)
    session.out(fmt::format("  {}: {} lost; {}\n", some_hosts(u.hosts),
                            counted(static_cast<std::int64_t>(u.vms.size()), "VM"),
                            printable(u.text)));
  session.out(fmt::format(
      "  by slots of {:.0f} MHz and {:.0f} MiB: {} ({} of {} used)\n"
      "  by percentage: {} ({:.0f}% of CPU and {:.0f}% of memory not reserved, {:.0f}% needed)\n",
      f.slot_cpu_mhz, f.slot_memory_mib, f.slots_enough ? "yes" : "no", f.slots_used, f.slots_kept,
      f.percent_enough ? "yes" : "no", 100 * f.free_cpu, 100 * f.free_memory, 100 * f.needed));
}

Result<int> run_plan(Session& session, const Invocation& call) {
  const Snapshot snapshot = TRY(read_cluster(session, call));
  const std::string& which = call.command->name;
  policy::Plan plan;
  if (which == "balance") plan = policy::plan_balance(snapshot);
  if (which == "power") plan = policy::plan_power(snapshot);
  if (which == "place") plan = policy::plan_place(snapshot);
  if (which == "all") plan = policy::plan_cluster(snapshot);
  if (which == "restart") plan = TRY(restart_plan(snapshot, call));
  return tell(session, call, snapshot, plan);
}

Result<int> run_plan_check(Session& session, const Invocation& call) {
  const Snapshot snapshot = TRY(read_cluster(session, call));
  if (call.has("why")) return tell(session, call, snapshot, {.nothing = "a check plans nothing"});
  std::int32_t failures = -1;
  if (call.has("failures")) {
    auto number = parse_json(call.value("failures"));
    if (!number || !number->is_int() || number->integer() < 0 || number->integer() > 1000)
      return usage_fail("is a number of hosts, 0 to 1000", "--failures");
    failures = static_cast<std::int32_t>(number->integer());
  }
  const policy::ClusterCheck check = policy::check_cluster(snapshot, failures);
  if (session.is_structured())
    session.out_value(TRY(value_of(check)));
  else
    show_check(session, check);
  return check.sound ? exit_code::kOk : exit_code::kFailed;
}

Result<int> run_plan_convert(Session& session, const Invocation& call) {
  const std::string text = TRY(model::write_snapshot(TRY(read_cluster(session, call))));
  if (session.options().output == Output::kYaml)
    session.out_value(TRY(parse_json(text)));
  else
    session.out(text);
  return exit_code::kOk;
}

CommandSpec plan_command(std::string name, std::string doc, Handler handler) {
  CommandSpec spec{.group = "plan", .name = std::move(name), .doc = std::move(doc)};
  spec.flags = {{.name = "file",
                 .value = "FILE",
                 .doc = "Snapshot in JSON or YAML, or htools' text; - is standard input.",
                 .letter = 'f',
                 .completes = "file"}};
  spec.handler = handler;
  return spec;
}

}  // namespace

std::vector<CommandSpec> plan_commands() {
  std::vector<CommandSpec> all = {
      plan_command("balance", "Mend what is wrong, then spread load (DRS).", run_plan),
      plan_command("power", "Which hosts to switch on and off (DPM).", run_plan),
      plan_command("place", "Where VMs that wait for a host go.", run_plan),
      plan_command("all", "All of these as one round, as the cluster's settings say.", run_plan),
      plan_command("restart", "What restarts where when hosts are lost (HA).", run_plan),
      plan_command("check", "What is wrong, whether hosts may fail, what VMs get.", run_plan_check),
  };
  for (CommandSpec& spec : all)
    spec.flags.push_back({.name = "why",
                          .value = "NAME",
                          .doc = "Only this VM or host, and everything that is to say of it."});
  all[4].flags.push_back(
      {.name = "lost", .value = "HOST", .doc = "This host is lost.", .repeats = true});
  all[4].example = "chorok plan restart -f cluster.json --lost sol";
  all[5].flags.push_back({.name = "failures",
                          .value = "N",
                          .doc = "Hosts that may fail at once; else as its settings say."});
  all.push_back(
      plan_command("convert", "Write it as a snapshot, as Chorok writes them.", run_plan_convert));
  return all;
}

}  // namespace chorok::cli
