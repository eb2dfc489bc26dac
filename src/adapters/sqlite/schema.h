// The tables, as a list of migrations: version n is what the first n of them made. A file that is
// older is brought up in one transaction a step, after a copy of it was put aside; one that is
// newer is refused.
#pragma once

#include <span>
#include <string_view>

#include "adapters/sqlite/db.h"

namespace chorok::sqlite {

struct Migration {
  std::string_view what;
  std::string_view sql;
};

// Marks a file as Chorok's ("chrk"), so that another program's database is never written to.
inline constexpr std::int64_t kApplicationId = 0x6368726b;

std::span<const Migration> migrations();

// The version of the file, 0 for an empty one, without writing to it. kFailedPrecondition: another
// program's, or of a newer version.
Result<std::int64_t> check_version(Db& db, std::span<const Migration> steps = migrations());

// Empty file: made. Older: copied to `PATH.before-vN` and migrated. kInternal: a migration failed
// (the file is as before).
Result<> bring_up(Db& db, std::span<const Migration> steps = migrations());

}  // namespace chorok::sqlite
