// RFC 7396 merge patches between two JSON values, and the part of an object that people may change.
#pragma once

#include "base/reflect.h"
#include "cli/value.h"

namespace chorok::cli {

// What turns `before` into `after`; an empty object when they are the same.
Value merge_patch(const Value& before, const Value& after);
// Without read-only fields.
Value writable_part(const Type& type, const Value& object);

}  // namespace chorok::cli
