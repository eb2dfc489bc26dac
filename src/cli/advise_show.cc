#include "cli/advise_show.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "advise/html.h"
#include "base/text.h"
#include "cli/table.h"
#include "cli/text.h"
#include "sim/datacenter/html_page.h"

namespace chorok::cli {

namespace {

using advise::money_text;
using advise::span_text;
using sim::datacenter::grouped;

constexpr std::size_t kHostsShown = 20;
constexpr std::size_t kStaysShown = 20;
constexpr std::size_t kNarrowest = 60;  // columns; and what there is where nobody says
constexpr std::size_t kWidest = 100;    // longer lines are hard to read

// Words in lines of the terminal's width; every line but the first is indented.
std::string wrapped(Session& session, std::string_view text, std::size_t indent) {
  const std::size_t columns = session.terminal().width();
  const std::size_t width = columns == 0 ? kWidest : std::clamp(columns, kNarrowest, kWidest);
  std::string out;
  std::size_t at = indent;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const bool is_first = at == indent;
    if (!is_first && at + 1 + word.size() > width) {
      out += "\n" + std::string(indent, ' ');
      at = indent;
    } else if (!is_first) {
      out += ' ';
      ++at;
    }
    out += word;
    at += word.size();
  }
  return out + "\n";
}

// "1  Begin with …", one below the other.
void show_list(Session& session, std::string_view title, const std::vector<std::string>& lines,
               bool numbered) {
  session.out(fmt::format("\n{}\n", title));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string mark = numbered ? fmt::format("  {}  ", i + 1) : "  ";
    session.out(mark + wrapped(session, printable(lines[i]), mark.size()));
  }
}

// A table with a row a figure and a column a case.
template <class C>
class Figures {
 public:
  explicit Figures(const std::vector<C>& cases) : cases_(cases) {
    table_.columns.push_back({""});
    for (const C& one : cases) table_.columns.push_back({one.name, true});
  }
  template <class Text>
  void row(std::string name, Text text) {
    std::vector<Cell> cells = {{std::move(name)}};
    for (const C& one : cases_) cells.push_back({text(one)});
    table_.rows.push_back(std::move(cells));
  }
  void years(std::string_view currency, double pue) {
    row("saved a year, kWh", [](const C& c) { return grouped(c.year_kwh); });
    row(fmt::format("saved a year, {}", currency),
        [](const C& c) { return money_text(c.year_money); });
    row("saved a year, kg CO2", [](const C& c) { return grouped(c.year_co2_kg); });
    if (pue == 1) return;
    const std::string with = fmt::format("with PUE {:g}, ", pue);
    row(with + "kWh", [](const C& c) { return grouped(c.year_facility_kwh.value_or(0)); });
    row(fmt::format("{}{}", with, currency),
        [](const C& c) { return money_text(c.year_facility_money.value_or(0)); });
    row(with + "kg CO2", [](const C& c) { return grouped(c.year_facility_co2_kg.value_or(0)); });
  }
  void show(Session& session) {
    session.out(render_table(table_, {.colours = session.colours()}));
    session.out("\n");
    for (const C& one : cases_) session.out(fmt::format("{:<5} {}\n", one.name, one.how));
  }

 private:
  const std::vector<C>& cases_;
  Table table_;
};

void show_ground(Session& session, const std::vector<advise::ClassUsed>& classes,
                 std::string_view money, std::string_view co2,
                 const std::vector<std::string>& notes) {
  session.out("\n");
  for (const advise::ClassUsed& one : classes)
    session.out(fmt::format("hosts   {} of {}: {} cores of {} MHz, {} GiB\n", one.count, one.name,
                            one.cores, grouped(one.core_mhz), grouped(one.memory_mib / 1024)));
  session.out("money   " + wrapped(session, printable(money), 8));
  session.out("CO2     " + wrapped(session, printable(co2), 8));
  for (const std::string& note : notes)
    session.out("note    " + wrapped(session, printable(note), 8));
}

std::string money_ground(double per_kwh, std::string_view currency, std::string_view source) {
  return fmt::format("{:.6g} {} a kWh ({})", per_kwh, currency, source);
}

std::string co2_ground(double per_kwh, std::string_view source) {
  return fmt::format("{:.6g} kg a kWh ({})", per_kwh, source);
}

void show_hosts(Session& session, const advise::Case& one, bool is_mix,
                std::set<advise::Hold>& reasons) {
  session.out(fmt::format("\nWhy hosts were not off for longer ({})\n", one.name));
  Table table;
  table.columns = {{"HOST"}};
  if (is_mix) table.columns.push_back({"CLASS"});
  table.columns.push_back({"HOURS OFF", true});
  table.columns.push_back({"KEPT ON BY", false, true});
  std::size_t shown = 0;
  std::size_t always_off = 0;
  for (const advise::HostAdvice& host : one.hosts) {
    if (host.held.empty()) {
      ++always_off;
    } else if (shown < kHostsShown) {
      ++shown;
      std::vector<Cell> cells = {{host.name}};
      if (is_mix) cells.push_back({host.host_class});
      cells.push_back({grouped(host.off_hours, 1)});
      cells.push_back({advise::held_text(host)});
      table.rows.push_back(std::move(cells));
      for (std::size_t i = 0; i < std::min<std::size_t>(3, host.held.size()); ++i)
        reasons.insert(host.held[i].why);
    }
  }
  session.out(render_table(table, {.colours = session.colours(), .indent = 2}));
  const std::size_t more = one.hosts.size() - always_off - shown;
  if (more > 0) session.out(fmt::format("  {} more are in -o json\n", more));
  if (always_off > 0) session.out(fmt::format("  never needed: {} of them\n", always_off));
}

void show_cluster(Session& session, const advise::Advice& advice) {
  using advise::Case;
  session.out(fmt::format("\n{}: {} VMs over {}, every {}\n", printable(advice.from), advice.vms,
                          span_text(advice.days * 1440), span_text(advice.interval_minutes)));
  session.out(fmt::format("{} hosts, {}; with all of them on: {} kWh, {} {}\n\n", advice.hosts,
                          advice.hosts_found ? "the fewest that carry the VMs' sizes" : "as stated",
                          grouped(advice.always_on.energy_kwh, 1),
                          money_text(advice.always_on.money), advice.currency));
  Figures<Case> figures(advice.cases);
  figures.years(advice.currency, advice.pue);
  figures.row("saved, % of always on",
              [](const Case& c) { return grouped(100 * c.saved_share, 1); });
  figures.row("saved in the period, kWh", [](const Case& c) { return grouped(c.saved_kwh, 1); });
  figures.row("hours off a host", [](const Case& c) { return grouped(c.off_hours_per_host, 1); });
  figures.row("migrations a day", [](const Case& c) { return grouped(c.migrations_per_day, 1); });
  figures.row("boots", [](const Case& c) { return grouped(static_cast<double>(c.boots)); });
  figures.row("least spare CPU, %",
              [](const Case& c) { return grouped(100 * c.least_spare_share, 1); });
  figures.row(fmt::format("worst {}: CPU not given, %", span_text(advice.interval_minutes)),
              [](const Case& c) { return grouped(100 * c.worst_shortfall_share, 2); });
  figures.row("CPU not given over all, %",
              [](const Case& c) { return grouped(100 * c.unmet_share, 3); });
  figures.show(session);
  std::set<advise::Hold> reasons;
  for (const Case& one : advice.cases) show_hosts(session, one, advice.classes.size() > 1, reasons);
  for (const advise::Hold reason : reasons)
    session.out(fmt::format("  {:<9} {}\n", advise::hold_name(reason), advise::hold_text(reason)));
  show_ground(session, advice.classes,
              money_ground(advice.tariff_per_kwh, advice.currency, advice.tariff_source),
              co2_ground(advice.co2_kg_per_kwh, advice.co2_source), advice.notes);
}

void show_figures(Session& session, const std::vector<advise::P2vCase>& cases,
                  std::string_view currency, double pue) {
  using advise::P2vCase;
  Figures<P2vCase> figures(cases);
  figures.row("hosts", [](const P2vCase& c) { return grouped(c.hosts); });
  figures.row("of them to spare", [](const P2vCase& c) { return grouped(c.spare); });
  figures.years(currency, pue);
  figures.row("watts now", [](const P2vCase& c) { return grouped(c.watts_now); });
  figures.row("watts then", [](const P2vCase& c) { return grouped(c.watts_then); });
  figures.row("rack units now", [](const P2vCase& c) { return grouped(c.rack_units_now); });
  figures.row("rack units then", [](const P2vCase& c) { return grouped(c.rack_units_then); });
  figures.row("CPU in use, %", [](const P2vCase& c) { return grouped(100 * c.cpu_share, 1); });
  figures.row("memory in use, %",
              [](const P2vCase& c) { return grouped(100 * c.memory_share, 1); });
  figures.show(session);
}

void show_plan(Session& session, const advise::P2vPlan& plan) {
  session.out(fmt::format("\n{}: {}, {} ({})\n\n", printable(plan.from),
                          counted(plan.machines, "machine"), counted(plan.loads, "load"),
                          plan.format));
  show_figures(session, plan.cases, plan.currency, plan.pue);
  for (const advise::P2vCase& one : plan.cases) {
    for (std::size_t i = 0; i < std::min(one.stays.size(), kStaysShown); ++i)
      session.out(fmt::format("{}: {} stays: {}\n", one.name, printable(one.stays[i].name),
                              printable(one.stays[i].why)));
    if (one.stays.size() > kStaysShown)
      session.out(fmt::format("{}: {} more stay; -o json has them\n", one.name,
                              one.stays.size() - kStaysShown));
  }
  show_ground(session,
              {{.name = plan.host_class,
                .count = plan.cases[1].hosts,
                .cores = plan.host_cores,
                .core_mhz = plan.host_core_mhz,
                .memory_mib = plan.host_memory_mib}},
              money_ground(plan.tariff_per_kwh, plan.currency, plan.tariff_source),
              co2_ground(plan.co2_kg_per_kwh, plan.co2_source), plan.notes);
}

}  // namespace

void show_advice(Session& session, const advise::AdviceReport& report) {
  session.out(wrapped(session, printable(report.summary), 0));
  show_list(session, "Risk", report.risk, false);
  show_list(session, "Next", report.next, true);
  if (report.clusters.size() > 1) {
    session.out("\nAll clusters, each by itself: VMs do not move from one to another\n\n");
    Figures<advise::YearTotal> figures(report.cases);
    figures.years(report.currency, report.clusters[0].pue);
    figures.row("saved, % of always on",
                [](const advise::YearTotal& c) { return grouped(100 * c.saved_share, 1); });
    figures.show(session);
  }
  for (const advise::Advice& cluster : report.clusters) show_cluster(session, cluster);
}

void show_advice(Session& session, const advise::P2vReport& report) {
  session.out(wrapped(session, printable(report.summary), 0));
  show_list(session, "Next", report.next, true);
  if (report.plans.size() > 1) {
    session.out("\nAll lists\n\n");
    show_figures(session, report.cases, report.currency, report.plans[0].pue);
  }
  for (const advise::P2vPlan& plan : report.plans) show_plan(session, plan);
}

}  // namespace chorok::cli
