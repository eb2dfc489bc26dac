#include "agent/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

namespace chorok::agent {
namespace {

constexpr std::size_t kBytesMax = 1 << 20;

Unexpected system_error(std::string_view what, const std::string& path) {
  const int error = errno;
  const Code code = error == ENOENT   ? Code::kNotFound
                    : error == EACCES ? Code::kPermissionDenied
                    : error == ENOSPC ? Code::kExhausted
                                      : Code::kFailedPrecondition;
  return fail(code, fmt::format("cannot {} {}: {}", what, path, std::strerror(error)));
}

struct Fd {
  explicit Fd(int opened) : value(opened) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (value >= 0) ::close(value);
  }
  int value;
};

}  // namespace

Result<std::string> read_file(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.value < 0) return system_error("open", path);
  std::string content;
  char buffer[16384];
  for (;;) {
    const ssize_t n = ::read(fd.value, buffer, sizeof buffer);
    if (n < 0) return system_error("read", path);
    if (n == 0) return content;
    content.append(buffer, static_cast<std::size_t>(n));
    if (content.size() > kBytesMax)
      return fail(Code::kExhausted, fmt::format("{} is larger than 1 MiB", path));
  }
}

Result<> write_file(const std::string& path, std::string_view content, unsigned mode) {
  const std::string fresh = path + ".new";
  ::unlink(fresh.c_str());
  Fd fd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (fd.value < 0) return system_error("create", fresh);
  while (!content.empty()) {
    const ssize_t n = ::write(fd.value, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("write", fresh);
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  // The umask must not decide who may read it.
  if (::fchmod(fd.value, mode) != 0 || ::fsync(fd.value) != 0) return system_error("sync", fresh);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return system_error("replace", path);
  return {};
}

Result<> make_folder(const std::string& path, unsigned mode) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed)
    return fail(Code::kFailedPrecondition,
                fmt::format("cannot create {}: {}", path, failed.message()));
  if (::chmod(path.c_str(), mode) != 0) return system_error("set the mode of", path);
  return {};
}

}  // namespace chorok::agent
