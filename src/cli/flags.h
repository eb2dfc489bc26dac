// From what was typed to JSON, guided by the reflection tables: "2G" is 2048 where the field counts
// in MiB, "5m" is 300 where it is a duration, "name=root,size=10G" is an object where it is a
// struct. What the API would refuse for its form is refused here, with the flag's name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "cli/value.h"

namespace chorok::cli {

// Text that begins with '{' or '[' is taken as JSON for structs, lists and maps.
Result<Value> value_from_text(const Type& type, std::string_view text);
// "a=1,b=x" for a struct; a bool may stand alone ("keep"). A comma in a value is written "\,".
Result<Value> struct_from_text(const Type& type, std::string_view text);
// "k=v" for labels; several joined by commas.
Result<Value> map_from_text(const Type& type, std::string_view text);
// "spec.memory=2G" set in `object` at that path of `root`; "spec.memory=" resets it to its default.
Result<> set_from_text(Value& object, const Type& root, std::string_view assignment);

// The same for a whole object from a file: text where the field wants a number, as in `memory: 2G`.
Result<Value> object_from_people(const Type& type, Value value, const std::string& path = {});

// The names a struct's fields can have on input.
std::vector<std::string_view> input_fields(const Type& type);
// Splits at commas that no backslash stands before.
std::vector<std::string> split_commas(std::string_view text);

}  // namespace chorok::cli
