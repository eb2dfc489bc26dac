#include "adapters/sqlite/lock_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace chorok::sqlite {
namespace {

std::string holder(int fd) {
  char text[32] = {};
  const ssize_t size = ::pread(fd, text, sizeof text - 1, 0);
  std::string pid(text, size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return pid.empty() ? "another process" : "process " + pid;
}

}  // namespace

Result<LockFile> LockFile::take(const std::string& path) {
  const std::string name = path + ".lock";
  LockFile lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd_ < 0)
    return fail(Code::kFailedPrecondition, fmt::format("Cannot open {}: {}. Check that its folder "
                                                       "exists and may be written.",
                                                       name, std::strerror(errno)));
  if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0)
    return fail(Code::kUnavailable,
                fmt::format("{} is open in {}: stop that one first.", path, holder(lock.fd_)));
  // Only to name the holder in that message: on a full disk it stays empty.
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock.fd_, 0) == 0) (void)!::pwrite(lock.fd_, pid.data(), pid.size(), 0);
  return lock;
}

LockFile::LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

LockFile::~LockFile() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace chorok::sqlite
