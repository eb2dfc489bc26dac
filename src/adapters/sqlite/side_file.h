// A database beside the store: history, plans. Nothing is lost that could not be done without, so
// one that is damaged is put aside and begun anew.
#pragma once

#include <memory>
#include <string>

#include "adapters/sqlite/db.h"
#include "base/log.h"

namespace chorok::sqlite {

struct SideFile {
  std::string path;  // ":memory:" for tests and simulations
  int application = 0;
  int version = 1;
  int cache_kib = 4096;
  const char* schema = "";  // with its first rows
  const char* probe = "";   // answers where the file is whole
};

// Readable by its owner alone. No fsync a transaction: what a power cut takes is the last seconds'.
// Errors: written by a newer version; what the system says.
Result<std::unique_ptr<Db>> open_side_file(const SideFile& file, const Log& log);

}  // namespace chorok::sqlite
