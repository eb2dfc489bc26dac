// `chorok energy`: watts now, energy over time with what it costs, and what is billed.
#include "model/energy.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/format.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/quantity.h"
#include "cli/session.h"
#include "cli/terminal.h"

namespace chorok::cli {
namespace {

constexpr std::size_t kVmRows = 20;  // of a report

std::string watts(double value) {
  return value < 10'000 ? fmt::format("{:.1f} W", value) : fmt::format("{:.2f} kW", value / 1e3);
}
std::string energy(double joules) {
  const double kwh = joules / 3.6e6;
  if (kwh >= 1 || kwh <= -1) return fmt::format("{:.2f} kWh", kwh);
  return fmt::format("{:.2f} Wh", kwh * 1e3);
}
std::string percent(double part) {
  return fmt::format("{:.0f} %", part * 100);
}
std::string band(double error) {
  return fmt::format("±{:.0f} %", error * 100);
}

TableStyle style_of(Session& session) {
  const bool fits = session.terminal().out_is_terminal();
  return {.width = fits ? session.terminal().width() : 0, .colours = session.colours()};
}

// ---- top

Value::List by_watts(Value::List rows) {
  std::ranges::sort(rows, [](const Value& a, const Value& b) {
    const double left = a.get("watts").number(), right = b.get("watts").number();
    return left != right ? left > right : a.get("name").text() < b.get("name").text();
  });
  return rows;
}

std::string render_now(Session& session, const Value& answer) {
  Table hosts{.columns = {{.title = "HOST"},
                          {.title = "CLUSTER"},
                          {.title = "DRAWS", .right_aligned = true},
                          {.title = "VMS", .right_aligned = true},
                          {.title = "UNUSED", .right_aligned = true},
                          {.title = "IDLE", .right_aligned = true},
                          {.title = "BAND", .right_aligned = true},
                          {.title = "SOURCE"},
                          {.title = "NOTE"}}};
  for (const Value& each : by_watts(answer.get("hosts").items())) {
    std::string note;
    if (each.get("off").boolean()) note = "off";
    if (each.get("estimated").boolean()) note = "estimated";
    if (!each.get("meter_problem").text().empty()) note = each.get("meter_problem").text();
    hosts.rows.push_back(
        {{printable(each.get("name").text())},
         {printable(each.get("cluster").text())},
         {watts(each.get("watts").number())},
         {watts(each.get("vms_watts").number())},
         {watts(each.get("unused_watts").number())},
         {watts(each.get("idle_watts").number())},
         {band(each.get("error").number())},
         {fmt::format("{}, {}", each.get("source").text(), each.get("method").text())},
         {printable(note)}});
  }
  Table vms{.columns = {{.title = "VM"},
                        {.title = "HOST"},
                        {.title = "DRAWS", .right_aligned = true},
                        {.title = "BAND", .right_aligned = true},
                        {.title = "SOURCE"}}};
  for (const Value& each : by_watts(answer.get("vms").items()))
    vms.rows.push_back({{printable(each.get("name").text())},
                        {printable(each.get("host_name").text())},
                        {watts(each.get("watts").number())},
                        {band(each.get("error").number())},
                        {std::string(each.get("source").text())}});
  std::string out = render_table(hosts, style_of(session)) + "\n";
  if (!vms.rows.empty()) out += render_table(vms, style_of(session)) + "\n";
  const double all = answer.get("watts").number();
  out += fmt::format("{} in all, {} by no VM, {} measured\n", watts(all),
                     watts(answer.get("unused_watts").number()),
                     percent(all > 0 ? answer.get("measured_watts").number() / all : 0));
  return out;
}

Result<int> run_now(Session& session, const Invocation&) {
  Api& api = *TRY(session.api());
  const Value answer = TRY(api.get("/energy"));
  if (session.is_structured()) {
    session.out_value(answer);
  } else if (session.options().output == Output::kCsv) {
    std::vector<std::string_view> columns;
    for (const Field& field : model::HostEnergyNow::type().fields) columns.push_back(field.name);
    session.out(make_csv(columns, answer.get("hosts").items(), true));
  } else {
    session.out(render_now(session, answer));
  }
  return exit_code::kOk;
}

// ---- over time

std::string cost_line(const Value& answer, std::string_view field, std::string_view name) {
  const Value& cost = answer.get(field);
  std::string out = fmt::format("{:<10}{:.3f} kWh", name, cost.get("kwh").number());
  const auto currency = answer.get("currency").text();
  if (!currency.empty()) out += fmt::format(", {:.2f} {}", cost.get("money").number(), currency);
  if (!answer.get("carbon_source").text().empty())
    out += fmt::format(", {:.3f} kg CO2", cost.get("co2_kg").number());
  return out + "\n";
}

std::string render_summary(const Value& answer) {
  std::string out = fmt::format(
      "{} {} from {} to {}\n", answer.get("kind").text(), printable(answer.get("name").text()),
      answer.get("from").text().substr(0, 19), answer.get("to").text().substr(0, 19));
  const double joules = answer.get("joules").number();
  out += fmt::format("{:<10}{}, mean {}, highest {}\n", "drew", energy(joules),
                     watts(answer.get("watts").number()), watts(answer.get("peak_watts").number()));
  out += fmt::format("{:<10}{}, {} measured, {} estimated\n", "certainty",
                     band(answer.get("error").number()), percent(answer.get("measured").number()),
                     percent(answer.get("estimated").number()));
  const std::string_view kind = answer.get("kind").text();
  if (kind == "cluster" || kind == "host")
    out += fmt::format(
        "{:<10}{}; idle {}, off {}\n", "unused", energy(answer.get("unused_joules").number()),
        energy(answer.get("idle_joules").number()), energy(answer.get("standby_joules").number()));
  out += cost_line(answer, "it", "IT");
  if (answer.get("pue").number() > 1)
    out += cost_line(answer, "facility", fmt::format("x {:.2f}", answer.get("pue").number()));
  if (answer.get("saved_joules").number() != 0)
    out += "\n" + cost_line(answer, "saved", "saved") +
           fmt::format("          {}\n", answer.get("saved_method").text());
  return out;
}

Table parts_table(const Value& answer, std::string_view kind, std::size_t most) {
  Table table{.columns = {{.title = std::string(kind)},
                          {.title = "ENERGY", .right_aligned = true},
                          {.title = "SHARE", .right_aligned = true},
                          {.title = "MEAN", .right_aligned = true},
                          {.title = "UNUSED", .right_aligned = true},
                          {.title = "SAVED", .right_aligned = true},
                          {.title = "MEASURED", .right_aligned = true},
                          {.title = "BAND", .right_aligned = true}}};
  const bool is_host = kind == "HOST";
  for (const Value& each : answer.get("parts").items()) {
    const std::string_view is = each.get("kind").text();
    const bool wanted =
        is_host ? is == "host" || is == "other" : is == (kind == "VM" ? "vm" : "pool");
    if (!wanted || table.rows.size() >= most) continue;
    const std::string name(is == "other" ? "(gone)" : each.get("name").text());
    auto only_hosts = [&](std::string text) { return is == "host" ? std::move(text) : "-"; };
    table.rows.push_back({{printable(name)},
                          {energy(each.get("joules").number())},
                          {percent(each.get("share").number())},
                          {watts(each.get("watts").number())},
                          {only_hosts(energy(each.get("unused_joules").number()))},
                          {only_hosts(energy(each.get("saved_joules").number()))},
                          {only_hosts(percent(each.get("measured").number()))},
                          {only_hosts(band(each.get("error").number()))}});
  }
  return table;
}

Table points_table(const Value& answer) {
  Table table{.columns = {{.title = "TIME"},
                          {.title = "DRAWS", .right_aligned = true},
                          {.title = "UNUSED", .right_aligned = true},
                          {.title = "ENERGY", .right_aligned = true},
                          {.title = "BAND", .right_aligned = true}}};
  for (const Value& each : answer.get("points").items())
    table.rows.push_back({{std::string(each.get("at").text().substr(0, 19)) + "Z"},
                          {watts(each.get("watts").number())},
                          {watts(each.get("unused_watts").number())},
                          {energy(each.get("joules").number())},
                          {band(each.get("error").number())}});
  return table;
}

void show_series(Session& session, const Value& answer, bool points) {
  if (session.is_structured()) return session.out_value(answer);
  if (session.options().output == Output::kCsv) {
    std::vector<std::string_view> columns;
    for (const Field& field : model::EnergyPoint::type().fields) columns.push_back(field.name);
    return session.out(make_csv(columns, answer.get("points").items(), true));
  }
  session.out(render_summary(answer));
  for (const std::string_view kind : {"HOST", "POOL", "VM"}) {
    const Table table = parts_table(answer, kind, kind == "VM" ? kVmRows : 10'000);
    if (!table.rows.empty()) session.out("\n" + render_table(table, style_of(session)));
  }
  if (points) session.out("\n" + render_table(points_table(answer), style_of(session)));
}

Result<Query> span_query(const Invocation& call) {
  Query query;
  for (const char* name : {"from", "to"})
    if (call.has(name)) query.emplace_back(name, TRY(moment(call.value(name))));
  if (call.has("step"))
    query.emplace_back("step",
                       fmt::format("{:.0f}", seconds(TRY(parse_duration(call.value("step"))))));
  return query;
}

Result<int> run_series(Session& session, const Invocation& call) {
  Query query = TRY(span_query(call));
  Api& api = *TRY(session.api());
  const std::string& kind = call.command->name;
  const std::string name =
      call.args.empty() ? TRY(only_name(session, *model::find_resource_kind(kind))) : call.args[0];
  const Value answer = TRY(api.get(ref_path(kind + "s", name, "energy"), std::move(query)));
  show_series(session, answer, true);
  return exit_code::kOk;
}

// A page a cluster: hosts, pools, the VMs that took most, what was saved.
Result<int> run_report(Session& session, const Invocation& call) {
  Query query = TRY(span_query(call));
  if (!call.has("from")) query.emplace_back("from", fmt::format("-{}", 30 * 86400));
  query.emplace_back("parts", "pools,vms");
  Api& api = *TRY(session.api());
  std::vector<std::string> names = call.args;
  if (names.empty()) {
    const Value all = TRY(api.get("/clusters"));
    for (const Value& each : all.get("items").items())
      names.emplace_back(each.get("meta/name").text());
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0 && !session.is_structured()) session.out("\n");
    show_series(session, TRY(api.get(ref_path("clusters", names[i], "energy"), Query(query))),
                false);
  }
  return exit_code::kOk;
}

// ---- for billing

Result<int> run_metering(Session& session, const Invocation& call) {
  Query query = TRY(span_query(call));
  for (const char* name : {"month", "by", "cluster"})
    if (call.has(name)) query.emplace_back(name, std::string(call.value(name)));
  if (call.has("utc-offset"))
    query.emplace_back("utc_offset", std::string(call.value("utc-offset")));
  Api& api = *TRY(session.api());
  const Value answer = TRY(api.get("/metering", std::move(query)));
  if (session.is_structured()) {
    session.out_value(answer);
    return exit_code::kOk;
  }
  if (session.options().output == Output::kCsv) {
    std::vector<std::string_view> columns;
    for (const Field& field : model::MeteringRow::type().fields) columns.push_back(field.name);
    session.out(make_csv(columns, answer.get("rows").items(), true));
    return exit_code::kOk;
  }
  Table table{.columns = {{.title = "NAME"},
                          {.title = "CLUSTER"},
                          {.title = "MHZ HOURS", .right_aligned = true},
                          {.title = "GIB HOURS", .right_aligned = true},
                          {.title = "KWH", .right_aligned = true},
                          {.title = "HOURS", .right_aligned = true}}};
  for (const Value& each : answer.get("rows").items())
    table.rows.push_back({{printable(each.get("name").text())},
                          {printable(each.get("cluster").text())},
                          {fmt::format("{:.1f}", each.get("cpu_mhz_hours").number())},
                          {fmt::format("{:.2f}", each.get("memory_gib_hours").number())},
                          {fmt::format("{:.4f}", each.get("kwh").number())},
                          {fmt::format("{:.2f}", each.get("hours").number())}});
  session.out(render_table(table, style_of(session)));
  return exit_code::kOk;
}

std::vector<FlagSpec> span_flags(bool step) {
  std::vector<FlagSpec> flags = {
      {.name = "from", .value = "WHEN", .doc = "A time, or how long ago (24h)."},
      {.name = "to", .value = "WHEN", .doc = "Now if not said."}};
  if (step) flags.push_back({.name = "step", .value = "DURATION", .doc = "A row each: 15m."});
  return flags;
}

}  // namespace

void add_energy(std::vector<CommandSpec>& all) {
  all.push_back({.group = "energy",
                 .name = "top",
                 .doc = "What hosts and VMs draw now, and who says so.",
                 .example = "chorok energy top",
                 .handler = run_now});
  for (const std::string_view kind : {"cluster", "host", "vm", "pool"}) {
    const bool may_be_alone = kind == "cluster";
    all.push_back({.group = "energy",
                   .name = std::string(kind),
                   .doc = fmt::format("A {}'s energy over time, with its cost.", kind),
                   .operands = may_be_alone ? "[NAME]" : "NAME",
                   .args_min = may_be_alone ? 0U : 1U,
                   .args_max = 1,
                   .flags = span_flags(true),
                   .completes = {std::string(kind)},
                   .example = fmt::format("chorok energy {} {} --from 24h --step 1h", kind,
                                          kind == "vm" ? "web1" : "main"),
                   .handler = run_series});
  }
  all.push_back({.group = "energy",
                 .name = "report",
                 .doc = "Clusters' last 30 days: hosts, pools, VMs, what was saved.",
                 .operands = "[CLUSTER]",
                 .args_max = 1,
                 .flags = span_flags(false),
                 .completes = {"cluster"},
                 .example = "chorok energy report --from 7d",
                 .handler = run_report});
  std::vector<FlagSpec> flags = span_flags(false);
  flags.push_back({.name = "month", .value = "MONTH", .doc = "Instead: all of 2026-11."});
  flags.push_back({.name = "utc-offset", .value = "HOURS", .doc = "Of the month's clock."});
  flags.push_back({.name = "by",
                   .value = "WHAT",
                   .doc = "vm if not said; of a user is what has "
                          "the label owner=NAME.",
                   .choices = {"vm", "pool", "user"}});
  flags.push_back(
      {.name = "cluster", .value = "NAME", .doc = "Of this one only.", .completes = "cluster"});
  all.push_back({.group = "energy",
                 .name = "metering",
                 .doc = "What was used, for billing: MHz hours, GiB hours, kWh.",
                 .flags = std::move(flags),
                 .example = "chorok energy metering --month 2026-11 --by pool -o csv",
                 .handler = run_metering});
}

}  // namespace chorok::cli
