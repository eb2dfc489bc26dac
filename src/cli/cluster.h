// A cluster's use (GET /clusters/{ref}/use) as text: one table for CPU, one for memory, each thing
// indented below what it is in.
#pragma once

#include <string>

#include "cli/table.h"
#include "cli/value.h"

namespace chorok::cli {

std::string use_tables(const Value& use, const TableStyle& style);

}  // namespace chorok::cli
