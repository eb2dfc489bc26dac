#include "manager/http_webhook.h"

#include "net/http_client.h"
#include "net/tls.h"

namespace chorok::manager {

namespace {

constexpr Duration kLimit = std::chrono::seconds(10);
constexpr std::uint64_t kAnswerMax = 64 * 1024;  // nobody reads it

net::Async<int> send(net::Executor executor, WebhookPost post) {
  net::ClientRequest request;
  request.method = "POST";
  request.url = CO_TRY(net::parse_url(post.url));
  request.timeout = kLimit;
  for (auto& [name, value] : post.headers) request.headers.add(name, value);
  request.body = std::move(post.body);
  net::HttpClientSettings settings;
  settings.body_bytes_max = kAnswerMax;
  settings.idle_connections_max = 0;
  if (request.url.is_secure()) settings.tls = CO_TRY(net::TlsClientContext::with_ca(post.ca));
  net::HttpClient client(executor, std::move(settings));
  const auto answer = CO_TRY(co_await client.send(std::move(request)));
  co_return answer.status;
}

net::awaitable<void> run(net::Executor executor, WebhookPost post, Done<Result<int>> done) {
  done(co_await send(std::move(executor), std::move(post)));
}

}  // namespace

PostWebhook http_webhook_post(const net::Executor& executor) {
  return [executor](WebhookPost post, Done<Result<int>> done) {
    net::spawn(executor, run(executor, std::move(post), std::move(done)), "webhook");
  };
}

}  // namespace chorok::manager
