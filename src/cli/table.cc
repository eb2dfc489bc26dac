#include "cli/table.h"

#include <algorithm>
#include <numeric>

namespace chorok::cli {
namespace {

constexpr std::size_t kGap = 2;           // between columns
constexpr std::size_t kLeastShrunk = 12;  // narrower than that, prose says nothing

std::size_t total(const std::vector<std::size_t>& widths, std::size_t indent) {
  return std::accumulate(widths.begin(), widths.end(), indent) +
         (widths.empty() ? 0 : (widths.size() - 1) * kGap);
}

std::vector<std::size_t> natural_widths(const Table& table, bool titles) {
  std::vector<std::size_t> widths;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    std::size_t width = titles ? display_width(table.columns[c].title) : 0;
    for (const auto& row : table.rows) width = std::max(width, display_width(row[c].text));
    widths.push_back(width);
  }
  return widths;
}

// Takes columns off the widest that shrinks until the table fits or none can give more.
void shrink(const Table& table, std::vector<std::size_t>& widths, const TableStyle& style) {
  while (total(widths, style.indent) > style.width) {
    std::size_t widest = widths.size();
    for (std::size_t c = 0; c < widths.size(); ++c) {
      std::size_t least = std::max(kLeastShrunk, display_width(table.columns[c].title));
      if (!table.columns[c].shrinks || widths[c] <= least) continue;
      if (widest == widths.size() || widths[c] > widths[widest]) widest = c;
    }
    if (widest == widths.size()) return;
    --widths[widest];
  }
}

std::vector<std::size_t> fit(const Table& table, const TableStyle& style) {
  auto widths = natural_widths(table, style.titles);
  if (style.width == 0) return widths;
  auto all = widths;
  shrink(table, widths, style);
  while (widths.size() > 1 && total(widths, style.indent) > style.width) {
    all.pop_back();
    widths = all;
    shrink(table, widths, style);
  }
  return widths;
}

void write_line(std::string& out, const Table& table, const std::vector<Cell>& cells,
                const std::vector<std::size_t>& widths, const TableStyle& style) {
  std::string line(style.indent, ' ');
  for (std::size_t c = 0; c < widths.size(); ++c) {
    std::string text = clip(cells[c].text, widths[c]);
    bool last = c + 1 == widths.size();
    std::size_t used = display_width(text);
    std::string spaces(widths[c] - std::min(used, widths[c]), ' ');
    if (table.columns[c].right_aligned) line += spaces;
    line += coloured(text, cells[c].tone, style.colours);
    if (!table.columns[c].right_aligned && !last) line += spaces;
    if (!last) line.append(kGap, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out += line + "\n";
}

}  // namespace

std::string render_table(const Table& table, const TableStyle& style) {
  auto widths = fit(table, style);
  std::string out;
  if (style.titles) {
    std::vector<Cell> titles;
    for (const Column& column : table.columns) titles.push_back({column.title, Tone::kFaint});
    write_line(out, table, titles, widths, style);
  }
  for (const auto& row : table.rows) write_line(out, table, row, widths, style);
  return out;
}

std::string csv_line(const std::vector<std::string>& fields) {
  std::string out;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out += ',';
    if (fields[i].find_first_of(",\"\r\n") == std::string::npos) {
      out += fields[i];
      continue;
    }
    out += '"';
    for (char c : fields[i]) out.append(c == '"' ? 2 : 1, c);
    out += '"';
  }
  return out + "\r\n";
}

}  // namespace chorok::cli
