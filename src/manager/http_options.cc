#include "manager/http_options.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "base/reflect.h"

namespace chorok::manager {

Result<Options> Options::parse(std::span<const std::string_view> args,
                               std::span<const OptionSpec> specs) {
  Options out;
  for (std::size_t i = 0; i < args.size(); ++i) {
    std::string_view arg = args[i];
    if (!arg.starts_with("--")) {
      out.rest_.emplace_back(arg);
      continue;
    }
    arg.remove_prefix(2);
    const std::size_t equals = arg.find('=');
    const std::string_view name = arg.substr(0, equals);
    auto spec = std::ranges::find(specs, name, &OptionSpec::name);
    if (spec == specs.end()) {
      std::vector<std::string_view> known;
      for (const OptionSpec& each : specs) known.push_back(each.name);
      std::string_view near = nearest(name, known);
      return fail(Code::kInvalid,
                  near.empty()
                      ? fmt::format("there is no option --{}", name)
                      : fmt::format("there is no option --{}; did you mean --{}?", name, near));
    }
    std::string_view value;
    if (equals != std::string_view::npos) {
      value = arg.substr(equals + 1);
    } else if (!spec->value.empty()) {
      if (++i == args.size())
        return fail(Code::kInvalid, fmt::format("--{} takes {}", name, spec->value));
      value = args[i];
    }
    out.values_[std::string(name)].emplace_back(value);
  }
  return out;
}

std::string Options::get(std::string_view name, std::string_view otherwise) const {
  auto it = values_.find(name);
  return it == values_.end() ? std::string(otherwise) : it->second.back();
}

std::vector<std::string> Options::all(std::string_view name) const {
  auto it = values_.find(name);
  return it == values_.end() ? std::vector<std::string>{} : it->second;
}

Result<long> Options::number(std::string_view name, long otherwise, long min, long max) const {
  if (!has(name)) return otherwise;
  const std::string text = get(name);
  long value = 0;
  auto [at, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (bad != std::errc() || at != text.data() + text.size() || value < min || value > max)
    return fail(Code::kInvalid, fmt::format("--{} takes a number, {} to {}", name, min, max));
  return value;
}

std::string help_of(std::span<const OptionSpec> specs) {
  std::string out;
  for (const OptionSpec& spec : specs)
    out += fmt::format(
        "  {:<34} {}\n",
        fmt::format("--{}{}{}", spec.name, spec.value.empty() ? "" : " ", spec.value), spec.doc);
  return out;
}

Result<ListenAddress> parse_listen(std::string_view text) {
  ListenAddress out;
  const std::size_t colon = text.rfind(':');
  std::string_view address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']'))
    address = address.substr(1, address.size() - 2);
  const char* end = text.data() + text.size();
  bool is_good = colon != std::string_view::npos && !address.empty();
  if (is_good) {
    auto [at, bad] = std::from_chars(text.data() + colon + 1, end, out.port);
    is_good = bad == std::errc() && at == end;
  }
  if (!is_good)
    return fail(
        Code::kInvalid,
        fmt::format("'{}' is no address to listen on; write 0.0.0.0:8443 or [::]:8443", text));
  out.address = address;
  return out;
}

void sd_notify(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un to{};
  if (path == nullptr || std::strlen(path) >= sizeof to.sun_path || path[0] == '\0') return;
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, path, std::strlen(path));
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  // Best effort: whoever does not listen does not want to know.
  (void)::sendto(fd, state.data(), state.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&to), size);
  ::close(fd);
}

void tune_allocator() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

}  // namespace chorok::manager
