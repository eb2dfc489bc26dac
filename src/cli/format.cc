#include "cli/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/json.h"
#include "cli/quantity.h"
#include "cli/schema.h"

namespace chorok::cli {
namespace {

std::string time_words(const Value& value, Time now) {
  if (value.text().empty()) return {};
  auto time = json::parse_time(value.text());
  return time ? human_time(*time, now) : std::string(value.text());
}

// As it was set: 0.98 is not 1.0. What was computed has more digits than it is worth.
std::string double_words(double value) {
  constexpr std::size_t kDigits = 8;
  const std::string exact = fmt::format("{}", value);
  if (exact.size() <= kDigits) return exact;
  return std::abs(value) >= 1000 ? fmt::format("{:.1f}", value) : fmt::format("{:.4g}", value);
}

std::string number_words(const Type& type, const Value& value) {
  if (!type.unit.empty()) return value_words(type, value);
  if (value.is_int()) return fmt::format("{}", value.integer());
  return double_words(value.number());
}

// {"path": "lab", "role": "viewer"} -> "path=lab,role=viewer"
std::string pairs(const Type* type, const Value& value, Time now) {
  std::string out;
  for (const Member& member : value.members()) {
    const Field* field = type && type->kind == Kind::kStruct ? type->find(member.key) : nullptr;
    const Type* own = field                              ? &unwrap(field->type())
                      : type && type->kind == Kind::kMap ? &unwrap(type->element())
                                                         : nullptr;
    std::string text = table_cell(own, member.value, now).text;
    if (text.empty()) continue;
    if (!out.empty()) out += ',';
    out += printable(member.key) + "=" + text;
  }
  return out;
}

std::string joined(const Type* type, const Value& value, Time now) {
  const Type* element = type && type->kind == Kind::kList ? &unwrap(type->element()) : nullptr;
  std::string out;
  for (const Value& item : value.items()) {
    if (!out.empty()) out += ", ";
    out += table_cell(element, item, now).text;
  }
  return out;
}

}  // namespace

Cell table_cell(const Type* type, const Value& value, Time now) {
  if (value.is_null()) return {};
  if (value.is_bool()) return {value.boolean() ? "yes" : "no"};
  if (value.is_list()) return {joined(type, value, now)};
  if (value.is_object()) return {pairs(type, value, now)};
  if (value.is_number()) return {type ? number_words(*type, value) : to_json(value)};
  if (type && type->kind == Kind::kTime) return {time_words(value, now)};
  bool is_enum = type && type->kind == Kind::kEnum;
  return {printable(value.text()), is_enum ? tone_of(value.text()) : Tone::kPlain};
}

std::string csv_field(const Value& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return std::string(value.text());
  if (!value.is_list()) return to_json(value);
  std::string out;
  for (const Value& item : value.items()) {
    if (!out.empty()) out += ' ';
    out += csv_field(item);
  }
  return out;
}

std::string column_title(std::string_view path) {
  using Pair = std::pair<std::string_view, std::string_view>;
  constexpr std::array kTitles = {
      Pair{"inventory/cpu/capacity", "CPU"},
      Pair{"inventory/cpu/model", "CPU MODEL"},
      Pair{"inventory/accelerator", "ACCEL"},
      Pair{"inventory/qemu_version", "QEMU"},
      Pair{"inventory/libvirt_version", "LIBVIRT"},
      Pair{"agent_version", "AGENT"},
      Pair{"target_name", "TARGET"},
      Pair{"subject_name", "SUBJECT"},
      Pair{"percent", "%"},
      Pair{"settings/balance/automation", "DRS"},
      Pair{"settings/balance/level", "DRS LEVEL"},
      Pair{"settings/power/automation", "DPM"},
      Pair{"settings/ha/enabled", "HA"},
      Pair{"settings/ha/failures", "HA FAILURES"},
  };
  for (const auto& [known, title] : kTitles)
    if (known == path) return std::string(title);
  // What a pool has of both says of which.
  for (const std::string_view both : {"cpu/", "memory/"})
    if (path.starts_with(both)) {
      std::string title(path);
      for (char& c : title) c = c == '/' || c == '_' ? ' ' : static_cast<char>(std::toupper(c));
      return title;
    }
  std::string title(path.substr(path.rfind('/') + 1));
  if (title.size() > 5 && title.ends_with("_name")) title.resize(title.size() - 5);
  for (char& c : title) c = c == '_' ? ' ' : static_cast<char>(std::toupper(c));
  return title;
}

namespace {

Column column_for(const Type& type, std::string_view path) {
  Column column{.title = column_title(path)};
  auto place = resolve(type, path);
  if (!place) return column;
  Kind kind = place->type->kind;
  column.right_aligned = kind == Kind::kInt || kind == Kind::kDouble;
  bool is_name = path.ends_with("name") || path.ends_with("id") || path == "status/task";
  column.shrinks = kind == Kind::kList || kind == Kind::kMap ||
                   (kind == Kind::kString && !is_name && place->field->limits.max_length > 63);
  return column;
}

}  // namespace

Table make_table(const Type& type, const std::vector<std::string_view>& columns,
                 const Value::List& rows, Time now) {
  Table table;
  std::vector<const Type*> types;
  for (std::string_view path : columns) {
    table.columns.push_back(column_for(type, path));
    auto place = resolve(type, path);
    types.push_back(place ? place->type : nullptr);
  }
  for (const Value& row : rows) {
    std::vector<Cell> cells;
    for (std::size_t c = 0; c < columns.size(); ++c)
      cells.push_back(table_cell(types[c], row.get(columns[c]), now));
    table.rows.push_back(std::move(cells));
  }
  return table;
}

namespace {

std::string_view last_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// The field's name; of settings, and of those that share it, what a table calls it: drs, cpu_limit.
std::string csv_title(std::string_view path, const std::vector<std::string_view>& columns) {
  auto same = [&](std::string_view each) { return last_of(each) == last_of(path); };
  if (std::ranges::count_if(columns, same) < 2 && !path.starts_with("settings/"))
    return std::string(last_of(path));
  std::string title = column_title(path);
  for (char& c : title) c = c == ' ' ? '_' : static_cast<char>(std::tolower(c));
  return title;
}

}  // namespace

std::string make_csv(const std::vector<std::string_view>& columns, const Value::List& rows,
                     bool titles) {
  std::string out;
  std::vector<std::string> fields;
  for (std::string_view path : columns) fields.push_back(csv_title(path, columns));
  if (titles) out += csv_line(fields);
  for (const Value& row : rows) {
    for (std::size_t c = 0; c < columns.size(); ++c) fields[c] = csv_field(row.get(columns[c]));
    out += csv_line(fields);
  }
  return out;
}

namespace {

// What `show` leaves out: nothing, zeros that mean "none", and what repeats itself. Not what
// somebody has switched off.
bool says_nothing(const Value& value) {
  if (value.is_empty()) return true;
  if (value.is_number()) return value.number() == 0;
  if (value.is_bool()) return !value.boolean();
  if (!value.is_object()) return false;
  return std::ranges::all_of(value.members(),
                             [](const Member& member) { return says_nothing(member.value); });
}

class Describer {
 public:
  // With `switches`, what is off is shown too.
  Describer(Time now, const TableStyle& style, bool switches)
      : now_(now), style_(style), switches_(switches) {}

  void object(const Type& type, const Value& value, std::size_t indent) {
    // The name before all else.
    const Field* meta = type.find("meta");
    if (meta && is_block(type, *meta, value)) block(*meta, value.get("meta"), indent);
    std::size_t width = 0;
    for (const Field& field : type.fields)
      if (is_line(type, field, value)) width = std::max(width, field.name.size());
    for (const Field& field : type.fields)
      if (is_line(type, field, value)) line(field, value.get(field.name), indent, width);
    for (const Field& field : type.fields)
      if (&field != meta && is_block(type, field, value))
        block(field, value.get(field.name), indent);
  }

  std::string take() { return std::move(out_); }

 private:
  static bool holds_structs(const Field& field) {
    const Type& type = unwrap(field.type());
    return type.kind == Kind::kStruct ||
           (type.kind == Kind::kList && unwrap(type.element()).kind == Kind::kStruct);
  }
  bool is_shown(const Type& type, const Field& field, const Value& object) const {
    const Value* value = object.find(field.name);
    if (value == nullptr) return false;
    if (!says_nothing(*value)) return true;
    if (value->is_bool() && switches_) return true;
    // It is not what it would be if nobody had said anything.
    if (!value->is_bool() && !value->is_number()) return false;
    const Value* usual = default_of(type).find(field.name);
    return usual != nullptr && !usual->is_null() && !says_nothing(*usual);
  }
  bool is_line(const Type& type, const Field& field, const Value& object) const {
    return is_shown(type, field, object) && !holds_structs(field);
  }
  bool is_block(const Type& type, const Field& field, const Value& object) const {
    return is_shown(type, field, object) && holds_structs(field);
  }

  void line(const Field& field, const Value& value, std::size_t indent, std::size_t width) {
    const Type& type = unwrap(field.type());
    Cell cell = table_cell(&type, value, now_);
    if (type.kind == Kind::kTime) cell.text += fmt::format(" ({})", printable(value.text()));
    std::size_t left = indent + width + 2;
    std::size_t room = style_.width > left + 10 ? style_.width - left : 0;
    if (room > 0 && field.limits.max_length > 4096) cell.text = clip(cell.text, room);
    out_.append(indent, ' ');
    out_ += coloured(pad(field.name, width), Tone::kFaint, style_.colours) + "  ";
    out_ += coloured(cell.text, cell.tone, style_.colours) + "\n";
  }

  void block(const Field& field, const Value& value, std::size_t indent) {
    const Type& type = unwrap(field.type());
    out_.append(indent, ' ');
    out_ += coloured(field.name, Tone::kStrong, style_.colours) + "\n";
    if (type.kind == Kind::kStruct)
      object(type, value, indent + 2);
    else
      rows(unwrap(type.element()), value.items(), indent + 2);
  }

  void rows(const Type& type, const Value::List& items, std::size_t indent) {
    std::vector<std::string_view> columns;
    for (const Field& field : type.fields)
      if (std::ranges::any_of(items,
                              [&](const Value& item) { return is_shown(type, field, item); }))
        columns.push_back(field.name);
    TableStyle style = style_;
    style.indent = indent;
    out_ += render_table(make_table(type, columns, items, now_), style);
  }

  Time now_;
  TableStyle style_;
  bool switches_;
  std::string out_;
};

}  // namespace

std::string describe_object(const Type& type, const Value& object, Time now,
                            const TableStyle& style) {
  // Their switches decide what happens by itself.
  const bool switches = type.name == "Cluster" || type.name == "Pool";
  Describer describer(now, style, switches);
  describer.object(type, object, 0);
  return describer.take();
}

}  // namespace chorok::cli
