#include "sim/datacenter/html_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "sim/datacenter/html_page.h"

namespace chorok::sim::datacenter {

namespace {

// The picture is stretched to its box; strokes are not.
constexpr double kWidth = 1000;
constexpr double kHeight = 200;

// 1, 2 or 5 times a power of ten, so that a handful of lines reach the top.
double nice_step(double most, bool is_count) {
  const double rough = std::max(most, 1e-9) / 4;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (double times : {5.0, 2.0, 1.0})
    if (times * power >= rough) step = times * power;
  return is_count ? std::max(step, 1.0) : step;
}

class Plot {
 public:
  explicit Plot(const Chart& chart) : chart_(chart) {
    double most = chart.top;
    for (const ChartLine& line : chart.lines)
      for (double value : line.values) most = std::max(most, value / chart.scale);
    step_ = nice_step(most, chart.is_count);
    top_ = std::max(step_, std::ceil(most / step_ - 1e-9) * step_);
  }

  std::string draw() {
    out_ = fmt::format(
        "<svg viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\" role=\"img\" "
        "aria-label=\"{}\">",
        kWidth, kHeight, html_escaped(chart_.title));
    std::string labels = fmt::format("<span class=\"unit\">{}</span>", html_escaped(chart_.unit));
    for (double v = 0; v <= top_ * 1.0001; v += step_) {
      out_ += fmt::format("<line class=\"{}\" x1=\"0\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>",
                          v == 0 ? "axis" : "grid", kWidth, y(v), y(v));
      labels += fmt::format("<span class=\"y\" style=\"top:{:.2f}%\">{:.6g}</span>",
                            100 * y(v) / kHeight, v);
    }
    for (const ChartLine& line : chart_.lines) curve(line);
    return out_ + "</svg>" + labels;
  }

 private:
  double x(double time_s) const { return time_s / chart_.end_s * kWidth; }
  double y(double value) const { return kHeight * (1 - value / top_); }

  void curve(const ChartLine& line) {
    const std::size_t count = std::min(line.values.size(), chart_.time_s.size());
    if (count == 0) return;
    std::string path;
    double last = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const double at_x = x(chart_.time_s[i]);
      const double at_y = y(line.values[i] / chart_.scale);
      if (line.is_step && i > 0) path += fmt::format("L{:.1f} {:.1f}", at_x, last);
      path += fmt::format("{}{:.1f} {:.1f}", i == 0 ? "M" : "L", at_x, at_y);
      last = at_y;
    }
    double end = x(chart_.time_s[count - 1]);
    if (line.is_step) {
      path += fmt::format("L{:.1f} {:.1f}", kWidth, last);
      end = kWidth;
    }
    if (line.is_area)
      out_ += fmt::format("<path class=\"a-fill\" d=\"{}L{:.1f} {:.1f}L{:.1f} {:.1f}Z\"/>", path,
                          end, kHeight, x(chart_.time_s[0]), kHeight);
    out_ += fmt::format("<path class=\"{}\" d=\"{}\"/>", line.is_second ? "b" : "a", path);
  }

  const Chart& chart_;
  double step_ = 1;
  double top_ = 1;
  std::string out_;
};

}  // namespace

std::string html_times(double end_s) {
  constexpr std::array kSteps = {300.0,    600.0,     1800.0,    3600.0,   7200.0,
                                 10800.0,  21600.0,   43200.0,   86400.0,  172800.0,
                                 604800.0, 1209600.0, 2592000.0, 7776000.0};
  double step = kSteps.back();
  for (double candidate : kSteps)
    if (end_s / candidate <= 9) {
      step = candidate;
      break;
    }
  std::string out = "<div class=\"times\">";
  for (double t = 0; t <= end_s * 1.0001; t += step) {
    const auto minutes = static_cast<std::int64_t>(t / 60);
    const bool is_day = step >= 86400 || (end_s > 90000 && minutes % 1440 == 0);
    const double left = 100 * t / end_s;
    out += fmt::format("<span{} style=\"left:{:.2f}%\">{}</span>",
                       left > 97 ? " class=\"last\"" : "", left,
                       is_day ? fmt::format("day {}", minutes / 1440 + 1)
                              : fmt::format("{:02}:{:02}", minutes / 60 % 24, minutes % 60));
  }
  return out + "</div>";
}

std::string html_chart(const Chart& chart, bool bare) {
  std::string legend;
  std::string lines;
  for (const ChartLine& line : chart.lines) {
    if (chart.lines.size() > 1)
      legend += fmt::format("<span><i{} style=\"border-color:var(--{})\"></i>{}</span>",
                            line.is_second ? " class=\"dash\"" : "", line.is_second ? "b" : "a",
                            html_escaped(line.name));
    if (!line.key.empty())
      lines += fmt::format("{}[\"{}\",\"{}\"]", lines.empty() ? "" : ",", line.key, line.name);
  }
  if (!legend.empty()) legend = "<div class=\"legend\">" + legend + "</div>";
  const std::string mouse =
      lines.empty() ? ""
                    : fmt::format(" data-lines='[{}]' data-unit=\"{}\" data-scale=\"{}\"", lines,
                                  html_escaped(chart.unit), chart.scale);
  const std::string body = fmt::format(
      "<h2>{}</h2><p>{}</p>{}<div class=\"chart{}\"{}>{}{}</div>{}", html_escaped(chart.title),
      html_escaped(chart.about), legend, chart.is_low ? " low" : "", mouse, Plot(chart).draw(),
      lines.empty() ? "" : "<i class=\"cross\"></i><div class=\"tip\"></div>",
      html_times(chart.end_s));
  return bare ? body + "\n" : "<section>" + body + "</section>\n";
}

}  // namespace chorok::sim::datacenter
