#include "advise/html.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::advise {

namespace {

// Names come from files: nothing in them is markup.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

constexpr std::string_view kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#1c2b22;background:#fff}h1{font-size:1.5rem;color:#12653a}h2{font-size:1.1rem;"
    "margin-top:2rem}table{border-collapse:collapse;width:100%}th,td{padding:.3rem .6rem;"
    "border-bottom:1px solid #dfe8e2;text-align:right;vertical-align:top}th:first-child,"
    "td:first-child,td.t,th.t{text-align:left}svg{width:100%;height:auto}p.s{color:#56655c}"
    "@media(prefers-color-scheme:dark){body{background:#141a16;color:#dde7e0}h1{color:#6fcf97}"
    "th,td{border-color:#2c3a31}p.s{color:#93a49a}}";

std::string page(std::string_view title, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">\n<title>{}</title>\n<style>{}</style></head>"
      "<body>\n{}</body></html>\n",
      escaped(title), kStyle, body);
}

// A table with a row a figure and a column a case.
class Figures {
 public:
  template <class Cases>
  explicit Figures(const Cases& cases) {
    out_ = "<table><tr><th></th>";
    for (const auto& one : cases) out_ += fmt::format("<th>{}</th>", escaped(one.name));
    out_ += "</tr>\n";
  }
  template <class Cases, class Text>
  void row(std::string_view name, const Cases& cases, Text text) {
    out_ += fmt::format("<tr><td>{}</td>", escaped(name));
    for (const auto& one : cases) out_ += fmt::format("<td>{}</td>", escaped(text(one)));
    out_ += "</tr>\n";
  }
  std::string end() { return out_ + "</table>\n"; }

 private:
  std::string out_;
};

std::string notes_of(const std::vector<std::string>& notes) {
  std::string out = "<h2>What to know about these figures</h2>\n<ul>\n";
  for (const std::string& note : notes) out += fmt::format("<li>{}</li>\n", escaped(note));
  return out + "</ul>\n";
}

template <class A>
std::string sources_of(const A& advice) {
  return fmt::format(
      "<p class=\"s\">Hosts: {}, {} cores of {} MHz, {} GiB; watts from {}.<br>Tariff: {:g} {} a "
      "kWh ({}).<br>CO2: {:g} kg a kWh ({}).</p>\n",
      escaped(advice.host_class), advice.host_cores, grouped(advice.host_core_mhz),
      grouped(advice.host_memory_mib / 1024), escaped(advice.host_source), advice.tariff_per_kwh,
      escaped(advice.currency), escaped(advice.tariff_source), advice.co2_kg_per_kwh,
      escaped(advice.co2_source));
}

// How many hosts were on, as a step line.
std::string chart_of(const Case& one, std::int32_t hosts) {
  constexpr double kWidth = 900;
  constexpr double kHeight = 120;
  if (one.on.empty() || hosts < 1) return {};
  const double hours = std::max(one.on.back().hour, 1e-9);
  std::string path;
  double last_y = 0;
  for (const OnHosts& at : one.on) {
    const double x = 30 + (kWidth - 40) * at.hour / hours;
    const double y = kHeight - 15 - (kHeight - 25) * at.hosts / hosts;
    path += path.empty() ? fmt::format("M{:.1f} {:.1f}", x, y)
                         : fmt::format("L{:.1f} {:.1f}L{:.1f} {:.1f}", x, last_y, x, y);
    last_y = y;
  }
  return fmt::format(
      "<p>{}: hosts on, of {}, over {} hours</p><svg viewBox=\"0 0 {} {}\" role=\"img\"><path "
      "d=\"M30 {}H{}\" stroke=\"#9ab\" fill=\"none\"/><text x=\"2\" y=\"14\" font-size=\"12\" "
      "fill=\"currentColor\">{}</text><text x=\"2\" y=\"{}\" font-size=\"12\" "
      "fill=\"currentColor\">0</text><path d=\"{}\" stroke=\"#1a9850\" stroke-width=\"1.5\" "
      "fill=\"none\"/></svg>\n",
      escaped(one.name), hosts, grouped(hours), kWidth, kHeight, kHeight - 15, kWidth - 10, hosts,
      kHeight - 11, path);
}

std::string hosts_of(const Case& one) {
  std::string out = fmt::format(
      "<h2>Why hosts were not off for longer ({})</h2>\n<table><tr><th>Host</th><th>Hours off</th>"
      "<th class=\"t\">What kept it on</th></tr>\n",
      escaped(one.name));
  for (std::size_t h = 0; h < std::min(one.hosts.size(), kHtmlHosts); ++h)
    out += fmt::format("<tr><td>{}</td><td>{:.1f}</td><td class=\"t\">{}</td></tr>\n",
                       escaped(one.hosts[h].name), one.hosts[h].off_hours,
                       escaped(held_text(one.hosts[h], kHtmlHosts)));
  out += "</table>\n";
  if (one.hosts.size() > kHtmlHosts)
    out += fmt::format("<p class=\"s\">{} more hosts are in -o json.</p>\n",
                       one.hosts.size() - kHtmlHosts);
  return out;
}

}  // namespace

std::string grouped(double value, int digits) {
  std::string text = fmt::format("{:.{}f}", value, digits);
  const std::size_t first = text.starts_with('-') ? 1 : 0;
  const std::size_t point = std::min(text.find('.'), text.size());
  for (std::size_t at = point; at > first + 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

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

std::string html_of(const Advice& advice) {
  std::string body = fmt::format(
      "<h1>What power management would have saved</h1>\n<p>{} VMs over {:.1f} days, recorded every "
      "{:g} minutes ({}), on {} hosts, {}. With all of them on: {} kWh.</p>\n",
      advice.vms, advice.days, advice.interval_minutes, escaped(advice.from), advice.hosts,
      advice.hosts_found ? "the fewest that carry what the VMs are configured for" : "as stated",
      grouped(advice.always_on.energy_kwh, 1));
  Figures figures(advice.cases);
  const auto& cases = advice.cases;
  figures.row("Saved, kWh", cases, [](const Case& c) { return grouped(c.saved_kwh, 1); });
  figures.row("Saved, %", cases, [](const Case& c) { return grouped(100 * c.saved_share, 1); });
  figures.row(fmt::format("Saved, {}", advice.currency), cases,
              [](const Case& c) { return grouped(c.saved_money); });
  figures.row("Saved, kg CO2", cases, [](const Case& c) { return grouped(c.saved_co2_kg, 1); });
  figures.row("A year like this, kWh", cases, [](const Case& c) { return grouped(c.year_kwh); });
  figures.row(fmt::format("A year like this, {}", advice.currency), cases,
              [](const Case& c) { return grouped(c.year_money); });
  figures.row("A year like this, kg CO2", cases,
              [](const Case& c) { return grouped(c.year_co2_kg); });
  figures.row("Hours off a host", cases,
              [](const Case& c) { return grouped(c.off_hours_per_host, 1); });
  figures.row("Migrations a day", cases,
              [](const Case& c) { return grouped(c.migrations_per_day, 1); });
  figures.row("Boots", cases, [](const Case& c) { return grouped(static_cast<double>(c.boots)); });
  figures.row("Least spare CPU, %", cases,
              [](const Case& c) { return grouped(100 * c.least_spare_share, 1); });
  figures.row(fmt::format("Worst {:g} minutes: CPU not given, %", advice.interval_minutes), cases,
              [](const Case& c) { return grouped(100 * c.worst_shortfall_share, 2); });
  figures.row("CPU not given over all, %", cases,
              [](const Case& c) { return grouped(100 * c.unmet_share, 3); });
  body += figures.end() + "<ul>\n";
  for (const Case& one : cases)
    body += fmt::format("<li>{}: {}</li>\n", escaped(one.name), escaped(one.how));
  body += "</ul>\n" + sources_of(advice) + "<h2>Hosts on</h2>\n";
  for (const Case& one : cases) body += chart_of(one, advice.hosts);
  for (const Case& one : cases) body += hosts_of(one);
  body += "<ul>\n";
  for (const EnumValue& value : enum_type(static_cast<const Hold*>(nullptr)).values)
    body += fmt::format("<li>{}: {}</li>\n", value.name, value.doc);
  return page("Chorok: advice", body + "</ul>\n" + notes_of(advice.notes));
}

std::string html_of(const P2vPlan& plan) {
  std::string body = fmt::format(
      "<h1>How many hosts would carry these machines</h1>\n<p>{} machines, {} loads ({}, "
      "{}).</p>\n",
      plan.machines, plan.loads, escaped(plan.from), escaped(plan.format));
  Figures figures(plan.cases);
  const auto& cases = plan.cases;
  figures.row("Hosts", cases, [](const P2vCase& c) { return grouped(c.hosts); });
  figures.row("Of them to spare", cases, [](const P2vCase& c) { return grouped(c.spare); });
  figures.row("Watts now", cases, [](const P2vCase& c) { return grouped(c.watts_now); });
  figures.row("Watts then", cases, [](const P2vCase& c) { return grouped(c.watts_then); });
  figures.row("Saved a year, kWh", cases, [](const P2vCase& c) { return grouped(c.year_kwh); });
  figures.row(fmt::format("Saved a year, {}", plan.currency), cases,
              [](const P2vCase& c) { return grouped(c.year_money); });
  figures.row("Saved a year, kg CO2", cases,
              [](const P2vCase& c) { return grouped(c.year_co2_kg); });
  figures.row("Rack units now", cases, [](const P2vCase& c) { return grouped(c.rack_units_now); });
  figures.row("Rack units then", cases,
              [](const P2vCase& c) { return grouped(c.rack_units_then); });
  figures.row("Machines that stay", cases,
              [](const P2vCase& c) { return grouped(static_cast<double>(c.stays.size())); });
  body += figures.end() + "<ul>\n";
  for (const P2vCase& one : cases) {
    body += fmt::format("<li>{}: {}</li>\n", escaped(one.name), escaped(one.how));
    for (std::size_t i = 0; i < std::min(one.stays.size(), kHtmlHosts); ++i)
      body += fmt::format("<li>{}: {} stays: {}</li>\n", escaped(one.name),
                          escaped(one.stays[i].name), escaped(one.stays[i].why));
  }
  return page("Chorok: consolidation", body + "</ul>\n" + sources_of(plan) + notes_of(plan.notes));
}

}  // namespace chorok::advise
