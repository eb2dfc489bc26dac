#include "agent/join.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>

#include "agent/files.h"
#include "base/json.h"
#include "crypto/token.h"
#include "crypto/x509.h"
#include "model/protocol.h"

namespace chorok::agent {
namespace {

Time now() {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

std::string own_name() {
  char buffer[256] = {};
  if (::gethostname(buffer, sizeof buffer - 1) != 0) return "host";
  std::string name(buffer);
  return name.substr(0, name.find('.'));
}

std::string text_of(const sockaddr_storage& address) {
  char buffer[INET6_ADDRSTRLEN] = {};
  const void* from =
      address.ss_family == AF_INET6
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(&address)->sin6_addr)
          : &reinterpret_cast<const sockaddr_in*>(&address)->sin_addr;
  return ::inet_ntop(address.ss_family, from, buffer, sizeof buffer) ? buffer : "";
}

// The address that packets to the manager leave from. Connecting a UDP socket sends none.
std::string own_address_towards(const net::Url& url) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(url.port == 0 ? 443 : url.port);
  if (::getaddrinfo(url.host.c_str(), port.c_str(), &hints, &found) != 0) return {};
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> release(found, &::freeaddrinfo);
  const int fd = ::socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return {};
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  const bool known = ::connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0;
  ::close(fd);
  return known ? text_of(own) : std::string();
}

Result<net::Url> manager_url(const std::string& text) {
  net::Url url = TRY(net::parse_url(text));
  if (url.scheme != "https")
    return fail(Code::kInvalid, fmt::format("'{}' is no https:// address", text));
  url.target = "/";
  return url;
}

Result<model::JoinAnswer> ask(const net::Url& manager, const model::JoinRequest& request,
                              const std::string& ca_sha256) {
  net::HttpClientSettings settings;
  settings.tls = TRY(net::TlsClientContext::with_fingerprint(ca_sha256));
  net::BlockingHttpClient client(std::move(settings));
  net::ClientRequest post{.method = "POST", .url = manager};
  post.url.target = "/api/v1/join";
  post.headers.set("Content-Type", "application/json");
  post.body = json::encode(request, {.secrets = true});
  const net::ClientResponse response = TRY(client.send(std::move(post)));
  if (!response.is_ok()) return Unexpected(net::error_from_problem(response.status, response.body));
  return json::decode<model::JoinAnswer>(response.body, {.stored = true});
}

Result<> check(const Pki& pki, std::string_view ca_sha256) {
  if (TRY(crypto::certificate_sha256(pki.ca)) != ca_sha256)
    return fail(Code::kUnauthenticated, "the manager answered with another CA than the token's");
  TRY(crypto::check_key_fits(pki.key, pki.certificate));
  TRY(crypto::verify_certificate(pki.certificate, pki.ca, "", now()));
  return {};
}

}  // namespace

Result<AgentSettings> join(const JoinOptions& options) {
  if (auto before = load_settings(options.config))
    return fail(Code::kAlreadyExists,
                fmt::format("this host has joined {} as '{}'; run chorok-agent leave first",
                            before->url, before->name));
  const net::Url url = TRY(manager_url(options.url));
  const auto token = TRY(crypto::parse_join_token(options.token));
  AgentSettings settings{.url = url.to_string(), .name = options.name, .address = options.address};
  settings.state = options.state;
  if (settings.name.empty()) settings.name = own_name();
  if (settings.address.empty()) settings.address = own_address_towards(url);
  auto made = TRY(crypto::make_key_and_csr(settings.name));
  const model::JoinRequest request{.token = options.token,
                                   .csr = made.csr_pem,
                                   .name = settings.name,
                                   .address = settings.address};
  model::JoinAnswer answer = TRY(ask(url, request, token.ca_sha256));
  settings.host = answer.id;
  Pki pki{.key = made.key_pem, .certificate = answer.certificate, .ca = answer.ca};
  TRY(check(pki, token.ca_sha256));
  TRY(make_folder(options.state, 0700));
  TRY(save_pki(options.config, pki));
  TRY(save_settings(options.config, settings));
  return settings;
}

net::Async<Pki> renew(net::HttpClient& client, AgentSettings settings, Pki present) {
  auto made = CO_TRY(crypto::make_key_and_csr(settings.name));
  const model::JoinRequest request{
      .csr = made.csr_pem, .name = settings.name, .address = settings.address};
  net::ClientRequest post{.method = "POST", .url = CO_TRY(manager_url(settings.url))};
  post.url.target = "/agent/v1/renew";
  post.headers.set("Content-Type", "application/json");
  post.body = json::encode(request, {.secrets = true});
  const net::ClientResponse response = CO_TRY(co_await client.send(std::move(post)));
  if (!response.is_ok())
    co_return Unexpected(net::error_from_problem(response.status, response.body));
  auto answer = CO_TRY(json::decode<model::JoinAnswer>(response.body, {.stored = true}));
  Pki pki{.key = made.key_pem, .certificate = answer.certificate, .ca = answer.ca};
  // The same CA: another one would have to be trusted by people first.
  CO_TRY(check(pki, CO_TRY(crypto::certificate_sha256(present.ca))));
  co_return pki;
}

}  // namespace chorok::agent
