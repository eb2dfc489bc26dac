#include "adapters/power/sleep.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "adapters/power/text.h"

namespace chorok::adapters::power {

namespace {

bool is_hook_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' && name.front() != '-' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

// Not by a link: what it leads to may be anybody's.
Result<> check_owner(const std::string& path, mode_t kind, const HookOptions& options) {
  struct stat found{};
  if (lstat(path.c_str(), &found) != 0)
    return fail(Code::kNotFound, fmt::format("{}: {}", path, std::strerror(errno)));
  if ((found.st_mode & S_IFMT) != kind)
    return fail(Code::kPermissionDenied,
                fmt::format("{} is not a {}", path, kind == S_IFDIR ? "folder" : "plain file"));
  if (found.st_uid != options.owner || (found.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(Code::kPermissionDenied,
                fmt::format("{} must belong to user {} and be writable by nobody else (chown root, "
                            "chmod go-w)",
                            path, options.owner));
  return {};
}

Result<std::string> read_all(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::array<char, 256> text{};
  ssize_t got = fd < 0 ? -1 : read(fd, text.data(), text.size());
  int error = errno;
  if (fd >= 0) close(fd);
  if (got < 0) return fail(Code::kUnsupported, fmt::format("{}: {}", path, std::strerror(error)));
  return std::string(text.data(), static_cast<std::size_t>(got));
}

Result<> write_all(const std::string& path, std::string_view text) {
  int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ssize_t put = fd < 0 ? -1 : write(fd, text.data(), text.size());
  int error = errno;
  if (fd >= 0) close(fd);
  if (put != static_cast<ssize_t>(text.size()))
    return fail(Code::kUnavailable, fmt::format("{}: {}", path, std::strerror(error)));
  return {};
}

}  // namespace

Result<std::string> run_hook(const HookOptions& options, std::string_view name,
                             const work::StopFlag& stop) {
  if (!is_hook_name(name))
    return fail(Code::kInvalid, "a hook is the name of a script: letters, digits, - _ .");
  const std::string path = fmt::format("{}/{}", options.folder, name);
  TRY(check_owner(options.folder, S_IFDIR, options));
  TRY(check_owner(path, S_IFREG, options));
  if (access(path.c_str(), X_OK) != 0)
    return fail(Code::kPermissionDenied, fmt::format("{} is not executable (chmod u+x)", path));
  auto ended = work::run_process({path}, {.total = options.limit, .max_output = 64 << 10}, stop);
  if (!ended && ended.error().code == Code::kTimeout)
    return fail(Code::kUnknown, ended.error().message);
  if (!ended) return Unexpected(ended.error());
  if (ended->exit_code != 0)
    return fail(Code::kFailedPrecondition,
                fmt::format("{} ended with {}: {}", path, ended->exit_code,
                            last_line(ended->errors + ended->output)));
  return std::move(ended->output);
}

Result<> can_suspend(const SuspendOptions& options) {
  const std::string states = TRY(read_all(options.state));
  if (!(" " + std::string(trimmed(states)) + " ").contains(" mem "))
    return fail(Code::kUnsupported, fmt::format("{} offers no 'mem'", options.state));
  TRY(read_all(options.rtc + "/wakealarm"));
  return {};
}

Result<> suspend(const SuspendOptions& options, Duration wake_after) {
  const auto after_s = std::chrono::ceil<std::chrono::seconds>(wake_after).count();
  if (after_s < 1) return fail(Code::kInvalid, "a host that sleeps needs a time to wake");
  TRY(can_suspend(options));
  const std::string alarm = options.rtc + "/wakealarm";
  TRY(write_all(alarm, "0"));  // an alarm that is set cannot be set again
  TRY(write_all(alarm, fmt::format("+{}", after_s)));
  if (trimmed(TRY(read_all(alarm))).empty())
    return fail(Code::kUnsupported, fmt::format("{} keeps no alarm: the host stays on", alarm));
  return write_all(options.state, "mem");
}

}  // namespace chorok::adapters::power
