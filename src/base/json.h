// JSON in and out of described structs (base/reflect.h). Decoding is strict: every wrong value is
// an Error with a JSON pointer, an unknown field is an error with the nearest known name, and
// depth, counts, lengths and numbers are bounded before anything is built. Times are RFC 3339 in
// UTC, durations are seconds.
#pragma once

#include <string>
#include <string_view>

#include "base/reflect.h"
#include "base/result.h"

namespace chorok::json {

struct DecodeOptions {
  std::size_t max_bytes = 1 << 20;  // a request body; stored records have the store's own bound
  std::size_t max_depth = 32;       // deeper than any described struct goes
  // Records that this program or its predecessor wrote: unknown fields are skipped (a newer version
  // may have written them) and read-only fields are taken.
  bool stored = false;
};

struct EncodeOptions {
  bool secrets = false;  // write fields marked secret (to the store, never to an API client)
  bool defaults = true;  // write fields that hold their default value; required ones always are
  bool pretty = false;   // two spaces of indentation
};

std::string encode(const Type& type, const void* object, const EncodeOptions& options = {});
// Appends to `out`; for callers that assemble a larger document.
void encode_to(std::string& out, const Type& type, const void* object,
               const EncodeOptions& options = {});

// On an error the object is left partly filled: decode into a fresh one.
Result<> decode(const Type& type, void* object, std::string_view text,
                const DecodeOptions& options = {});

template <class T>
std::string encode(const T& value, const EncodeOptions& options = {}) {
  return encode(type_of<T>(), &value, options);
}

template <class T>
Result<T> decode(std::string_view text, const DecodeOptions& options = {}) {
  T value{};
  TRY(decode(type_of<T>(), &value, text, options));
  return value;
}

// RFC 7396 merge patch of `patch` onto `object`: fields that are present are replaced, `null`
// resets to the default, structs merge, lists are replaced whole.
Result<> merge(const Type& type, void* object, std::string_view patch,
               const DecodeOptions& options = {});

// `text` as a JSON string literal with its quotes.
std::string quoted(std::string_view text);

// RFC 3339 with milliseconds, "2026-11-21T22:24:48.123Z"; the epoch itself is "" (never).
std::string format_time(Time time);
Result<Time> parse_time(std::string_view text);

// JSON Schema (2020-12, as OpenAPI 3.1 uses it) of a type; structs below it as $ref into
// `#/components/schemas/`.
std::string schema(const Type& type);

}  // namespace chorok::json
