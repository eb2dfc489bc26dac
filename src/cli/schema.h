// Questions to the reflection tables: what stands at a path, what a field holds when nobody says,
// and `chorok explain`.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/reflect.h"
#include "cli/value.h"

namespace chorok::cli {

// An optional's own type.
const Type& unwrap(const Type& type);

struct Place {
  const Type* type = nullptr;  // unwrapped
  const Field* field = nullptr;
};
// "status/ips": looks through optionals, and through lists into their elements.
std::optional<Place> resolve(const Type& type, std::string_view path);

// A fresh object of a described struct, as the API would show it; null for one that is unknown.
const Value& default_of(const Type& type);

// "2.0 GiB" for 2048 of a type that counts in MiB, "true" for true, "[]" for an empty list.
std::string value_words(const Type& type, const Value& value);
// "integer, MiB", "list of DiskSpec", "one of qcow2, raw".
std::string type_words(const Type& type);
// "16 MiB .. 24 TiB", "at most 63 bytes, a name", "required".
std::string limit_words(const Field& field);

// "vm", "vm.spec.memory", "vm.migrate": text for people.
Result<std::string> explain(std::string_view what, std::size_t width);
// The same as JSON Schema.
Result<std::string> explain_schema(std::string_view what);

}  // namespace chorok::cli
