// `chorok energy`: watts now, energy over time with what it costs, and what is billed.
#include "model/energy.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "cli/format.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/quantity.h"
#include "cli/session.h"
#include "cli/terminal.h"

namespace chorok::cli {
namespace {

constexpr std::size_t kVmRows = 20;  // of a report
constexpr std::size_t kRowsMax = 10'000;
constexpr double kWhole = 0.98;  // of a time: the rest is not worth a word

std::string watts(double value) {
  return human_watts(value);
}
std::string energy(double joules) {
  return human_joules(joules);
}
std::string percent(double part) {
  return fmt::format("{:.0f} %", part * 100);
}
std::string source(const Value& of) {
  return fmt::format("{}, {}", of.get("source").text(), of.get("method").text());
}
double time_of(const Value& value) {
  const auto time = json::parse_time(value.text());
  return time ? seconds(time->time_since_epoch()) : 0;
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
    hosts.rows.push_back({{printable(each.get("name").text())},
                          {printable(each.get("cluster").text())},
                          {watts(each.get("watts").number())},
                          {watts(each.get("vms_watts").number())},
                          {watts(each.get("unused_watts").number())},
                          {watts(each.get("idle_watts").number())},
                          {band(each.get("error").number())},
                          {source(each)},
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
  // A calendar in a file names no currency.
  const auto currency = answer.get("currency").text();
  if (!currency.empty() || !answer.get("price_source").text().empty())
    out += fmt::format(", {:.2f} {}", cost.get("money").number(),
                       currency.empty() ? "(no currency)" : currency);
  if (!answer.get("carbon_source").text().empty())
    out += fmt::format(", {:.3f} kg CO2", cost.get("co2_kg").number());
  return out + "\n";
}

// "93 % measured (redfish), 7 % estimated"
std::string source_words(const Value& answer) {
  std::string out;
  for (const Value& each : answer.get("sources").items()) {
    if (!out.empty()) out += ", ";
    const std::string part = percent(each.get("share").number());
    out +=
        each.get("estimated").boolean()
            ? fmt::format("{} by what was drawn before", part)
            : fmt::format("{} {} ({})", part, each.get("source").text(), each.get("method").text());
  }
  return out.empty() ? "not kept for this time" : out;
}

std::string drawn_lines(const Value& answer) {
  std::string out =
      fmt::format("{:<10}{}, mean {}, highest {}\n", "drew", energy(answer.get("joules").number()),
                  watts(answer.get("watts").number()), watts(answer.get("peak_watts").number()));
  const double asked = time_of(answer.get("to")) - time_of(answer.get("from"));
  const double known = answer.get("measured_for").number();
  if (known > 0 && known < kWhole * asked)
    out += fmt::format("{:<10}measured for {} of {}\n", "", human_seconds(known),
                       human_seconds(asked));
  if (const double pending = answer.get("pending_joules").number(); pending > 0)
    out += fmt::format("{:<10}{} of it not yet accounted for: no VM's and not unused so far\n", "",
                       energy(pending));
  if (answer.get("kind").text() == "pool")
    out += fmt::format("{:<10}{} of it directly, the rest by pools below it\n", "",
                       energy(answer.get("direct_joules").number()));
  return out;
}

std::string render_summary(const Value& answer) {
  std::string out = fmt::format(
      "{} {} from {} to {}\n", answer.get("kind").text(), printable(answer.get("name").text()),
      answer.get("from").text().substr(0, 19), answer.get("to").text().substr(0, 19));
  out += drawn_lines(answer);
  out += fmt::format("{:<10}{}, {} measured, {} estimated\n", "certainty",
                     band(answer.get("error").number()), percent(answer.get("measured").number()),
                     percent(answer.get("estimated").number()));
  const std::string_view kind = answer.get("kind").text();
  const bool has_meters = kind == "cluster" || kind == "host";
  out += fmt::format("{:<10}{}{}\n", "sources",
                     has_meters ? "" : "its cluster's: ", source_words(answer));
  if (has_meters)
    out += fmt::format(
        "{:<10}{}; idle {}, off {}\n", "unused", energy(answer.get("unused_joules").number()),
        energy(answer.get("idle_joules").number()), energy(answer.get("standby_joules").number()));
  out += cost_line(answer, "it", "IT");
  if (answer.get("pue").number() > 1)
    out += cost_line(answer, "facility", fmt::format("x {:.2f}", answer.get("pue").number()));
  if (answer.get("saved_joules").number() != 0)
    out += "\n" + cost_line(answer, "saved", "saved") +
           fmt::format("          {}\n", answer.get("saved_method").text());
  for (const Value& note : answer.get("notes").items())
    out += fmt::format("{:<10}{}\n", "note", printable(note.text()));
  return out;
}

std::string name_of_part(const Value& part) {
  const std::string_view name = part.get("name").text();
  if (part.get("kind").text() == "other")
    return name == "vm" ? "(gone, or not Chorok's)" : "(gone)";
  return printable(name) + (part.get("gone").boolean() ? " (gone)" : "");
}

// A figure of a part, and of which kinds it is one.
struct PartColumn {
  std::string_view title;
  std::string_view kinds;  // empty: of all
  std::string (*text)(const Value&);
};
constexpr PartColumn kPartColumns[] = {
    {"ENERGY", "", [](const Value& part) { return energy(part.get("joules").number()); }},
    {"DIRECTLY", "pool",
     [](const Value& part) { return energy(part.get("direct_joules").number()); }},
    {"SHARE", "", [](const Value& part) { return percent(part.get("share").number()); }},
    {"MEAN", "", [](const Value& part) { return watts(part.get("watts").number()); }},
    {"UNUSED", "host",
     [](const Value& part) { return energy(part.get("unused_joules").number()); }},
    {"SAVED", "host", [](const Value& part) { return energy(part.get("saved_joules").number()); }},
    {"MEASURED", "", [](const Value& part) { return percent(part.get("measured").number()); }},
    {"BAND", "", [](const Value& part) { return band(part.get("error").number()); }},
    {"SOURCE", "", source},
};

// `kind`: host, pool, vapp or vm. Beyond `most`, only their number and sum.
Table parts_table(const Value& answer, std::string_view kind, std::size_t most) {
  Table table{.columns = {{.title = kind == "host"   ? "HOST"
                                    : kind == "pool" ? "POOL"
                                    : kind == "vapp" ? "VAPP"
                                                     : "VM"}}};
  for (const PartColumn& column : kPartColumns)
    if (column.kinds.empty() || column.kinds == kind)
      table.columns.push_back({std::string(column.title), column.title != "SOURCE"});
  std::size_t more = 0;
  double left = 0;
  for (const Value& each : answer.get("parts").items()) {
    const bool is_rest = each.get("kind").text() == "other";
    if ((is_rest ? each.get("name") : each.get("kind")).text() != kind) continue;
    if (!is_rest && table.rows.size() >= most) {
      ++more;
      left += each.get("joules").number();
      continue;
    }
    std::vector<Cell> row = {{name_of_part(each)}};
    for (const PartColumn& column : kPartColumns)
      if (column.kinds.empty() || column.kinds == kind) row.push_back({column.text(each)});
    table.rows.push_back(std::move(row));
  }
  if (more == 0) return table;
  std::vector<Cell> row(table.columns.size());
  row[0].text = fmt::format("({} more: -o csv)", more);
  row[1].text = energy(left);
  table.rows.push_back(std::move(row));
  return table;
}

Table points_table(const Value& answer) {
  const std::string_view kind = answer.get("kind").text();
  const bool has_unused = kind == "cluster" || kind == "host";
  const double end = time_of(answer.get("to")), step = answer.get("step").number();
  Table table{.columns = {{.title = "TIME"}, {.title = "DRAWS", .right_aligned = true}}};
  if (has_unused) table.columns.push_back({.title = "UNUSED", .right_aligned = true});
  table.columns.push_back({.title = "ENERGY", .right_aligned = true});
  table.columns.push_back({.title = "BAND", .right_aligned = true});
  table.columns.push_back({.title = "OF"});  // how much of the step
  for (const Value& each : answer.get("points").items()) {
    std::vector<Cell> row = {{std::string(each.get("at").text().substr(0, 19)) + "Z"},
                             {watts(each.get("watts").number())}};
    if (has_unused) row.push_back({watts(each.get("unused_watts").number())});
    row.push_back({energy(each.get("joules").number())});
    row.push_back({band(each.get("error").number())});
    const double covered = each.get("covered").number();
    const double length = std::min(step, end - time_of(each.get("at")));
    row.push_back({covered > 0 && covered < kWhole * length ? human_seconds(covered) : ""});
    table.rows.push_back(std::move(row));
  }
  const bool all_whole =
      std::ranges::all_of(table.rows, [](const auto& row) { return row.back().text.empty(); });
  if (!all_whole) return table;
  table.columns.pop_back();
  for (auto& row : table.rows) row.pop_back();
  return table;
}

void show_series(Session& session, const Value& answer) {
  if (session.is_structured()) return session.out_value(answer);
  if (session.options().output == Output::kCsv) {
    std::vector<std::string_view> columns;
    for (const Field& field : model::EnergyPoint::type().fields) columns.push_back(field.name);
    return session.out(make_csv(columns, answer.get("points").items(), true));
  }
  session.out(render_summary(answer));
  const Table hosts = parts_table(answer, "host", kRowsMax);
  if (!hosts.rows.empty()) session.out("\n" + render_table(hosts, style_of(session)));
  session.out("\n" + render_table(points_table(answer), style_of(session)));
}

void show_report(Session& session, const Value& answer) {
  session.out(render_summary(answer));
  for (const std::string_view kind : {"host", "pool", "vapp", "vm"}) {
    const Table table = parts_table(answer, kind, kind == "vm" ? kVmRows : kRowsMax);
    if (!table.rows.empty()) session.out("\n" + render_table(table, style_of(session)));
  }
}

// A row each: the cluster itself, with what was saved; its hosts, pools and VMs.
std::string report_csv(const Value& answer, bool titles) {
  std::vector<std::string_view> columns = {"cluster"};
  for (const Field& field : model::EnergyPart::type().fields) columns.push_back(field.name);
  Value whole = Value::object({{"kind", "cluster"}, {"share", 1.0}});
  for (const std::string_view field : columns)
    if (const Value* value = answer.find(field)) whole.member(field) = *value;
  if (const auto& sources = answer.get("sources").items(); !sources.empty())
    for (const char* field : {"source", "method"}) whole.member(field) = sources[0].get(field);
  Value::List rows = {std::move(whole)};
  for (const Value& part : answer.get("parts").items()) rows.push_back(part);
  for (Value& row : rows) row.member("cluster") = answer.get("name");
  return make_csv(columns, rows, titles);
}

Result<int> run_series(Session& session, const Invocation& call) {
  Query query = TRY(span_query(call));
  Api& api = *TRY(session.api());
  const std::string& kind = call.command->name;
  const std::string name =
      call.args.empty() ? TRY(only_name(session, *model::find_resource_kind(kind))) : call.args[0];
  const Value answer = TRY(api.get(ref_path(kind + "s", name, "energy"), std::move(query)));
  show_series(session, answer);
  return exit_code::kOk;
}

// A page a cluster: hosts, pools, the VMs that took most, what was saved.
Result<int> run_report(Session& session, const Invocation& call) {
  Query query = TRY(span_query(call));
  if (!call.has("from")) query.emplace_back("from", fmt::format("-{}", 30 * 86400));
  query.emplace_back("parts", "pools,vapps,vms");
  Api& api = *TRY(session.api());
  std::vector<std::string> names = call.args;
  if (names.empty()) {
    const Value all = TRY(api.get("/clusters"));
    for (const Value& each : all.get("items").items())
      names.emplace_back(each.get("meta/name").text());
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Value answer = TRY(api.get(ref_path("clusters", names[i], "energy"), Query(query)));
    if (session.is_structured()) {
      session.out_value(answer);
    } else if (session.options().output == Output::kCsv) {
      session.out(report_csv(answer, i == 0));
    } else {
      if (i > 0) session.out("\n");
      show_report(session, answer);
    }
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
                          {.title = "BAND", .right_aligned = true},
                          {.title = "SOURCE"},
                          {.title = "HOURS", .right_aligned = true}}};
  for (const Value& each : answer.get("rows").items())
    table.rows.push_back({{name_of_part(each)},
                          {printable(each.get("cluster").text())},
                          {fmt::format("{:.1f}", each.get("cpu_mhz_hours").number())},
                          {fmt::format("{:.2f}", each.get("memory_gib_hours").number())},
                          {fmt::format("{:.4f}", each.get("kwh").number())},
                          {band(each.get("error").number())},
                          {source(each)},
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
                   .choices = {"vm", "pool", "vapp", "user"}});
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
