#include "cli/whole_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace chorok::cli {

namespace {

Unexpected cannot(const std::string& path, int error) {
  return fail(Code::kInvalid, fmt::format("cannot write {}: {}; give a file in a folder that "
                                          "exists and that you may write to",
                                          path, std::strerror(error)));
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

bool write_to(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t count = ::write(fd, content.data(), content.size());
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) content.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool is_special(const std::string& path) {
  struct stat there{};
  return ::stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode);
}

Result<> write_special(const std::string& path, std::string_view content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return cannot(path, errno);
  const bool written = write_to(fd, content);
  const int error = errno;
  ::close(fd);
  if (!written) return cannot(path, error);
  return {};
}

}  // namespace

Result<> check_writable(const std::string& path) {
  if (is_special(path)) {
    if (std::filesystem::is_directory(path)) return cannot(path, EISDIR);
    if (::access(path.c_str(), W_OK) != 0) return cannot(path, errno);
    return {};
  }
  if (::access(folder_of(path).c_str(), W_OK | X_OK) != 0) return cannot(path, errno);
  return {};
}

Result<> write_whole(const std::string& path, std::string_view content) {
  if (is_special(path)) return write_special(path, content);
  // A name in the same folder: renaming does not go from one file system to another.
  std::string beside = folder_of(path) + "/.chorok-XXXXXX";
  const int fd = ::mkostemp(beside.data(), O_CLOEXEC);
  if (fd < 0) return cannot(path, errno);
  // As a plain file would be made: mkostemp makes one for its owner alone.
  const mode_t mask = ::umask(0);
  ::umask(mask);
  bool written = write_to(fd, content) && ::fchmod(fd, 0666 & ~mask) == 0;
  written = ::close(fd) == 0 && written;
  if (written && ::rename(beside.c_str(), path.c_str()) == 0) return {};
  const int error = errno;
  ::unlink(beside.c_str());
  return cannot(path, error);
}

std::string temporary_folder() {
  const char* named = std::getenv("TMPDIR");
  return named != nullptr && *named != '\0' ? named : "/tmp";
}

}  // namespace chorok::cli
