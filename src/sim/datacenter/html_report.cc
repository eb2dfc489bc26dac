#include "sim/datacenter/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/datacenter/html_chart.h"
#include "sim/datacenter/html_page.h"

namespace chorok::sim::datacenter {

namespace {

constexpr int kHalfPercents = 50;  // steps of load in the map: two percent each

using Point = Recording::Point;

double most_of(const Recording& recording, double Point::* value) {
  double most = 0;
  for (const Point& p : recording.points) most = std::max(most, p.*value);
  return most;
}

ChartLine line_of(const Recording& recording, double Point::* value, std::string key,
                  std::string name) {
  ChartLine line{.name = std::move(name), .key = std::move(key)};
  for (const Point& p : recording.points) line.values.push_back(p.*value);
  return line;
}

std::vector<Chart> charts(const Recording& recording, Mode mode) {
  const double watts = most_of(recording, &Point::watts);
  const double mhz = most_of(recording, &Point::capacity_mhz);
  const auto area = [&](double Point::* value, std::string key, std::string name) {
    ChartLine line = line_of(recording, value, std::move(key), std::move(name));
    line.is_area = true;
    return line;
  };
  const auto second = [&](double Point::* value, std::string key, std::string name) {
    ChartLine line = line_of(recording, value, std::move(key), std::move(name));
    line.is_second = true;
    return line;
  };
  std::vector<Chart> all;
  all.push_back({.title = "Hosts on",
                 .about = "How many ran.",
                 .unit = "hosts",
                 .is_count = true,
                 .lines = {area(&Point::hosts_on, "on", "on")}});
  all.push_back(
      {.title = "Power",
       .about = fmt::format(
           "What all hosts drew, and the least that any policy could have drawn for "
           "this demand: {}.",
           mode == Mode::kHonest ? "whole hosts, and memory fits (LB2)" : "whole hosts (LB1)"),
       .unit = watts >= 2e6    ? "MW"
               : watts >= 2000 ? "kW"
                               : "W",
       .scale = watts >= 2e6    ? 1e6
                : watts >= 2000 ? 1000.0
                                : 1.0,
       .lines = {area(&Point::watts, "watts", "drawn"),
                 second(&Point::bound_watts, "bound", "lower bound")}});
  all.push_back({.title = "Demand and capacity",
                 .about = "CPU that VMs asked for, and that of the hosts that were on.",
                 .unit = mhz >= 2e6 ? "THz" : "GHz",
                 .scale = mhz >= 2e6 ? 1e6 : 1000.0,
                 .lines = {area(&Point::demand_mhz, "demand", "asked for"),
                           second(&Point::capacity_mhz, "capacity", "capacity on")}});
  for (Chart& chart : all) {
    chart.end_s = recording.end_s;
    for (const Point& p : recording.points) chart.time_s.push_back(p.time_s);
  }
  return all;
}

std::string heat_map(const Recording& recording) {
  std::string bands;
  for (const Recording::Band& band : recording.bands)
    bands += fmt::format("<div style=\"flex:{} 1 0\">{}<br>{} hosts</div>", band.rows,
                         html_escaped(band.name), band.hosts);
  return fmt::format(
      "<section><h2>Load of hosts</h2><p>A row a host{}, time from left to right.</p>"
      "<div class=\"legend\"><span><i class=\"area\" style=\"background:var(--off)\"></i>off"
      "</span><span>0 %<b class=\"ramp\"></b>100 % of its CPU</span><span><i class=\"area\" "
      "style=\"background:var(--bad)\"></i>asked for more than it has</span></div>"
      "<div class=\"map\"><div class=\"bands\">{}</div><canvas "
      "id=\"map\" width=\"{}\" height=\"{}\"></canvas>{}"
      "<div class=\"tip\" id=\"map-tip\"></div></div></section>\n",
      recording.rows ==
              [&] {
                std::size_t hosts = 0;
                for (const Recording::Band& band : recording.bands) hosts += band.hosts;
                return hosts;
              }()
          ? ""
          : " or some hosts alike",
      bands, recording.columns, recording.rows, html_times(recording.end_s));
}

std::string amount(double value) {
  return value >= 1000 ? grouped(value) : fmt::format("{:.3g}", value);
}

// "with PUE 1.54: 23 kWh", where it is applied.
std::string with_pue(const Report& r, const std::optional<double>& value, std::string_view unit) {
  if (!value) return {};
  return fmt::format("; with PUE {:g}: {} {}", r.pue, amount(*value), unit);
}

std::string cards(const Report& r, const Recording& recording) {
  std::string over;
  if (r.bound_kwh() > 0) {
    const double percent = 100 * (r.energy_kwh / r.bound_kwh() - 1);
    over = fmt::format("; {:.1f} % {} the lower bound", std::abs(percent),
                       percent >= 0 ? "above" : "below");
  }
  const double hours = recording.end_s / 3600;
  std::string out =
      "<div class=\"cards\">" +
      html_card(amount(r.energy_kwh), "kWh", "energy" + over + with_pue(r, r.facility_kwh, "kWh"));
  if (r.cost)
    out += html_card(amount(*r.cost), r.currency,
                     "at the price of each hour" + with_pue(r, r.facility_cost, r.currency));
  if (r.co2_kg)
    out += html_card(amount(*r.co2_kg), "kg", "of CO2" + with_pue(r, r.facility_co2_kg, "kg"));
  return out +
         html_card(fmt::format("{:.3g}", 100 * r.unmet_demand), "%",
                   "of CPU asked for, not given") +
         html_card(amount(r.host_hours / std::max(hours, 1e-9)), "hosts", "on, in the mean") +
         html_card(grouped(static_cast<double>(r.migrations)), "",
                   r.migrations == 1 ? "migration" : "migrations") +
         html_card(fmt::format("{:.3g}", 100 * r.true_overload), "%", "of host time overloaded") +
         "</div>\n";
}

std::string figures(const Report& report) {
  std::string rows;
  for (const Field& field : Report::type().fields) {
    const Type& type = field.type();
    const void* at = field_at(field, &report);
    std::string value;
    if (type.kind == Kind::kDouble)
      value = fmt::format("{:.6g}", type.access.get_double(at));
    else if (type.kind == Kind::kOptional && type.access.count(at) > 0)
      value = fmt::format("{:.6g}", type.element().access.get_double(type.access.at(at, 0)));
    else if (type.kind == Kind::kInt)
      value = fmt::format("{}", type.access.get_int(at));
    else
      continue;  // texts stand at the top of the page, what is absent nowhere
    rows += fmt::format(
        "<tr><th class=\"name\">{}</th><td class=\"n\">{}</td><td class=\"about\">{}</td></tr>",
        field.name, value, html_escaped(field.doc));
  }
  return "<section><h2>Figures</h2><p>Shares are of one.</p><table class=\"figures\">" + rows +
         "</table></section>\n";
}

std::string sources(const Report& report) {
  std::string out;
  for (const auto& [name, text] :
       {std::pair{"Price", &report.price_source}, std::pair{"CO2", &report.co2_source}})
    if (!text->empty()) out += fmt::format("<p>{}: {}.</p>", name, html_escaped(*text));
  if (out.empty()) return {};
  return fmt::format("<section><h2>Where money and CO2 are from</h2>{}<p>{}</p></section>\n", out,
                     report.pue == 1 ? "Of IT energy; a PUE is not applied."
                                     : "A PUE overstates what is saved at the margin: cooling and "
                                       "losses do not fall in step with the load.");
}

std::string list(const Recording& recording, std::string_view key, double Point::* value) {
  std::string out = fmt::format(",\"{}\":[", key);
  for (std::size_t i = 0; i < recording.points.size(); ++i)
    out += fmt::format("{}{:.5g}", i == 0 ? "" : ",", recording.points[i].*value);
  return out + "]";
}

// Cells as printable letters: '!' is off, '#' is idle, two percent a letter, the last is overload.
// '<' could end the script, so it stands as its neighbour.
std::string data(const Recording& recording) {
  std::string cells;
  for (float load : recording.map) {
    const int step = load < 0        ? -2
                     : load > 1.001F ? kHalfPercents + 1
                                     : std::min(kHalfPercents, static_cast<int>(load * 50 + 0.5F));
    const char letter = static_cast<char>(35 + step);
    cells += letter == '<' ? static_cast<char>(letter + 1) : letter;
  }
  return fmt::format(
             "<script type=\"application/json\" id=\"data\">{{\"end\":{},"
             "\"rows\":{},\"columns\":{},\"map\":\"{}\"",
             recording.end_s, recording.rows, recording.columns, cells) +
         list(recording, "time", &Point::time_s) + list(recording, "on", &Point::hosts_on) +
         list(recording, "watts", &Point::watts) + list(recording, "bound", &Point::bound_watts) +
         list(recording, "demand", &Point::demand_mhz) +
         list(recording, "capacity", &Point::capacity_mhz) + "}</script>\n";
}

}  // namespace

std::string html_report(const Report& report, const Recording& recording) {
  std::string out =
      fmt::format("<h1>{}</h1><p>policy {} · {} VMs · {:.3g} {} · traces {}</p>\n",
                  html_escaped(report.experiment), html_escaped(report.policy), report.vms,
                  recording.end_s / 86400, recording.end_s == 86400 ? "day" : "days",
                  html_escaped(report.traces));
  out += cards(report, recording);
  for (const Chart& chart : charts(recording, report.mode)) out += html_chart(chart);
  out += heat_map(recording);
  out += figures(report);
  out += sources(report);
  out += fmt::format(
      "<section><details><summary>The experiment as it was run</summary><pre>{}"
      "</pre></details></section>\n",
      html_escaped(recording.experiment_json));
  out += data(recording);
  out += fmt::format("<script>{}</script>", kHtmlScript);
  return html_page(fmt::format("{} · {}", report.experiment, report.policy), out);
}

}  // namespace chorok::sim::datacenter
