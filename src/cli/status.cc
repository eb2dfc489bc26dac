// `chorok status`: hosts, VMs, datastores, what is running and what went wrong, on one screen.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>
#include <tuple>

#include "cli/format.h"
#include "cli/handlers.h"
#include "cli/objects.h"
#include "cli/progress.h"
#include "cli/quantity.h"
#include "model/alarm.h"
#include "model/host.h"
#include "model/task.h"

namespace chorok::cli {
namespace {

struct Overview {
  Value version;
  Value::List hosts, vms, datastores, alarms, running, events;
};

Result<Value::List> rows(Api& api, std::string_view plural, std::string_view fields,
                         Query more = {}) {
  more.emplace_back("fields", fields);
  return TRY(api.list(plural, std::move(more))).get("items").items();
}

Result<Overview> collect(Session& session) {
  Api& api = *TRY(session.api());
  Overview all;
  all.version = TRY(api.get("/version"));
  all.hosts = TRY(rows(api, "hosts",
                       "meta/id,meta/name,link,power,admin,inventory/cpu/capacity,"
                       "inventory/memory,inventory/accelerator,datastores"));
  all.vms = TRY(rows(api, "vms", "meta/name,status/state,status/host,spec/vcpus,spec/memory"));
  all.datastores = TRY(rows(api, "datastores", "meta/id,meta/name,kind,shared"));
  all.alarms = TRY(rows(api, "alarms", "id,severity,state,kind,subject_name,text,raised_at",
                        {{"field", "state!=cleared"}}));
  all.running = TRY(rows(api, "tasks", "id,kind,target_name,state,percent,message,progress",
                         {{"field", "state=running"}}));
  all.events = TRY(rows(api, "events", "time,severity,kind,subject_name,message",
                        {{"sort", "-time"}, {"limit", "5"}}));
  return all;
}

// "3 on, 1 paused"
std::string count_by(const Value::List& items, std::string_view path, bool colours) {
  std::map<std::string, int, std::less<>> counts;
  for (const Value& item : items) ++counts[std::string(item.get(path).text("unknown"))];
  std::string words;
  for (const auto& [state, count] : counts) {
    if (!words.empty()) words += ", ";
    words += fmt::format("{} {}", count, coloured(printable(state), tone_of(state), colours));
  }
  return words.empty() ? "none" : words;
}

double sum(const Value::List& items, std::string_view path) {
  double total = 0;
  for (const Value& item : items) total += item.get(path).number();
  return total;
}

Value::List with_load(const Overview& all) {
  Value::List hosts = all.hosts;
  for (Value& host : hosts) {
    std::int64_t vms = 0, memory = 0;
    for (const Value& vm : all.vms) {
      if (vm.get("status/host").text() != id_of(host)) continue;
      std::string_view state = vm.get("status/state").text();
      bool runs = state == "on" || state == "paused" || state == "starting" || state == "stopping";
      vms += runs ? 1 : 0;
      memory += runs ? vm.get("spec/memory").integer() : 0;
    }
    host.member("vms") = vms;
    host.member("used") = human_mib(static_cast<double>(memory)) + " of " +
                          human_mib(host.get("inventory/memory").number());
  }
  return hosts;
}

std::string host_table(Session& session, const Overview& all, const TableStyle& style) {
  Table table = make_table(model::Host::type(),
                           {"meta/name", "link", "power", "admin", "inventory/cpu/capacity",
                            "inventory/accelerator", "vms", "used"},
                           with_load(all), session.terminal().now());
  table.columns[6] = {.title = "VMS", .right_aligned = true};
  table.columns[7] = {.title = "MEMORY"};
  return render_table(table, style);
}

// Free space of a datastore, as the hosts that reach it see it: of a shared one the largest, of
// others the sum.
std::string datastore_line(const Value& datastore, const Value::List& hosts) {
  double capacity = 0, free = 0;
  int reached = 0;
  bool shared = datastore.get("shared").boolean();
  for (const Value& host : hosts)
    for (const Value& reach : host.get("datastores").items()) {
      if (reach.get("datastore").text() != id_of(datastore)) continue;
      if (!reach.get("reachable").boolean()) continue;
      ++reached;
      double size = reach.get("capacity").number(), left = reach.get("free").number();
      capacity = shared ? std::max(capacity, size) : capacity + size;
      free = shared ? std::max(free, left) : free + left;
    }
  return fmt::format("  {} {} free of {}, {} of {} hosts reach it\n",
                     pad(printable(name_of(datastore)), 12), human_mib(free), human_mib(capacity),
                     reached, hosts.size());
}

// The gravest first, and not more than a screen has room for.
std::string alarm_lines(Session& session, const Overview& all, TableStyle style) {
  constexpr std::size_t kShown = 8;
  std::string out =
      fmt::format("alarms      {}\n", count_by(all.alarms, "severity", style.colours));
  if (all.alarms.empty()) return out;
  Value::List shown = all.alarms;
  const auto rank = [](const Value& alarm) {
    const std::string_view severity = alarm.get("severity").text();
    return severity == "critical" ? 0 : severity == "warning" ? 1 : 2;
  };
  std::ranges::sort(shown, {}, [&](const Value& alarm) {
    return std::tuple(alarm.get("state").text() == "acknowledged", rank(alarm),
                      alarm.get("id").text());
  });
  if (shown.size() > kShown) shown.resize(kShown);
  style.titles = false;
  out +=
      render_table(make_table(model::Alarm::type(), {"severity", "state", "subject_name", "text"},
                              shown, session.terminal().now()),
                   style);
  if (all.alarms.size() > kShown)
    out += fmt::format("  and {} more: chorok alarm ls\n", all.alarms.size() - kShown);
  return out;
}

Result<int> show_status(Session& session) {
  Overview all = TRY(collect(session));
  if (session.is_structured()) {
    session.out_value(Value::object({{"version", all.version},
                                     {"hosts", with_load(all)},
                                     {"vms", all.vms},
                                     {"datastores", all.datastores},
                                     {"alarms", all.alarms},
                                     {"running", all.running},
                                     {"events", all.events}}));
    return exit_code::kOk;
  }
  bool colours = session.colours();
  bool fits = session.terminal().out_is_terminal();
  TableStyle style{.width = fits ? session.terminal().width() : 0, .colours = colours, .indent = 2};
  std::string out =
      fmt::format("Chorok {} at {}{}\n\n", all.version.get("version").text(), session.url(),
                  all.version.get("simulated").boolean() ? " (simulated)" : "");
  out += fmt::format("hosts       {}: {}; {}, {}\n", all.hosts.size(),
                     count_by(all.hosts, "link", colours),
                     human_mhz(sum(all.hosts, "inventory/cpu/capacity")),
                     human_mib(sum(all.hosts, "inventory/memory")));
  if (!all.hosts.empty()) out += host_table(session, all, style);
  out += fmt::format("VMs         {}: {}; {} vCPUs, {}\n", all.vms.size(),
                     count_by(all.vms, "status/state", colours),
                     static_cast<long long>(sum(all.vms, "spec/vcpus")),
                     human_mib(sum(all.vms, "spec/memory")));
  out += fmt::format("datastores  {}\n", all.datastores.size());
  for (const Value& datastore : all.datastores) out += datastore_line(datastore, all.hosts);
  out += alarm_lines(session, all, style);
  out += fmt::format("tasks       {} running\n", all.running.size());
  for (const Value& task : all.running)
    out += "  " + progress_line(task, style.width > 2 ? style.width - 2 : 0, colours) + "\n";
  if (!all.events.empty()) {
    style.titles = false;
    out += "events\n" + render_table(make_table(model::Event::type(),
                                                {"time", "severity", "subject_name", "message"},
                                                all.events, session.terminal().now()),
                                     style);
  }
  bool repaints = session.options().watch && fits;
  session.out((repaints ? "\x1b[H\x1b[2J" : "") + out);
  return exit_code::kOk;
}

}  // namespace

Result<int> run_status(Session& session, const Invocation&) {
  int code = TRY(show_status(session));
  while (session.options().watch) {
    std::this_thread::sleep_for(std::chrono::seconds(2));
    code = TRY(show_status(session));
  }
  return code;
}

}  // namespace chorok::cli
