// YAML out (own, quoting whatever another reader could take for something else) and in (libyaml-cpp
// parses, this decides what is a number by YAML 1.2's core schema).
#pragma once

#include <string>
#include <string_view>

#include "cli/value.h"

namespace chorok::cli {

std::string to_yaml(const Value& value);
// One document. JSON is YAML, so this reads both.
Result<Value> parse_yaml(std::string_view text);

}  // namespace chorok::cli
