// Lines over time as SVG without a script. What the mouse shows on top is html_page's script, by
// the names of lines' data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace chorok::sim::datacenter {

struct ChartLine {
  std::string name;            // in the legend; of a single line it is left out
  std::string key;             // of its data in the page; empty: none
  std::vector<double> values;  // by ChartLines::time_s
  bool is_second = false;      // dashed, in the second colour
  bool is_area = false;
  bool is_step = false;  // each value holds until the next time
};

struct Chart {
  std::string title;
  std::string about;
  std::string unit;
  double scale = 1;       // of the unit
  bool is_count = false;  // no marks between whole numbers
  bool is_low = false;    // half as high
  double top = 0;         // reach at least this
  double end_s = 1;       // of the time axis, which begins at 0
  std::vector<double> time_s;
  std::vector<ChartLine> lines;
};

// A chart with its heading; without the section around it where `bare`.
std::string html_chart(const Chart& chart, bool bare = false);

// Where times are written below an axis: "03:00", "day 2".
std::string html_times(double end_s);

}  // namespace chorok::sim::datacenter
