#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "agent/journal.h"

namespace chorok::agent {
namespace {

Unexpected file_error(std::string_view what, const std::string& path) {
  const int error = errno;
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return fail(full ? Code::kExhausted : Code::kFailedPrecondition,
              fmt::format("cannot {} {}: {}", what, path, std::strerror(error)));
}

Result<> write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error("write", path);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

class FileMedium final : public JournalMedium {
 public:
  FileMedium(std::string path, int fd, int lock) : path_(std::move(path)), fd_(fd), lock_(lock) {}
  ~FileMedium() override {
    ::close(fd_);
    ::close(lock_);
  }

  Result<std::string> read() override;
  Result<> append(std::string_view bytes, bool durable) override;
  Result<> replace(std::string_view content) override;

 private:
  std::string path_;
  int fd_;
  int lock_;
};

Result<std::string> FileMedium::read() {
  std::string content;
  char buffer[65536];
  off_t at = 0;
  for (;;) {
    const ssize_t n = ::pread(fd_, buffer, sizeof buffer, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error("read", path_);
    if (n == 0) return content;
    content.append(buffer, static_cast<std::size_t>(n));
    at += n;
  }
}

Result<> FileMedium::append(std::string_view bytes, bool durable) {
  const off_t before = ::lseek(fd_, 0, SEEK_END);
  if (before < 0) return file_error("seek in", path_);
  auto undo = [&](Error error) -> Result<> {
    // Half a record would be glued to the next one.
    if (::ftruncate(fd_, before) != 0) error.message += "; and its torn tail stays";
    return Unexpected(std::move(error));
  };
  if (auto written = write_all(fd_, bytes, path_); !written) return undo(written.error());
  if (durable && ::fdatasync(fd_) != 0) return undo(file_error("sync", path_).error());
  return {};
}

Result<> FileMedium::replace(std::string_view content) {
  const std::string fresh = path_ + ".new";
  const int fd = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return file_error("create", fresh);
  auto give_up = [&](Error error) -> Result<> {
    ::close(fd);
    ::unlink(fresh.c_str());
    return Unexpected(std::move(error));
  };
  if (auto written = write_all(fd, content, fresh); !written) return give_up(written.error());
  if (::fsync(fd) != 0) return give_up(file_error("sync", fresh).error());
  if (::rename(fresh.c_str(), path_.c_str()) != 0)
    return give_up(file_error("replace", path_).error());
  ::close(fd_);
  fd_ = fd;
  const std::string folder = path_.substr(0, path_.rfind('/') + 1);
  const int dir = ::open(folder.empty() ? "." : folder.c_str(), O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    // Without it a crash of the machine may bring the old journal back, which is longer, not wrong.
    (void)::fsync(dir);
    ::close(dir);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<JournalMedium>> open_journal_file(const std::string& path) {
  // The lock has a file of its own, because compaction replaces the journal.
  const std::string lock_path = path + ".lock";
  const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return file_error("open", lock_path);
  if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock);
    return fail(Code::kConflict,
                fmt::format("another chorok-agent runs on this host: it holds {}", lock_path));
  }
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) {
    auto error = file_error("open", path);
    ::close(lock);
    return error;
  }
  return std::make_unique<FileMedium>(path, fd, lock);
}

}  // namespace chorok::agent
