#include "agent/dialer.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/random.h"
#include "link/rpc_channel.h"

namespace chorok::agent {
namespace {

constexpr std::string_view kPath = "/agent/v1";

// Half of it to one and a half.
Duration jittered(Duration time) {
  std::uint32_t bits = 0;
  crypto::random_bytes(&bits, sizeof bits);
  return from_seconds(seconds(time) * (0.5 + static_cast<double>(bits) / 4294967296.0));
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 307 || status == 308;
}

}  // namespace

Result<ManagerLink> ManagerLink::create(const net::Executor& executor, const std::string& url,
                                        const Pki& pki) {
  ManagerLink link;
  link.url = TRY(net::parse_url(url));
  link.tls = TRY(tls_context(pki));
  net::HttpClientSettings settings;
  settings.tls = link.tls;
  link.client = std::make_shared<net::HttpClient>(executor, std::move(settings));
  return link;
}

net::Url ManagerLink::at(std::string_view scheme, std::string target) const {
  net::Url there = url;
  there.scheme = std::string(scheme);
  there.target = std::move(target);
  return there;
}

struct Dialer::State : std::enable_shared_from_this<State> {
  State(net::Executor on, AgentCore& agent, ManagerLink& way, DialerSettings with)
      : executor(std::move(on)), core(agent), link(way), settings(with), detached(executor) {}

  net::awaitable<void> run();
  net::Async<std::shared_ptr<net::WebSocket>> dial();
  net::awaitable<void> converse(std::shared_ptr<net::WebSocket> socket);
  void complain(const Error& error);

  net::Executor executor;
  AgentCore& core;
  ManagerLink& link;
  DialerSettings settings;
  Log log{"dialer"};
  std::string last_complaint;
  bool stopped = false;
  bool is_attached = false;
  bool was_welcomed = false;
  net::AsyncEvent detached;
  std::function<void(bool, std::string)> changed;
};

Dialer::Dialer(const net::Executor& executor, AgentCore& core, ManagerLink& link,
               DialerSettings settings)
    : state_(std::make_shared<State>(executor, core, link, settings)) {}

Dialer::~Dialer() {
  state_->stopped = true;
  state_->core.on_detached(nullptr);
  state_->core.on_welcome(nullptr);
  state_->detached.notify_all();
}

void Dialer::on_change(std::function<void(bool, std::string)> fn) {
  state_->changed = std::move(fn);
}

void Dialer::start() {
  state_->core.on_detached([state = state_](const Error& why) {
    state->is_attached = false;
    state->detached.notify_all();
    if (state->changed) state->changed(false, why.message);
  });
  state_->core.on_welcome([state = state_](const model::Welcome& welcome) {
    state->was_welcomed = true;
    if (state->changed)
      state->changed(true,
                     fmt::format("to {} as '{}'", state->link.url.authority(), welcome.host_name));
  });
  net::spawn(state_->executor, state_->run(), "dialer");
}

net::awaitable<void> Dialer::State::run() {
  auto self = shared_from_this();
  Duration backoff = settings.backoff_first;
  while (!stopped) {
    auto socket = co_await dial();
    if (stopped) break;
    if (socket) {
      co_await converse(std::move(*socket));
      if (was_welcomed) backoff = settings.backoff_first;
    } else {
      complain(socket.error());
    }
    if (stopped) break;
    co_await net::sleep_for(jittered(backoff));
    backoff = std::min(backoff * 2, settings.backoff_most);
  }
}

// The same words every few seconds tell nobody anything.
void Dialer::State::complain(const Error& error) {
  if (error.message == last_complaint) return;
  last_complaint = error.message;
  log.warn("cannot reach the manager at {}: {}; trying on", link.url.to_string(), error.message);
}

net::Async<std::shared_ptr<net::WebSocket>> Dialer::State::dial() {
  const net::Url home = link.url;
  net::WebSocketSettings socket;
  socket.ping_interval = settings.ping_interval;
  net::Url url = link.at("wss", std::string(kPath));
  for (int hop = 0; hop <= settings.redirects_max; ++hop) {
    net::ClientResponse refusal;
    auto client = link.client;
    auto opened = co_await client->open_websocket(url, {}, socket, &refusal);
    if (opened) {
      link.url.host = url.host;
      link.url.port = url.port;
      co_return opened;
    }
    link.url = home;
    if (!is_redirect(refusal.status)) co_return opened;
    net::Url leader = CO_TRY(net::parse_url(refusal.headers.get("Location")));
    if (!leader.is_secure())
      co_return fail(Code::kInvalid, "the manager redirects to an address without TLS");
    url.host = leader.host;
    url.port = leader.port;
  }
  co_return fail(Code::kUnavailable, "the managers redirect to each other; no leader is known");
}

net::awaitable<void> Dialer::State::converse(std::shared_ptr<net::WebSocket> socket) {
  last_complaint.clear();
  auto channel = link::RpcChannel::create(executor, net::websocket_transport(std::move(socket)),
                                          AgentCore::methods());
  is_attached = true;
  was_welcomed = false;
  core.attach(channel);
  net::spawn(executor, channel->run(), "agent link");
  channel.reset();
  while (is_attached && !stopped) co_await detached.wait();
}

}  // namespace chorok::agent
