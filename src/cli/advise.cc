// chorok advise: what power management would save, from recorded samples or a list of servers. No
// manager is asked.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <memory>

#include "advise/html.h"
#include "advise/p2v.h"
#include "advise/replay.h"
#include "base/json.h"
#include "cli/handlers.h"
#include "cli/session.h"
#include "cli/table.h"
#include "sim/datacenter/trace.h"

namespace chorok::cli {

namespace {

using advise::grouped;

constexpr std::size_t kHostsShown = 20;
constexpr std::size_t kStaysShown = 20;

Result<double> amount(const Invocation& call, std::string_view flag, double least, double most,
                      double otherwise) {
  if (!call.has(flag)) return otherwise;
  const std::string_view text = call.value(flag);
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= least) ||
      !(value <= most))
    return usage_fail(fmt::format("is a number from {:g} to {:g}", least, most),
                      fmt::format("--{}", flag));
  return value;
}

struct Common {
  advise::HostClass hosts;
  advise::Tariff tariff;
  advise::Carbon carbon;
};

Result<Common> read_common(const Invocation& call) {
  Common common;
  const double mhz = TRY(amount(call, "host-mhz", 100, 20'000, 0));
  const double memory = TRY(amount(call, "host-memory", 256, 256.0 * 1024 * 1024, 0));
  common.hosts = TRY(advise::parse_hosts(call.value("hosts", "spec-median-2023"), mhz, memory));
  if (call.has("tariff")) common.tariff = TRY(advise::parse_tariff(call.value("tariff")));
  if (call.has("co2")) common.carbon = TRY(advise::parse_carbon(call.value("co2")));
  return common;
}

Result<void> write_report(Session& session, std::string_view path, const std::string& html) {
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::string name(path);
  std::unique_ptr<std::FILE, CloseFile> file(std::fopen(name.c_str(), "w"));
  if (!file || std::fwrite(html.data(), 1, html.size(), file.get()) != html.size() ||
      std::fflush(file.get()) != 0)
    return fail(Code::kInvalid,
                fmt::format("cannot write {}; give a file in a folder that exists", name));
  session.note(fmt::format("the report is in {}", name));
  return {};
}

// A table with a row a figure and a column a case.
template <class Cases>
class Figures {
 public:
  explicit Figures(const Cases& cases) : cases_(cases) {
    table_.columns.push_back({""});
    for (const auto& one : cases) table_.columns.push_back({one.name, true});
  }
  template <class Text>
  void row(std::string name, Text text) {
    std::vector<Cell> cells = {{std::move(name)}};
    for (const auto& one : cases_) cells.push_back({text(one)});
    table_.rows.push_back(std::move(cells));
  }
  void show(Session& session) {
    session.out(render_table(table_, {.colours = session.colours()}));
    session.out("\n");
    for (const auto& one : cases_) session.out(fmt::format("{:<5} {}\n", one.name, one.how));
  }

 private:
  const Cases& cases_;
  Table table_;
};

template <class A>
void show_ground(Session& session, const A& advice) {
  session.out(fmt::format("\nhosts   {}: {} cores of {} MHz, {} GiB\n", advice.host_class,
                          advice.host_cores, grouped(advice.host_core_mhz),
                          grouped(advice.host_memory_mib / 1024)));
  session.out(fmt::format("tariff  {:g} {} a kWh ({})\n", advice.tariff_per_kwh, advice.currency,
                          advice.tariff_source));
  session.out(
      fmt::format("CO2     {:g} kg a kWh ({})\n", advice.co2_kg_per_kwh, advice.co2_source));
  for (const std::string& note : advice.notes)
    session.out(fmt::format("note    {}\n", printable(note)));
}

void show_hosts(Session& session, const advise::Case& one) {
  session.out(fmt::format("\nWhy hosts were not off for longer ({})\n", one.name));
  Table table;
  table.columns = {{"HOST"}, {"HOURS OFF", true}, {"KEPT ON BY", false, true}};
  std::size_t shown = 0;
  std::size_t always_off = 0;
  for (const advise::HostAdvice& host : one.hosts) {
    if (host.held.empty()) {
      ++always_off;
    } else if (shown < kHostsShown) {
      ++shown;
      table.rows.push_back({{host.name}, {grouped(host.off_hours, 1)}, {advise::held_text(host)}});
    }
  }
  session.out(render_table(table, {.colours = session.colours(), .indent = 2}));
  const std::size_t more = one.hosts.size() - always_off - shown;
  if (more > 0) session.out(fmt::format("  {} more are in -o json\n", more));
  if (always_off > 0) session.out(fmt::format("  never on: {} of them\n", always_off));
}

void show(Session& session, const advise::Advice& advice) {
  using advise::Case;
  session.out(fmt::format(
      "{} VMs over {:.1f} days, every {:g} min ({}); {} hosts, {}\nwith all of them on: {} kWh\n\n",
      advice.vms, advice.days, advice.interval_minutes, printable(advice.from), advice.hosts,
      advice.hosts_found ? "the fewest that carry the VMs' sizes" : "as stated",
      grouped(advice.always_on.energy_kwh, 1)));
  Figures figures(advice.cases);
  figures.row("saved, kWh", [](const Case& c) { return grouped(c.saved_kwh, 1); });
  figures.row("saved, %", [](const Case& c) { return grouped(100 * c.saved_share, 1); });
  figures.row("saved, " + advice.currency, [](const Case& c) { return grouped(c.saved_money); });
  figures.row("saved, kg CO2", [](const Case& c) { return grouped(c.saved_co2_kg, 1); });
  figures.row("a year like this, kWh", [](const Case& c) { return grouped(c.year_kwh); });
  figures.row("a year like this, " + advice.currency,
              [](const Case& c) { return grouped(c.year_money); });
  figures.row("hours off a host", [](const Case& c) { return grouped(c.off_hours_per_host, 1); });
  figures.row("migrations a day", [](const Case& c) { return grouped(c.migrations_per_day, 1); });
  figures.row("boots", [](const Case& c) { return grouped(static_cast<double>(c.boots)); });
  figures.row("least spare CPU, %",
              [](const Case& c) { return grouped(100 * c.least_spare_share, 1); });
  figures.row(fmt::format("worst {:g} min: CPU not given, %", advice.interval_minutes),
              [](const Case& c) { return grouped(100 * c.worst_shortfall_share, 2); });
  figures.row("CPU not given over all, %",
              [](const Case& c) { return grouped(100 * c.unmet_share, 3); });
  figures.show(session);
  for (const Case& one : advice.cases) show_hosts(session, one);
  show_ground(session, advice);
}

void show(Session& session, const advise::P2vPlan& plan) {
  using advise::P2vCase;
  session.out(fmt::format("{} machines, {} loads ({}, {})\n\n", plan.machines, plan.loads,
                          printable(plan.from), plan.format));
  Figures figures(plan.cases);
  figures.row("hosts", [](const P2vCase& c) { return grouped(c.hosts); });
  figures.row("of them to spare", [](const P2vCase& c) { return grouped(c.spare); });
  figures.row("watts now", [](const P2vCase& c) { return grouped(c.watts_now); });
  figures.row("watts then", [](const P2vCase& c) { return grouped(c.watts_then); });
  figures.row("saved a year, kWh", [](const P2vCase& c) { return grouped(c.year_kwh); });
  figures.row("saved a year, " + plan.currency,
              [](const P2vCase& c) { return grouped(c.year_money); });
  figures.row("saved a year, kg CO2", [](const P2vCase& c) { return grouped(c.year_co2_kg); });
  figures.row("rack units now", [](const P2vCase& c) { return grouped(c.rack_units_now); });
  figures.row("rack units then", [](const P2vCase& c) { return grouped(c.rack_units_then); });
  figures.row("CPU in use, %", [](const P2vCase& c) { return grouped(100 * c.cpu_share, 1); });
  figures.row("memory in use, %",
              [](const P2vCase& c) { return grouped(100 * c.memory_share, 1); });
  figures.show(session);
  for (const P2vCase& one : plan.cases) {
    for (std::size_t i = 0; i < std::min(one.stays.size(), kStaysShown); ++i)
      session.out(fmt::format("{}: {} stays: {}\n", one.name, printable(one.stays[i].name),
                              printable(one.stays[i].why)));
    if (one.stays.size() > kStaysShown)
      session.out(fmt::format("{}: {} more stay; -o json has them\n", one.name,
                              one.stays.size() - kStaysShown));
  }
  show_ground(session, plan);
}

template <class A>
Result<int> tell(Session& session, const Invocation& call, const A& advice) {
  if (call.has("report")) TRY(write_report(session, call.value("report"), advise::html_of(advice)));
  if (session.is_structured())
    session.out_value(TRY(parse_json(json::encode(advice))));
  else
    show(session, advice);
  return exit_code::kOk;
}

Result<int> run_advise(Session& session, const Invocation& call) {
  if (call.has("from") == call.has("p2v"))
    return usage_fail("say what to advise on: --from SAMPLES or --p2v SERVERS.csv", "--from");
  Common common = TRY(read_common(call));
  if (call.has("p2v")) {
    const double units = TRY(amount(call, "host-rack-units", 0.1, 100, 2));
    const double vcpu = TRY(amount(call, "vcpu-percent", 0.1, 100, 20));
    const advise::Fleet fleet = TRY(advise::read_fleet(call.value("p2v"), vcpu));
    return tell(session, call,
                advise::plan_p2v(fleet, common.hosts, units, common.tariff, common.carbon));
  }
  advise::AdviceRequest request{.hosts = std::move(common.hosts),
                                .tariff = std::move(common.tariff),
                                .carbon = std::move(common.carbon)};
  request.vm_mhz = TRY(amount(call, "vm-mhz", 1, 1e7, 0));
  request.vm_memory_mib = TRY(amount(call, "vm-memory", 1, 256.0 * 1024 * 1024, 0));
  request.traces = TRY(sim::datacenter::read_traces(call.value("from")));
  return tell(session, call, TRY(advise::advise(std::move(request))));
}

}  // namespace

CommandSpec advise_command() {
  return {.name = "advise",
          .doc = "What power management would save, from recorded samples or a list of servers.",
          .flags =
              {{.name = "from",
                .value = "PATH",
                .doc = "Samples: CSV, a Bitbrains folder, a PlanetLab folder or archive.",
                .completes = "file"},
               {.name = "p2v",
                .value = "FILE",
                .doc = "Servers to consolidate: CSV, or RVTools' vHost or vInfo as CSV.",
                .completes = "file"},
               {.name = "hosts",
                .value = "CLASS[:COUNT]",
                .doc = "Which hosts; spec-median-2023, the fewest that carry all, if not said."},
               {.name = "host-mhz", .value = "MHZ", .doc = "A core's clock; 3000 if not known."},
               {.name = "host-memory", .value = "MIB", .doc = "A host's memory; 8 GiB a core."},
               {.name = "tariff",
                .value = "AMOUNT",
                .doc = "Money a kWh, as in 0.21EUR; 178KRW (industrial, 2024-10) if not said."},
               {.name = "co2",
                .value = "KG",
                .doc = "CO2 a kWh; 0.4173 (Korea 2023, published 2025-12) if not said."},
               {.name = "vm-mhz", .value = "MHZ", .doc = "Size of VMs whose samples do not say."},
               {.name = "vm-memory", .value = "MIB", .doc = "Memory of such VMs."},
               {.name = "vcpu-percent",
                .value = "PERCENT",
                .doc = "How busy a vCPU of vInfo is taken to be; 20 if not said."},
               {.name = "host-rack-units", .value = "U", .doc = "Height of a host; 2 if not said."},
               {.name = "report",
                .value = "FILE",
                .doc = "Also write it as one HTML file.",
                .completes = "file"}},
          .example =
              "chorok advise --from samples.csv --hosts spec-median-2023:12 --report advice.html",
          .handler = run_advise};
}

}  // namespace chorok::cli
