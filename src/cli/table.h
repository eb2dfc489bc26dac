// Tables for people and CSV for programs. A table that is too wide first shrinks the columns that
// hold prose, then drops columns from the right; the first always stays.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/text.h"

namespace chorok::cli {

struct Column {
  std::string title;
  bool right_aligned = false;
  bool shrinks = false;  // holds prose, lists, paths: may be cut with "…"
};

struct Cell {
  std::string text;
  Tone tone = Tone::kPlain;
};

struct Table {
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
};

struct TableStyle {
  std::size_t width = 0;  // of the terminal; 0: as wide as it is
  bool colours = false;
  bool titles = true;
  std::size_t indent = 0;
};

std::string render_table(const Table& table, const TableStyle& style = {});

// RFC 4180: CRLF, quotes only where needed.
std::string csv_line(const std::vector<std::string>& fields);

}  // namespace chorok::cli
