// A value of a known type as a cell of a table, as a field of CSV, and whole objects as `show`
// prints them. Units come from the reflection tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "cli/table.h"
#include "cli/value.h"

namespace chorok::cli {

// For people: "2.0 GiB", "3 min ago", "yes". `type` may be null: shown as it is.
Cell table_cell(const Type* type, const Value& value, Time now);
// For programs: 2048, 2026-11-21T22:24:48.123Z, true.
std::string csv_field(const Value& value);

// "status/host_name" -> "HOST", "inventory/cpu/model" -> "CPU MODEL".
std::string column_title(std::string_view path);

// Rows of a kind under these columns (paths as in resource_kinds).
Table make_table(const Type& type, const std::vector<std::string_view>& columns,
                 const Value::List& rows, Time now);
std::string make_csv(const std::vector<std::string_view>& columns, const Value::List& rows,
                     bool titles);

// Everything of one object that says something, nested by indentation; lists of structs as tables.
std::string describe_object(const Type& type, const Value& object, Time now,
                            const TableStyle& style);

}  // namespace chorok::cli
