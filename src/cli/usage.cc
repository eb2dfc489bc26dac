// `chorok top`, `chorok vm stats`, `chorok host stats`: what is used, now and in the past.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/json.h"
#include "cli/format.h"
#include "cli/handlers.h"
#include "cli/quantity.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "model/usage.h"

namespace chorok::cli {
namespace {

constexpr std::size_t kVmRowsMax = 20'000;

// "45 %" of something, or the amount where there is nothing to compare with.
std::string share(double part, double whole) {
  return whole > 0 ? fmt::format("{:.0f} %", 100 * part / whole) : std::string("-");
}
std::string rate(double bytes) {
  return bytes < 1 ? "0" : human_bytes(bytes) + "/s";
}

// ---- top

struct SortKey {
  std::string_view name;
  std::string_view path;
  bool down;
};
constexpr SortKey kSortKeys[] = {{"cpu", "cpu_mhz", true},
                                 {"ready", "ready_mhz", true},
                                 {"memory", "consumed", true},
                                 {"active", "active", true},
                                 {"name", "name", false}};

void sort_rows(Value::List& rows, const SortKey& key) {
  std::ranges::sort(rows, [&](const Value& a, const Value& b) {
    const double left = a.get(key.path).number(), right = b.get(key.path).number();
    if (key.down && left != right) return left > right;
    return a.get("name").text() < b.get("name").text();
  });
}

Table host_table(const Value::List& hosts) {
  Table table;
  table.columns = {{.title = "HOST"},
                   {.title = "CPU", .right_aligned = true},
                   {.title = "OF", .right_aligned = true},
                   {.title = "LOAD", .right_aligned = true},
                   {.title = "READY", .right_aligned = true},
                   {.title = "MEMORY", .right_aligned = true},
                   {.title = "OF", .right_aligned = true},
                   {.title = "VMS", .right_aligned = true}};
  for (const Value& host : hosts) {
    const double cpu = host.get("cpu_mhz").number(), capacity = host.get("capacity_mhz").number();
    const double ready = host.get("ready_mhz").number();
    const double memory = host.get("memory").number();
    table.rows.push_back({{printable(host.get("name").text())},
                          {human_mhz(cpu)},
                          {human_mhz(capacity)},
                          {share(cpu, capacity), cpu > 0.9 * capacity ? Tone::kBad : Tone::kPlain},
                          {human_mhz(ready), ready > 0.05 * capacity ? Tone::kBad : Tone::kPlain},
                          {human_mib(memory - host.get("available").number())},
                          {human_mib(memory)},
                          {fmt::format("{}", host.get("vms").integer())}});
  }
  return table;
}

Table vm_table(const Value::List& vms) {
  Table table;
  table.columns = {{.title = "VM"},
                   {.title = "HOST"},
                   {.title = "CPU", .right_aligned = true},
                   {.title = "READY", .right_aligned = true},
                   {.title = "ACTIVE", .right_aligned = true},
                   {.title = "HELD", .right_aligned = true},
                   {.title = "MEMORY", .right_aligned = true},
                   {.title = "BALLOON", .right_aligned = true},
                   {.title = "READ", .right_aligned = true},
                   {.title = "WRITTEN", .right_aligned = true},
                   {.title = "RECEIVED", .right_aligned = true},
                   {.title = "SENT", .right_aligned = true},
                   {.title = "DIRTIED", .right_aligned = true}};
  for (const Value& vm : vms) {
    const double cpu = vm.get("cpu_mhz").number(), ready = vm.get("ready_mhz").number();
    table.rows.push_back(
        {{printable(vm.get("name").text())},
         {printable(vm.get("host_name").text())},
         {human_mhz(cpu)},
         {human_mhz(ready), ready > 0.1 * cpu + 10 ? Tone::kBad : Tone::kPlain},
         {human_mib(vm.get("active").number())},
         {human_mib(vm.get("consumed").number())},
         {human_mib(vm.get("memory").number())},
         {vm.get("balloon").number() < 1 ? "-" : human_mib(vm.get("balloon").number())},
         {rate(vm.get("disk_read").number())},
         {rate(vm.get("disk_written").number())},
         {rate(vm.get("net_received").number())},
         {rate(vm.get("net_sent").number())},
         // One VM of a host at a time is measured: of the others it is not known.
         {vm.get("dirty_known").boolean() ? human_mib(vm.get("dirty_mib_s").number()) + "/s"
                                          : "-"}});
  }
  return table;
}

struct Top {
  SortKey sort;
  std::size_t rows = kVmRowsMax;
};

std::string render_top(Session& session, Value answer, const Top& top, std::size_t height) {
  Value::List hosts = answer.get("hosts").items(), vms = answer.get("vms").items();
  sort_rows(hosts, kSortKeys[4]);
  sort_rows(vms, top.sort);
  const std::size_t all = vms.size();
  std::size_t rows = top.rows;
  // Two headings, two empty lines, what was left out.
  constexpr std::size_t kOther = 6;
  if (height > hosts.size() + kOther) rows = std::min(rows, height - hosts.size() - kOther);
  if (vms.size() > rows) vms.resize(rows);
  const bool fits = session.terminal().out_is_terminal();
  const TableStyle style{.width = fits ? session.terminal().width() : 0,
                         .colours = session.colours()};
  std::string out = render_table(host_table(hosts), style) + "\n";
  out += render_table(vm_table(vms), style);
  if (vms.size() < all) out += fmt::format("… and {} more\n", all - vms.size());
  return out;
}

bool ends(std::optional<char> key) {
  constexpr char kCtrlC = 3, kCtrlD = 4;
  return key && (*key == 'q' || *key == 'Q' || *key == kCtrlC || *key == kCtrlD);
}

// In raw mode a line feed does not return.
std::string for_raw(std::string_view text) {
  std::string out = "\x1b[H\x1b[2J";
  for (const char c : text) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

Result<int> live_top(Session& session, Api& api, const Top& top, Duration pause) {
  RawMode raw;
  std::optional<char> key;
  while (!ends(key)) {
    Value answer = TRY(api.get("/usage"));
    const std::size_t height = session.terminal().height();
    std::string text = render_top(session, std::move(answer), top, height > 1 ? height - 1 : 0);
    session.out(for_raw(text + "q: quit"));
    key = session.terminal().key(pause);
  }
  session.out("\r\n");
  return exit_code::kOk;
}

// ---- stats

Table stats_table(const Value& answer) {
  Table table;
  table.columns = {{.title = "TIME"},
                   {.title = "CPU", .right_aligned = true},
                   {.title = "PEAK", .right_aligned = true},
                   {.title = "READY", .right_aligned = true},
                   {.title = "MEMORY", .right_aligned = true},
                   {.title = "ACTIVE", .right_aligned = true},
                   {.title = "HELD", .right_aligned = true},
                   {.title = "DISK", .right_aligned = true},
                   {.title = "NETWORK", .right_aligned = true},
                   {.title = "MEASURED", .right_aligned = true}};
  const double step = answer.get("step").number();
  for (const Value& point : answer.get("points").items()) {
    std::string at(point.get("at").text());
    table.rows.push_back({{at.substr(0, 19) + "Z"},
                          {human_mhz(point.get("cpu_mhz").number())},
                          {human_mhz(point.get("cpu_peak_mhz").number())},
                          {human_mhz(point.get("ready_mhz").number())},
                          {human_mib(point.get("memory").number())},
                          {human_mib(point.get("active").number())},
                          {human_mib(point.get("consumed").number())},
                          {rate(point.get("disk").number())},
                          {rate(point.get("net").number())},
                          {share(std::min(point.get("measured").number(), step), step)}});
  }
  return table;
}

}  // namespace

Result<int> run_top(Session& session, const Invocation& call) {
  const std::string_view by = call.value("sort", "cpu");
  const auto* key = std::ranges::find(kSortKeys, by, &SortKey::name);  // the parser knows them
  const Top top{.sort = *key};
  Api& api = *TRY(session.api());
  Duration pause = std::chrono::seconds(5);
  if (call.has("every")) pause = TRY(parse_duration(call.value("every")));
  if (pause < std::chrono::seconds(1)) return fail(Code::kInvalid, "a second or more", "--every");
  const bool is_table = !session.is_structured() && session.options().output != Output::kCsv;
  if (is_table && session.terminal().out_is_terminal() && session.terminal().in_is_terminal())
    return live_top(session, api, top, pause);
  const Value answer = TRY(api.get("/usage"));
  if (session.is_structured()) {
    session.out_value(answer);
  } else if (session.options().output == Output::kCsv) {
    std::vector<std::string_view> columns;
    for (const Field& field : model::VmUsage::type().fields) columns.push_back(field.name);
    Value::List vms = answer.get("vms").items();
    sort_rows(vms, top.sort);
    session.out(make_csv(columns, vms, true));
  } else {
    session.out(render_top(session, answer, top, 0));
  }
  return exit_code::kOk;
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

Result<int> run_stats(Session& session, const Invocation& call) {
  Query query = TRY(span_query(call));
  Api& api = *TRY(session.api());
  const Value answer =
      TRY(api.get(ref_path(call.command->group + "s", call.args.at(0), "stats"), std::move(query)));
  if (session.is_structured()) {
    session.out_value(answer);
    return exit_code::kOk;
  }
  if (session.options().output == Output::kCsv) {
    std::vector<std::string_view> columns;
    for (const Field& field : model::UsagePoint::type().fields) columns.push_back(field.name);
    session.out(make_csv(columns, answer.get("points").items(), true));
    return exit_code::kOk;
  }
  if (answer.get("points").items().empty()) {
    session.note("nothing was measured in that time\n");
    return exit_code::kOk;
  }
  const bool fits = session.terminal().out_is_terminal();
  session.out(render_table(stats_table(answer), {.width = fits ? session.terminal().width() : 0,
                                                 .colours = session.colours()}));
  session.out(fmt::format(
      "\n{:.1f} MHz hours, {:.2f} GiB hours in {}\n", answer.get("cpu_mhz_hours").number(),
      answer.get("memory_gib_hours").number(), human_seconds(answer.get("measured").number())));
  return exit_code::kOk;
}

Result<int> run_dirty_rate(Session& session, const Invocation& call) {
  Query query;
  Duration window = std::chrono::seconds(1);
  if (call.has("window")) {
    window = TRY(parse_duration(call.value("window")));
    query.emplace_back("window", fmt::format("{:.0f}", seconds(window)));
  }
  Api& api = *TRY(session.api(window + std::chrono::seconds(30)));
  const Value answer =
      TRY(api.get(ref_path("vms", call.args.at(0), "dirty-rate"), std::move(query)));
  if (session.is_structured()) {
    session.out_value(answer);
    return exit_code::kOk;
  }
  if (session.options().output == Output::kCsv) {
    session.out(make_csv({"name", "host_name", "mib_s", "window"}, {answer}, true));
    return exit_code::kOk;
  }
  session.out(fmt::format(
      "{} on {} writes {}/s of its memory (seen for {})\n", printable(answer.get("name").text()),
      printable(answer.get("host_name").text()), human_mib(answer.get("mib_s").number()),
      human_seconds(answer.get("window").number())));
  return exit_code::kOk;
}

void add_usage(std::vector<CommandSpec>& all) {
  all.push_back(
      {.group = "vm",
       .name = "dirty-rate",
       .doc = "Measure how fast its guest writes to its memory, which a migration has to keep up "
              "with.",
       .operands = "NAME",
       .args_min = 1,
       .args_max = 1,
       .flags = {{.name = "window",
                  .value = "DURATION",
                  .doc = "To watch it for, 1s to 1m; 1s if not said."}},
       .completes = {"vm"},
       .example = "chorok vm dirty-rate web1 --window 5s",
       .handler = run_dirty_rate});
  for (const char* group : {"vm", "host"})
    all.push_back({.group = group,
                   .name = "stats",
                   .doc = "What it used: CPU, memory, disks, network.",
                   .operands = "NAME",
                   .args_min = 1,
                   .args_max = 1,
                   .flags = {{.name = "from",
                              .value = "WHEN",
                              .doc = "A time, or how long ago (2h); an hour if not said."},
                             {.name = "to", .value = "WHEN", .doc = "Now if not said."},
                             {.name = "step", .value = "DURATION", .doc = "A row each: 5m."}},
                   .completes = {group},
                   .example = fmt::format("chorok {} stats web1 --from 24h --step 1h", group),
                   .handler = run_stats});
  std::vector<std::string> keys;
  for (const SortKey& key : kSortKeys) keys.emplace_back(key.name);
  all.push_back(
      {.name = "top",
       .doc = "What hosts and VMs use now; live on a terminal, q ends it.",
       .flags = {{.name = "sort", .value = "BY", .doc = "cpu if not said.", .choices = keys},
                 {.name = "every",
                  .value = "DURATION",
                  .doc = "Between two looks; 5s if not said."}},
       .example = "chorok top --sort ready",
       .handler = run_top});
}

}  // namespace chorok::cli
