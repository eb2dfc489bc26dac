#include "adapters/storage/resolve.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace chorok::adapters::storage {

namespace {

constexpr std::size_t kMaxPath = 1024;

// 0 when `relative` exists beneath `root`, else an errno.
int look_beneath(int root, const std::string& relative) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: something moved while the kernel looked; it cannot say yes, so ask again.
  for (int tries = 0; tries < 16; ++tries) {
    auto fd = static_cast<int>(syscall(SYS_openat2, root, relative.c_str(), &how, sizeof(how)));
    if (fd >= 0) {
      close(fd);
      return 0;
    }
    if (errno != EAGAIN) return errno;
  }
  return EXDEV;
}

Result<> check_words(const std::string& relative) {
  if (relative.empty() || relative.size() > kMaxPath || relative.front() == '/')
    return fail(Code::kInvalid,
                fmt::format("'{}' is not a path beneath the datastore: it must be relative, and "
                            "at most {} bytes long",
                            relative.substr(0, 200), kMaxPath));
  for (unsigned char c : relative)
    if (c < 0x20 || c == 0x7f)
      return fail(Code::kInvalid, "a path must not hold control characters");
  for (const auto& part : std::filesystem::path(relative))
    if (part == ".." || part == "." || part.empty())
      return fail(Code::kInvalid, fmt::format("'{}' must be spelt without '.', '..' or a slash at "
                                              "its end",
                                              relative));
  return {};
}

}  // namespace

Result<std::string> resolve_beneath(const std::string& root, const std::string& relative) {
  TRY(check_words(relative));
  int folder = open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return fail(Code::kUnavailable, fmt::format("the datastore at {} cannot be opened: {}", root,
                                                std::strerror(errno)));
  // Everything that exists of the path, from its longest part down.
  std::filesystem::path part(relative);
  int rc = look_beneath(folder, part.string());
  while (rc == ENOENT && part.has_parent_path()) {
    // A dangling link is not "nothing there": what it names would be made outside.
    bool dangling = std::filesystem::is_symlink(std::filesystem::path(root) / part);
    rc = dangling ? EXDEV : look_beneath(folder, part.parent_path().string());
    if (rc == 0) break;
    part = part.parent_path();
  }
  if (rc == ENOENT && std::filesystem::is_symlink(std::filesystem::path(root) / part)) rc = EXDEV;
  close(folder);
  if (rc == EXDEV || rc == ELOOP)
    return fail(Code::kInvalid, fmt::format("'{}' leads out of its datastore {}", relative, root));
  if (rc != 0 && rc != ENOENT)
    return fail(Code::kFailedPrecondition, fmt::format("'{}' beneath {} cannot be reached: {}",
                                                       relative, root, std::strerror(rc)));
  return (std::filesystem::path(root) / relative).string();
}

}  // namespace chorok::adapters::storage
