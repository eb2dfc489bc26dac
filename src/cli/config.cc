#include "cli/config.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/json.h"

namespace chorok::cli {

const Type& ContextConfig::type() {
  static const Type kType =
      describe<ContextConfig>("ContextConfig", "One manager, as one user.")
          .field("url", &ContextConfig::url, "", {.max_length = 1024, .pattern = Pattern::kAny})
          .field("user", &ContextConfig::user, "", {.pattern = Pattern::kAny})
          .field("token", &ContextConfig::token, "",
                 {.max_length = 4096, .pattern = Pattern::kAny, .secret = true})
          .field("expires", &ContextConfig::expires, "")
          .field("ca", &ContextConfig::ca, "", {.max_length = 1 << 16, .pattern = Pattern::kAny});
  return kType;
}

const Type& Config::type() {
  static const Type kType = describe<Config>("Config", "Of the program chorok.")
                                .field("current", &Config::current, "", {.pattern = Pattern::kAny})
                                .field("contexts", &Config::contexts, "");
  return kType;
}

const ContextConfig* Config::find(const std::string& name) const {
  auto it = contexts.find(name);
  return it == contexts.end() ? nullptr : &it->second;
}

const ContextConfig* Config::find_url(const std::string& url) const {
  const ContextConfig* now = find(current);
  if (now && now->url == url) return now;
  for (const auto& [name, context] : contexts)
    if (context.url == url) return &context;
  return nullptr;
}

namespace {

Unexpected system_fail(Code code, std::string_view what, const std::string& path) {
  return fail(code, fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return system_fail(errno == ENOENT ? Code::kNotFound : Code::kFailedPrecondition, "cannot open",
                       path);
  std::string text;
  char part[65536];
  ssize_t got = 0;
  while ((got = ::read(fd, part, sizeof part)) > 0 && text.size() <= bytes_max)
    text.append(part, static_cast<std::size_t>(got));
  ::close(fd);
  if (got < 0) return system_fail(Code::kFailedPrecondition, "cannot read", path);
  if (text.size() > bytes_max)
    return fail(Code::kExhausted, fmt::format("{} is larger than {} bytes", path, bytes_max));
  return text;
}

Result<Config> load_config(const std::string& path) {
  auto text = read_file(path);
  if (!text && text.error().code == Code::kNotFound) return Config{};
  if (!text) return std::unexpected(text.error());
  auto config = json::decode<Config>(*text, {.stored = true});
  if (!config) return std::unexpected(config.error().within(path));
  return config;
}

Result<> save_config(const std::string& path, const Config& config) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  std::string text = json::encode(config, {.secrets = true, .defaults = false, .pretty = true});
  std::string fresh = fmt::format("{}.{}", path, ::getpid());
  int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return system_fail(Code::kFailedPrecondition, "cannot write", fresh);
  text += '\n';
  bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                 ::fsync(fd) == 0;
  ::close(fd);
  if (written && ::rename(fresh.c_str(), path.c_str()) == 0) return {};
  auto failed = system_fail(Code::kExhausted, "cannot write", path);
  ::unlink(fresh.c_str());
  return failed;
}

}  // namespace chorok::cli
