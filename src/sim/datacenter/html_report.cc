#include "sim/datacenter/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace chorok::sim::datacenter {

namespace {

constexpr double kWidth = 1000;
constexpr double kHeight = 230;
constexpr double kLeft = 56;
constexpr double kRight = 14;
constexpr double kTop = 22;
constexpr double kBottom = 24;
constexpr int kHalfPercents = 50;  // steps of load in the map: two percent each

using Point = Recording::Point;

std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
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
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// 1, 2 or 5 times a power of ten, so that a handful of lines reach the top.
double nice_step(double most) {
  const double rough = std::max(most, 1e-9) / 4;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (double times : {1.0, 2.0, 5.0})
    if (times * power >= rough) return times * power;
  return 10 * power;
}

struct TimeMark {
  double time_s = 0;
  std::string text;
};
std::vector<TimeMark> time_marks(double end_s) {
  constexpr std::array kSteps = {300.0,    600.0,     1800.0,    3600.0,   7200.0,
                                 10800.0,  21600.0,   43200.0,   86400.0,  172800.0,
                                 604800.0, 1209600.0, 2592000.0, 7776000.0};
  double step = kSteps.back();
  for (double candidate : kSteps)
    if (end_s / candidate <= 9) {
      step = candidate;
      break;
    }
  std::vector<TimeMark> marks;
  for (double t = 0; t <= end_s * 1.0001; t += step) {
    const auto minutes = static_cast<std::int64_t>(t / 60);
    marks.push_back({t, step >= 86400 ? fmt::format("day {}", minutes / 1440 + 1)
                        : end_s > 90000 && minutes % 1440 == 0
                            ? fmt::format("day {}", minutes / 1440 + 1)
                            : fmt::format("{:02}:{:02}", minutes / 60 % 24, minutes % 60)});
  }
  return marks;
}

struct Line {
  double Point::* value = nullptr;
  std::string_view key;
  std::string_view name;
  bool is_second = false;  // dashed, in the second colour
  bool is_area = false;
};

struct Chart {
  std::string title;
  std::string about;
  std::string unit;
  double scale = 1;  // of the unit
  std::vector<Line> lines;
};

class Svg {
 public:
  Svg(const Recording& recording, const Chart& chart) : recording_(recording), chart_(chart) {
    double most = 0;
    for (const Point& p : recording.points)
      for (const Line& line : chart.lines) most = std::max(most, p.*line.value / chart.scale);
    step_ = nice_step(most);
    top_ = std::max(step_, std::ceil(most / step_ - 1e-9) * step_);
  }

  std::string draw() {
    out_ = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth,
                       kHeight, escaped(chart_.title));
    axes();
    for (const Line& line : chart_.lines) curve(line);
    out_ +=
        fmt::format("<line class=\"cross\" y1=\"{}\" y2=\"{}\"/></svg>", kTop, kHeight - kBottom);
    return std::move(out_);
  }

 private:
  double x(double time_s) const {
    return kLeft + time_s / recording_.end_s * (kWidth - kLeft - kRight);
  }
  double y(double value) const {
    return kHeight - kBottom - value / top_ * (kHeight - kTop - kBottom);
  }
  void axes() {
    out_ += fmt::format("<text x=\"{}\" y=\"11\" text-anchor=\"end\">{}</text>", kLeft - 8,
                        escaped(chart_.unit));
    for (double v = 0; v <= top_ * 1.0001; v += step_)
      out_ += fmt::format(
          "<line class=\"{}\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
          "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.6g}</text>",
          v == 0 ? "axis" : "grid", kLeft, kWidth - kRight, y(v), y(v), kLeft - 8, y(v) + 4, v);
    for (const TimeMark& mark : time_marks(recording_.end_s))
      out_ += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                          x(mark.time_s), kHeight - 6, mark.text);
  }
  void curve(const Line& line) {
    if (recording_.points.empty()) return;
    std::string path;
    for (const Point& p : recording_.points)
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x(p.time_s),
                          y(p.*line.value / chart_.scale));
    if (line.is_area)
      out_ += fmt::format("<path class=\"a-fill\" d=\"{}L{:.1f} {:.1f}L{:.1f} {:.1f}Z\"/>", path,
                          x(recording_.points.back().time_s), y(0),
                          x(recording_.points.front().time_s), y(0));
    out_ += fmt::format("<path class=\"{}\" d=\"{}\"/>", line.is_second ? "b" : "a", path);
  }

  const Recording& recording_;
  const Chart& chart_;
  double step_ = 1;
  double top_ = 1;
  std::string out_;
};

std::string section(const Recording& recording, const Chart& chart) {
  std::string legend;
  std::string lines;
  for (const Line& line : chart.lines) {
    legend +=
        fmt::format("<span><i{} style=\"border-color:var(--{})\"></i>{}</span>",
                    line.is_second ? " class=\"dash\"" : "", line.is_second ? "b" : "a", line.name);
    lines += fmt::format("{}[\"{}\",\"{}\"]", lines.empty() ? "" : ",", line.key, line.name);
  }
  return fmt::format(
      "<section><h2>{}</h2><p>{}</p><div class=\"legend\">{}</div><div class=\"chart\" "
      "data-lines='[{}]' data-unit=\"{}\" data-scale=\"{}\">{}<div class=\"tip\"></div></div>"
      "</section>\n",
      escaped(chart.title), escaped(chart.about), legend, lines, escaped(chart.unit), chart.scale,
      Svg(recording, chart).draw());
}

double most_of(const Recording& recording, double Point::* value) {
  double most = 0;
  for (const Point& p : recording.points) most = std::max(most, p.*value);
  return most;
}

std::vector<Chart> charts(const Recording& recording, Mode mode) {
  const double watts = most_of(recording, &Point::watts);
  const double mhz = most_of(recording, &Point::capacity_mhz);
  std::vector<Chart> all;
  all.push_back(
      {.title = "Hosts on",
       .about = "How many ran.",
       .unit = "hosts",
       .lines = {{.value = &Point::hosts_on, .key = "on", .name = "on", .is_area = true}}});
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
       .lines = {{.value = &Point::watts, .key = "watts", .name = "drawn", .is_area = true},
                 {.value = &Point::bound_watts,
                  .key = "bound",
                  .name = "lower bound",
                  .is_second = true}}});
  all.push_back(
      {.title = "Demand and capacity",
       .about = "CPU that VMs asked for, and that of the hosts that were on.",
       .unit = mhz >= 2e6 ? "THz" : "GHz",
       .scale = mhz >= 2e6 ? 1e6 : 1000.0,
       .lines = {
           {.value = &Point::demand_mhz, .key = "demand", .name = "asked for", .is_area = true},
           {.value = &Point::capacity_mhz,
            .key = "capacity",
            .name = "capacity on",
            .is_second = true}}});
  return all;
}

std::string heat_map(const Recording& recording) {
  std::string bands;
  for (const Recording::Band& band : recording.bands)
    bands += fmt::format("<div style=\"flex:{} 1 0\">{}<br>{} hosts</div>", band.rows,
                         escaped(band.name), band.hosts);
  std::string times;
  for (const TimeMark& mark : time_marks(recording.end_s))
    times += fmt::format("<span style=\"left:{:.2f}%\">{}</span>",
                         100 * mark.time_s / recording.end_s, mark.text);
  return fmt::format(
      "<section><h2>Load of hosts</h2><p>A row a host{}, time from left to right.</p>"
      "<div class=\"legend\"><span><i class=\"area\" style=\"background:var(--off)\"></i>off"
      "</span><span>0 %<b class=\"ramp\"></b>100 % of its CPU</span><span><i class=\"area\" "
      "style=\"background:var(--bad)\"></i>asked for more than it has</span></div>"
      "<div class=\"map\" style=\"position:relative\"><div class=\"bands\">{}</div><canvas "
      "id=\"map\" width=\"{}\" height=\"{}\"></canvas><div class=\"times\">{}</div>"
      "<div class=\"tip\" id=\"map-tip\"></div></div></section>\n",
      recording.rows ==
              [&] {
                std::size_t hosts = 0;
                for (const Recording::Band& band : recording.bands) hosts += band.hosts;
                return hosts;
              }()
          ? ""
          : " or some hosts alike",
      bands, recording.columns, recording.rows, times);
}

std::string card(std::string_view value, std::string_view unit, std::string_view name) {
  return fmt::format("<div class=\"card\"><b>{}<small>{}</small></b><span>{}</span></div>", value,
                     unit, name);
}

std::string amount(double value) {
  return value >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

std::string cards(const Report& r, const Recording& recording) {
  std::string over = "as little as possible";
  if (r.bound_kwh() > 0)
    over =
        fmt::format("{:+.1f} % against the lower bound", 100 * (r.energy_kwh / r.bound_kwh() - 1));
  const double hours = recording.end_s / 3600;
  return "<div class=\"cards\">" + card(amount(r.energy_kwh), "kWh", "energy; " + over) +
         card(fmt::format("{:.3g}", 100 * r.unmet_demand), "%", "of CPU asked for, not given") +
         card(amount(r.host_hours / std::max(hours, 1e-9)), "hosts", "on, in the mean") +
         card(fmt::format("{}", r.migrations), "", "migrations") +
         card(fmt::format("{:.3g}", 100 * r.true_overload), "%", "of host time overloaded") +
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
    else if (type.kind == Kind::kInt)
      value = fmt::format("{}", type.access.get_int(at));
    else
      continue;  // texts stand at the top of the page
    rows += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td></tr>", field.name, value,
                        escaped(field.doc));
  }
  return "<section><h2>Figures</h2><p>Shares are of one.</p><table>" + rows +
         "</table></section>\n";
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
             "<script type=\"application/json\" id=\"data\">{{\"end\":{},\"width\":{},"
             "\"left\":{},\"right\":{},\"rows\":{},\"columns\":{},\"map\":\"{}\"",
             recording.end_s, kWidth, kLeft, kRight, recording.rows, recording.columns, cells) +
         list(recording, "time", &Point::time_s) + list(recording, "on", &Point::hosts_on) +
         list(recording, "watts", &Point::watts) + list(recording, "bound", &Point::bound_watts) +
         list(recording, "demand", &Point::demand_mhz) +
         list(recording, "capacity", &Point::capacity_mhz) + "}</script>\n";
}

}  // namespace

std::string html_report(const Report& report, const Recording& recording) {
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>{0} · {1}</title><style>{2}</style>"
      "</head><body><main>\n<h1>{0}</h1><p>policy {1} · {3} VMs · traces {4}</p>\n",
      escaped(report.experiment), escaped(report.policy), kHtmlStyle, report.vms,
      escaped(report.traces));
  out += cards(report, recording);
  for (const Chart& chart : charts(recording, report.mode)) out += section(recording, chart);
  out += heat_map(recording);
  out += figures(report);
  out += fmt::format(
      "<section><details><summary>The experiment as it was run</summary><pre>{}"
      "</pre></details></section>\n",
      escaped(recording.experiment_json));
  out += data(recording);
  return out + fmt::format("<script>{}</script></main></body></html>\n", kHtmlScript);
}

}  // namespace chorok::sim::datacenter
