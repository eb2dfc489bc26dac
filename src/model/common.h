// What every thing in the inventory has: an id that never changes, a name people use, labels, a
// folder, notes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/reflect.h"

namespace chorok::model {

struct Meta {
  std::string id;    // given by Chorok, "vm-…"; never reused
  std::string name;  // unique within its kind
  std::map<std::string, std::string> labels;
  std::string folder;  // path in the inventory tree, "" is the root
  std::string notes;
  Time created{};
  Time modified{};
  std::uint64_t revision = 0;  // of the stored record; the API's ETag

  static const Type& type();
};

// An error as a record keeps it and as the API shows it.
struct Problem {
  std::string code;
  std::string message;
  std::string field;

  static const Type& type();
};

}  // namespace chorok::model
