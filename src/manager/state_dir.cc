#include "manager/state_dir.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>

#include "adapters/sqlite/sqlite_store.h"
#include "crypto/random.h"
#include "crypto/seal.h"
#include "manager/http_await.h"
#include "manager/http_service.h"

namespace chorok::manager {
namespace {

Unexpected system_error(std::string_view what, const std::string& path) {
  const int reason = errno;
  const Code code = reason == ENOENT   ? Code::kNotFound
                    : reason == EEXIST ? Code::kAlreadyExists
                    : reason == ENOSPC ? Code::kExhausted
                    : reason == EACCES ? Code::kPermissionDenied
                                       : Code::kFailedPrecondition;
  return fail(code, fmt::format("cannot {} {}: {}", what, path, std::strerror(reason)));
}

Result<> make_folder(const std::string& path) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    if (::mkdir(path.substr(0, at).c_str(), 0755) != 0 && errno != EEXIST)
      return system_error("make", path.substr(0, at));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return system_error("make", path);
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return system_error("look at", path);
  if (!S_ISDIR(info.st_mode))
    return fail(Code::kFailedPrecondition, fmt::format("{} is no folder", path));
  return {};
}

bool is_address(const std::string& name) {
  unsigned char out[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, name.c_str(), out) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), out) == 1;
}

std::vector<std::string> local_addresses() {
  std::vector<std::string> out;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return out;
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    char text[INET6_ADDRSTRLEN];
    if (each->ifa_addr->sa_family == AF_INET) {
      const auto* in = reinterpret_cast<const sockaddr_in*>(each->ifa_addr);
      out.emplace_back(::inet_ntop(AF_INET, &in->sin_addr, text, sizeof text));
    } else if (each->ifa_addr->sa_family == AF_INET6) {
      const auto* in = reinterpret_cast<const sockaddr_in6*>(each->ifa_addr);
      if (!IN6_IS_ADDR_LINKLOCAL(&in->sin6_addr))  // means nothing without its interface
        out.emplace_back(::inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text));
    }
  }
  ::freeifaddrs(all);
  return out;
}

// Engine and accounts of a manager that nobody can reach, long enough to make the admin.
class Maker {
 public:
  Maker(const StateDir& state, const Pki& pki) : state_(state), pki_(pki) {}

  Result<> make_admin(const InitRequest& request, InitAnswer& answer) {
    auto store = sqlite::SqliteStore::open(loop_, {.path = state_.store()});
    if (!store) return Unexpected(store.error());
    ServiceSettings settings;
    settings.engine.owner = fmt::format("init-{}", crypto::random_text(8));
    std::optional<Result<>> result;
    {
      Service service(loop_, **store, pki_, std::move(settings));
      net::spawn(loop_.executor(), work(service, request, answer, result), "init");
      loop_.run();
    }
    store->reset();
    return std::move(*result);
  }

 private:
  net::awaitable<void> work(Service& service, const InitRequest& request, InitAnswer& answer,
                            std::optional<Result<>>& result) {
    result.emplace(co_await make(service, request, answer));
    if (auto stopped = co_await service.stop(); !stopped && *result) result.emplace(stopped);
    loop_.stop();
  }

  net::Async<> make(Service& service, const InitRequest& request, InitAnswer& answer) {
    CO_TRY(co_await service.start());
    if (service.engine().inventory().users().find_name(request.admin) != nullptr) {
      answer.lines.push_back(fmt::format("user '{}' exists, with its password", request.admin));
      co_return Result<>{};
    }
    std::string password = request.password;
    if (password.empty()) password = answer.password = crypto::random_text(20);
    Result<> made = co_await until_done<Result<>>([&](Done<Result<>> done) {
      service.accounts().create_admin(request.admin, std::move(password), std::move(done));
    });
    if (made) answer.lines.push_back(fmt::format("made user '{}', an admin", request.admin));
    co_return made;
  }

  StateDir state_;
  const Pki& pki_;
  net::AsioLoop loop_;
};

}  // namespace

Result<std::string> read_text_file(const std::string& path, std::size_t bytes_max) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error("read", path);
  std::string out;
  char buffer[16384];
  ssize_t got = 0;
  while (out.size() <= bytes_max && (got = ::read(fd, buffer, sizeof buffer)) > 0)
    out.append(buffer, static_cast<std::size_t>(got));
  ::close(fd);
  if (got < 0) return system_error("read", path);
  if (out.size() > bytes_max)
    return fail(Code::kExhausted, fmt::format("{} is larger than {} bytes", path, bytes_max));
  return out;
}

Result<> write_text_file(const std::string& path, std::string_view text, unsigned mode) {
  const std::string partial = path + ".partial";
  ::unlink(partial.c_str());
  const int fd = ::open(partial.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
  if (fd < 0) return system_error("write", partial);
  bool is_written = true;
  while (is_written && !text.empty()) {
    const ssize_t count = ::write(fd, text.data(), text.size());
    is_written = count > 0;
    if (is_written) text.remove_prefix(static_cast<std::size_t>(count));
  }
  is_written = is_written && ::fsync(fd) == 0;
  ::close(fd);
  if (!is_written || ::rename(partial.c_str(), path.c_str()) != 0)
    return system_error("write", path);
  return {};
}

Result<> StateDir::make() const {
  TRY(make_folder(path));
  return make_folder(pki());
}

Result<std::vector<std::string>> StateDir::extra_names() const {
  auto text = read_text_file(names());
  if (!text && text.error().code == Code::kNotFound) return std::vector<std::string>{};
  if (!text) return Unexpected(text.error());
  std::vector<std::string> out;
  std::string_view rest = *text;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.empty()) out.emplace_back(line);
  }
  return out;
}

Result<> StateDir::add_names(const std::vector<std::string>& more) const {
  auto all = TRY(extra_names());
  const std::size_t before = all.size();
  for (const std::string& name : more) {
    const bool is_name = !name.empty() && name.size() <= 253 &&
                         name.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX"
                             "YZ0123456789.-:") == std::string::npos;
    if (!is_name)
      return fail(Code::kInvalid, fmt::format("'{}' is neither a host name nor an address", name),
                  "--address");
    if (std::ranges::find(all, name) == all.end()) all.push_back(name);
  }
  if (all.size() == before) return {};
  return write_text_file(names(), fmt::format("{}\n", fmt::join(all, "\n")), 0644);
}

PeerNames server_names(const std::vector<std::string>& extra) {
  std::set<std::string> dns = {"localhost"}, ips = {"127.0.0.1", "::1"};
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) == 0 && host[0] != '\0') dns.insert(host);
  for (std::string& address : local_addresses()) ips.insert(std::move(address));
  for (const std::string& name : extra) (is_address(name) ? ips : dns).insert(name);
  return {{dns.begin(), dns.end()}, {ips.begin(), ips.end()}};
}

Result<InitAnswer> init_state(const InitRequest& request) {
  InitAnswer answer;
  const StateDir& state = request.state;
  TRY(state.make());
  TRY(state.add_names(request.names));
  const Time now = std::chrono::system_clock::now();
  auto pki = Pki::create(state.pki(), now);
  if (pki) {
    answer.lines.push_back("made the cluster's CA in " + state.pki());
  } else if (pki.error().code == Code::kAlreadyExists) {
    pki = Pki::open(state.pki());
    answer.lines.push_back("the CA exists in " + state.pki());
  }
  if (!pki) return Unexpected(pki.error());
  answer.ca_sha256 = pki->ca_sha256();
  TRY(crypto::SealingKey::load_or_create(state.seal_key()));
  TRY(pki->server_identity(server_names(TRY(state.extra_names())), now));
  TRY(Maker(state, *pki).make_admin(request, answer));
  answer.lines.push_back("the store is " + state.store());
  return answer;
}

}  // namespace chorok::manager
