#include "advise/html.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "sim/datacenter/html_chart.h"
#include "sim/datacenter/html_page.h"

namespace chorok::advise {

namespace dc = sim::datacenter;
using dc::grouped;
using dc::html_escaped;

namespace {

// A table with a row a figure and a column a case.
class Figures {
 public:
  template <class Cases>
  explicit Figures(const Cases& cases) {
    out_ = "<div class=\"scroll\"><table><thead><tr><th></th>";
    for (const auto& one : cases)
      out_ += fmt::format("<th class=\"n\">{}</th>", html_escaped(one.name));
    out_ += "</tr></thead>\n";
  }
  template <class Cases, class Text>
  void row(std::string_view name, const Cases& cases, Text text) {
    out_ += fmt::format("<tr><td>{}</td>", html_escaped(name));
    for (const auto& one : cases)
      out_ += fmt::format("<td class=\"n\">{}</td>", html_escaped(text(one)));
    out_ += "</tr>\n";
  }
  std::string end() { return out_ + "</table></div>\n"; }

 private:
  std::string out_;
};

std::string list(const std::vector<std::string>& lines, std::string_view tag) {
  std::string out = fmt::format("<{}>\n", tag);
  for (const std::string& line : lines) out += fmt::format("<li>{}</li>\n", html_escaped(line));
  return out + fmt::format("</{}>\n", tag);
}

std::string section(std::string_view title, std::string_view body) {
  return fmt::format("<section><h2>{}</h2>{}</section>\n", html_escaped(title), body);
}

template <class Cases>
std::string how_of(const Cases& cases) {
  std::vector<std::string> lines;
  for (const auto& one : cases) lines.push_back(fmt::format("{}: {}", one.name, one.how));
  return list(lines, "ul");
}

template <class C>
std::string year_cards(const C& mid, std::string_view currency) {
  return dc::html_card(grouped(mid.year_kwh), "kWh", "saved a year (mid)") +
         dc::html_card(money_text(mid.year_money), currency, "saved a year") +
         dc::html_card(grouped(mid.year_co2_kg), "kg", "less CO2 a year");
}

// Facility figures stand apart from those of IT, and only where a PUE was given.
template <class C>
void facility_rows(Figures& figures, const std::vector<C>& cases, std::string_view currency,
                   double pue) {
  if (pue == 1) return;
  const std::string with = fmt::format("With PUE {:g}: a year, ", pue);
  figures.row(with + "kWh", cases,
              [](const C& c) { return grouped(c.year_facility_kwh.value_or(0)); });
  figures.row(fmt::format("{}{}", with, currency), cases,
              [](const C& c) { return money_text(c.year_facility_money.value_or(0)); });
  figures.row(with + "kg CO2", cases,
              [](const C& c) { return grouped(c.year_facility_co2_kg.value_or(0)); });
}

std::string prices_of(double tariff, std::string_view currency, std::string_view tariff_source,
                      double co2, std::string_view co2_source) {
  return fmt::format("<p>Money: {:.6g} {} a kWh ({}).</p><p>CO2: {:.6g} kg a kWh ({}).</p>", tariff,
                     html_escaped(currency), html_escaped(tariff_source), co2,
                     html_escaped(co2_source));
}

std::string hosts_text(const std::vector<ClassUsed>& classes) {
  std::string out;
  for (const ClassUsed& one : classes)
    out += fmt::format("<p>Hosts: {} of {}, {} cores of {} MHz, {} GiB; watts from {}.</p>",
                       one.count, html_escaped(one.name), one.cores, grouped(one.core_mhz),
                       grouped(one.memory_mib / 1024), html_escaped(one.source));
  return out;
}

// ---- A cluster ----

std::string table_of(const Advice& advice) {
  Figures figures(advice.cases);
  const auto& cases = advice.cases;
  figures.row("A year like this, kWh saved", cases,
              [](const Case& c) { return grouped(c.year_kwh); });
  figures.row(fmt::format("A year like this, {}", advice.currency), cases,
              [](const Case& c) { return money_text(c.year_money); });
  figures.row("A year like this, kg CO2", cases,
              [](const Case& c) { return grouped(c.year_co2_kg); });
  facility_rows(figures, cases, advice.currency, advice.pue);
  figures.row("Saved, % of the hosts always on", cases,
              [](const Case& c) { return grouped(100 * c.saved_share, 1); });
  figures.row("Saved in the period, kWh", cases,
              [](const Case& c) { return grouped(c.saved_kwh, 1); });
  figures.row(fmt::format("Saved in the period, {}", advice.currency), cases,
              [](const Case& c) { return money_text(c.saved_money); });
  figures.row("Hours off a host", cases,
              [](const Case& c) { return grouped(c.off_hours_per_host, 1); });
  figures.row("Migrations a day", cases,
              [](const Case& c) { return grouped(c.migrations_per_day, 1); });
  figures.row("Boots", cases, [](const Case& c) { return grouped(static_cast<double>(c.boots)); });
  figures.row("Least spare CPU, %", cases,
              [](const Case& c) { return grouped(100 * c.least_spare_share, 1); });
  figures.row(fmt::format("Worst {}: CPU not given, %", span_text(advice.interval_minutes)), cases,
              [](const Case& c) { return grouped(100 * c.worst_shortfall_share, 2); });
  figures.row("CPU not given over all, %", cases,
              [](const Case& c) { return grouped(100 * c.unmet_share, 3); });
  return figures.end() + how_of(cases);
}

// How many hosts were on, a chart a case.
std::string charts_of(const Advice& advice) {
  std::string out;
  for (const Case& one : advice.cases) {
    if (one.on.empty()) continue;
    dc::Chart chart{.title = fmt::format("Hosts on, {}", one.name),
                    .about = fmt::format("Of {}; {}.", advice.hosts, one.how),
                    .unit = "hosts",
                    .is_count = true,
                    .is_low = true,
                    .top = static_cast<double>(advice.hosts),
                    .end_s = std::max(advice.days * 86400, 1.0)};
    dc::ChartLine line{.name = one.name, .is_area = true, .is_step = true};
    for (const OnHosts& at : one.on) {
      chart.time_s.push_back(at.hour * 3600);
      line.values.push_back(at.hosts);
    }
    chart.lines.push_back(std::move(line));
    out += dc::html_chart(chart);
  }
  return out;
}

std::string hosts_of(const Case& one, bool is_mix) {
  std::string out =
      "<table><thead><tr><th>Host</th><th class=\"n\">Hours off</th><th>What kept it on</th></tr>"
      "</thead>\n";
  for (std::size_t h = 0; h < std::min(one.hosts.size(), kHtmlHosts); ++h) {
    const HostAdvice& host = one.hosts[h];
    out += fmt::format(
        "<tr><td>{}{}</td><td class=\"n\">{:.1f}</td><td>{}</td></tr>\n", html_escaped(host.name),
        is_mix ? fmt::format(" ({})", html_escaped(host.host_class)) : "", host.off_hours,
        host.held.empty() ? "nothing: it was never needed"
                          : html_escaped(held_text(host, kHtmlHosts)));
  }
  out += "</table>\n";
  if (one.hosts.size() > kHtmlHosts)
    out += fmt::format("<p>{} more hosts are in -o json.</p>\n", one.hosts.size() - kHtmlHosts);
  return section(fmt::format("Why hosts were not off for longer, {}", one.name), out);
}

std::string cluster_of(const Advice& advice) {
  std::string out = section(
      fmt::format("{}: {} VMs over {}", advice.from, advice.vms, span_text(advice.days * 1440)),
      fmt::format("<p>Recorded every {}, on {} hosts, {}. With all of them on: {} kWh, {} "
                  "{}.</p>",
                  span_text(advice.interval_minutes), advice.hosts,
                  advice.hosts_found ? "the fewest that carry what the VMs are configured for"
                                     : "as stated",
                  grouped(advice.always_on.energy_kwh, 1), money_text(advice.always_on.money),
                  html_escaped(advice.currency)) +
          table_of(advice));
  out += charts_of(advice);
  for (const Case& one : advice.cases) out += hosts_of(one, advice.classes.size() > 1);
  out += section("Where these figures are from",
                 hosts_text(advice.classes) +
                     prices_of(advice.tariff_per_kwh, advice.currency, advice.tariff_source,
                               advice.co2_kg_per_kwh, advice.co2_source) +
                     list(advice.notes, "ul"));
  return out;
}

std::string total_table(const AdviceReport& report) {
  Figures figures(report.cases);
  const auto& cases = report.cases;
  figures.row("Saved a year, kWh", cases, [](const YearTotal& c) { return grouped(c.year_kwh); });
  figures.row(fmt::format("Saved a year, {}", report.currency), cases,
              [](const YearTotal& c) { return money_text(c.year_money); });
  figures.row("Saved a year, kg CO2", cases,
              [](const YearTotal& c) { return grouped(c.year_co2_kg); });
  facility_rows(figures, cases, report.currency, report.clusters[0].pue);
  figures.row("Saved, % of the hosts always on", cases,
              [](const YearTotal& c) { return grouped(100 * c.saved_share, 1); });
  return figures.end();
}

// ---- A list of machines ----

std::string table_of(const std::vector<P2vCase>& cases, std::string_view currency, double pue) {
  Figures figures(cases);
  figures.row("Hosts", cases, [](const P2vCase& c) { return grouped(c.hosts); });
  figures.row("Of them to spare", cases, [](const P2vCase& c) { return grouped(c.spare); });
  figures.row("Saved a year, kWh", cases, [](const P2vCase& c) { return grouped(c.year_kwh); });
  figures.row(fmt::format("Saved a year, {}", currency), cases,
              [](const P2vCase& c) { return money_text(c.year_money); });
  figures.row("Saved a year, kg CO2", cases,
              [](const P2vCase& c) { return grouped(c.year_co2_kg); });
  facility_rows(figures, cases, currency, pue);
  figures.row("Watts now", cases, [](const P2vCase& c) { return grouped(c.watts_now); });
  figures.row("Watts then", cases, [](const P2vCase& c) { return grouped(c.watts_then); });
  figures.row("Rack units now", cases, [](const P2vCase& c) { return grouped(c.rack_units_now); });
  figures.row("Rack units then", cases,
              [](const P2vCase& c) { return grouped(c.rack_units_then); });
  figures.row("CPU in use, %", cases,
              [](const P2vCase& c) { return grouped(100 * c.cpu_share, 1); });
  figures.row("Memory in use, %", cases,
              [](const P2vCase& c) { return grouped(100 * c.memory_share, 1); });
  figures.row("Machines that stay", cases,
              [](const P2vCase& c) { return grouped(static_cast<double>(c.stays.size())); });
  return figures.end();
}

std::string plan_section(const P2vPlan& plan) {
  std::vector<std::string> stays;
  for (const P2vCase& one : plan.cases)
    for (std::size_t i = 0; i < std::min(one.stays.size(), kHtmlHosts); ++i)
      stays.push_back(
          fmt::format("{}: {} stays: {}", one.name, one.stays[i].name, one.stays[i].why));
  const std::string hosts = hosts_text({{.name = plan.host_class,
                                         .source = plan.host_source,
                                         .count = plan.cases[1].hosts,
                                         .cores = plan.host_cores,
                                         .core_mhz = plan.host_core_mhz,
                                         .memory_mib = plan.host_memory_mib}});
  return section(fmt::format("{}: {}, {}", plan.from, counted(plan.machines, "machine"),
                             counted(plan.loads, "load")),
                 fmt::format("<p>Read as {}.</p>", html_escaped(plan.format)) +
                     table_of(plan.cases, plan.currency, plan.pue) + how_of(plan.cases) +
                     (stays.empty() ? "" : list(stays, "ul"))) +
         section("Where these figures are from",
                 hosts +
                     prices_of(plan.tariff_per_kwh, plan.currency, plan.tariff_source,
                               plan.co2_kg_per_kwh, plan.co2_source) +
                     list(plan.notes, "ul"));
}

}  // namespace

std::string_view hold_name(Hold hold) {
  for (const EnumValue& value : enum_type(&hold).values)
    if (value.value == static_cast<std::int64_t>(hold)) return value.name;
  return "unknown";
}

std::string_view hold_text(Hold hold) {
  for (const EnumValue& value : enum_type(&hold).values)
    if (value.value == static_cast<std::int64_t>(hold)) return value.doc;
  return "unknown";
}

std::string held_text(const HostAdvice& host, std::size_t most) {
  std::string out;
  for (std::size_t i = 0; i < std::min(most, host.held.size()); ++i)
    out += fmt::format("{}{} {:.1f} h", out.empty() ? "" : ", ", hold_name(host.held[i].why),
                       host.held[i].hours);
  return out;
}

std::string html_of(const AdviceReport& report) {
  const YearTotal& mid = report.cases.at(1);
  std::string body = fmt::format(
      "<h1>What power management would save</h1>\n<p>{}</p>\n<div class=\"cards\">{}{}</div>\n",
      html_escaped(report.summary), year_cards(mid, report.currency),
      dc::html_card(grouped(100 * mid.saved_share, 1), "%", "of what the hosts draw"));
  body += section("What to do next", list(report.next, "ol"));
  body += section("What it costs", list(report.risk, "ul"));
  if (report.clusters.size() > 1)
    body += section("All clusters",
                    "<p>Each cluster by itself: VMs do not move from one to another.</p>" +
                        total_table(report));
  for (const Advice& cluster : report.clusters) body += cluster_of(cluster);
  std::vector<std::string> words;
  for (const EnumValue& value : enum_type(static_cast<const Hold*>(nullptr)).values)
    words.push_back(fmt::format("{}: {}", value.name, value.doc));
  body += section("What kept hosts on, in words", list(words, "ul"));
  return dc::html_page("Chorok: advice", body);
}

std::string html_of(const P2vReport& report) {
  const P2vCase& mid = report.cases.at(1);
  std::string body = fmt::format(
      "<h1>How many hosts would carry these machines</h1>\n<p>{}</p>\n<div "
      "class=\"cards\">{}{}</div>\n",
      html_escaped(report.summary), dc::html_card(grouped(mid.hosts), "hosts", "would do (mid)"),
      year_cards(mid, report.currency));
  body += section("What to do next", list(report.next, "ol"));
  if (report.plans.size() > 1)
    body += section("All lists", table_of(report.cases, report.currency, report.plans[0].pue));
  for (const P2vPlan& plan : report.plans) body += plan_section(plan);
  return dc::html_page("Chorok: consolidation", body);
}

}  // namespace chorok::advise
