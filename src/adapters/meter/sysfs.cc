#include "adapters/meter/sysfs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

namespace chorok::adapters::meter {

Result<std::string> read_line(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  std::array<char, 256> text{};
  ssize_t got = fd < 0 ? -1 : read(fd, text.data(), text.size());
  int error = errno;
  if (fd >= 0) close(fd);
  if (got < 0) {
    Code code = error == ENOENT || error == ENOTDIR ? Code::kNotFound
                : error == EACCES || error == EPERM ? Code::kPermissionDenied
                                                    : Code::kUnavailable;
    return fail(code, fmt::format("{}: {}", path, std::strerror(error)));
  }
  std::string line(text.data(), static_cast<std::size_t>(got));
  return line.substr(0, line.find('\n'));
}

Result<std::uint64_t> read_number(const std::string& path) {
  std::string line = TRY(read_line(path));
  std::uint64_t number = 0;
  auto [rest, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (error != std::errc() || rest != line.data() + line.size())
    return fail(Code::kInvalid, fmt::format("{} holds no number", path));
  return number;
}

std::vector<std::string> list(const std::string& folder, std::string_view prefix) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    if (name.starts_with(prefix)) names.push_back(std::move(name));
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace chorok::adapters::meter
