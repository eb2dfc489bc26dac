// One process a store: `PATH.lock` is locked as long as the store is open and holds the process id
// of who has it. The kernel lets go of it when that process ends, however it ends.
#pragma once

#include <string>

#include "base/result.h"

namespace chorok::sqlite {

class LockFile {
 public:
  // kUnavailable names the process that holds it.
  static Result<LockFile> take(const std::string& path);
  LockFile(LockFile&& other) noexcept;
  LockFile& operator=(LockFile&&) = delete;
  ~LockFile();

 private:
  explicit LockFile(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace chorok::sqlite
