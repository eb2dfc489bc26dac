#include "simulation/hosts_apart.h"

#include <csignal>
#include <optional>

#include "base/json.h"
#include "base/log.h"
#include "base/reflect.h"
#include "link/rpc_channel.h"
#include "manager/http_await.h"
#include "net/json_rpc.h"
#include "net/websocket.h"

namespace chorok::simulation {
namespace {

constexpr std::string_view kMethods[] = {"begin", "bmc.status", "bmc.act"};
constexpr Duration kTimeout = std::chrono::minutes(2);  // a BMC's own limits are shorter
constexpr std::size_t kAtOnce = 200;                    // a peer takes 256

struct BmcCall {
  std::string host;
  model::PowerAction action = model::PowerAction::kOn;
  std::string operation;
  std::int64_t term = 0;
  static const Type& type() {
    static const Type kType = describe<BmcCall>("BmcCall", "")
                                  .field("host", &BmcCall::host, "")
                                  .field("action", &BmcCall::action, "")
                                  .field("operation", &BmcCall::operation, "")
                                  .field("term", &BmcCall::term, "");
    return kType;
  }
};

struct BmcSaid {
  model::ChassisPower power = model::ChassisPower::kUnknown;
  static const Type& type() {
    static const Type kType = describe<BmcSaid>("BmcSaid", "").field("power", &BmcSaid::power, "");
    return kType;
  }
};

class HostsApart {
 public:
  explicit HostsApart(const ApartSettings& settings) : settings_(settings) {}

  int run() {
    loop_.on_signals({SIGTERM, SIGINT}, [this](int) { loop_.stop(); });
    net::spawn(loop_.executor(), serve(), "hosts apart");
    loop_.run();
    machines_.reset();
    return 0;
  }

 private:
  net::awaitable<void> serve() {
    auto served = co_await accept();
    if (!served) Log("sim").error("hosts apart: {}", served.error().message);
    loop_.stop();
  }

  net::Async<> accept() {
    auto listener = CO_TRY(net::listen_unix(loop_.executor(), settings_.socket));
    auto stream = CO_TRY(co_await listener->accept());
    auto socket = net::WebSocket::create(std::move(stream), net::WebSocketRole::kServer);
    auto channel = link::RpcChannel::create(loop_.executor(),
                                            net::websocket_transport(std::move(socket)), kMethods);
    channel->on_call(
        [this](const std::string& method, const std::string& params, ports::Channel::Reply reply) {
          if (method == "begin") return begin(std::move(reply));
          auto call = json::decode<BmcCall>(params);
          if (!call) return reply(Unexpected(call.error()));
          bmc(method, *call, std::move(reply));
        });
    co_await channel->run();
    co_return Result<>{};
  }

  void begin(ports::Channel::Reply reply) {
    machines_ = std::make_unique<Machines>(
        loop_, nullptr, ways_over_tls(loop_, settings_.manager, settings_.identities),
        MachineSettings{.time_scale = settings_.time_scale});
    machines_->add_alike(settings_.hosts);
    reply("{}");
  }

  void bmc(const std::string& method, const BmcCall& call, ports::Channel::Reply reply) {
    ports::PowerSwitch* bmc = machines_ == nullptr ? nullptr : machines_->bmc(call.host);
    if (bmc == nullptr) return reply(fail(Code::kNotFound, "there is no such BMC"));
    if (method == "bmc.status") {
      bmc->status([reply = std::move(reply)](Result<model::ChassisPower> power) mutable {
        if (!power) return reply(Unexpected(power.error()));
        reply(json::encode(BmcSaid{*power}));
      });
      return;
    }
    bmc->act(call.action, {.operation = call.operation, .term = call.term},
             [reply = std::move(reply)](Result<> result) mutable {
               if (!result) return reply(Unexpected(result.error()));
               reply("{}");
             });
  }

  const ApartSettings& settings_;
  net::AsioLoop loop_;
  std::unique_ptr<Machines> machines_;
};

}  // namespace

int run_hosts_apart(const ApartSettings& settings) {
  return HostsApart(settings).run();
}

class ApartBmcs::Bmc final : public ports::PowerSwitch {
 public:
  Bmc(ApartBmcs& all, std::string host) : all_(all), host_(std::move(host)) {}

  void capabilities(Done<Result<model::PowerCapabilities>> done) override {
    all_.loop_.post([done = std::move(done)]() mutable {
      done(model::PowerCapabilities{.status = true,
                                    .on = true,
                                    .off = true,
                                    .shutdown = true,
                                    .cycle = true,
                                    .driver = "simulated"});
    });
  }
  void status(Done<Result<model::ChassisPower>> done) override {
    all_.ask({"bmc.status", json::encode(BmcCall{.host = host_}),
              [done = std::move(done)](Result<std::string> answer) mutable {
                if (!answer) return done(Unexpected(answer.error()));
                auto said = json::decode<BmcSaid>(*answer);
                if (!said) return done(Unexpected(said.error()));
                done(said->power);
              }});
  }
  void act(model::PowerAction action, ports::PowerOrder order, Done<Result<>> done) override {
    const BmcCall call{host_, action, std::move(order.operation), order.term};
    all_.ask({"bmc.act", json::encode(call),
              [done = std::move(done)](Result<std::string> answer) mutable {
                if (!answer) return done(Unexpected(answer.error()));
                done({});
              }});
  }

 private:
  ApartBmcs& all_;
  std::string host_;
};

ApartBmcs::ApartBmcs(net::AsioLoop& loop) : loop_(loop) {}

ApartBmcs::~ApartBmcs() {
  *alive_ = false;
}

net::Async<> ApartBmcs::begin(std::string socket) {
  std::optional<Result<net::StreamPtr>> stream;
  for (int attempt = 0; attempt < 500 && (!stream || !*stream); ++attempt) {
    if (attempt > 0) co_await net::sleep_for(std::chrono::milliseconds(20));
    stream = co_await net::connect_unix(socket);
  }
  if (!*stream) co_return Unexpected(stream->error());
  auto transport = net::websocket_transport(
      net::WebSocket::create(std::move(**stream), net::WebSocketRole::kClient));
  auto channel = link::RpcChannel::create(loop_.executor(), std::move(transport), {});
  net::spawn(loop_.executor(), channel->run(), "BMCs apart");
  channel_ = channel;
  auto begun =
      co_await manager::until_done<Result<std::string>>([&](Done<Result<std::string>> done) {
        channel->call("begin", "{}", kTimeout, std::move(done));
      });
  if (!begun) co_return Unexpected(begun.error());
  co_return Result<>{};
}

ports::PowerSwitch* ApartBmcs::find(const model::Host& host) {
  std::unique_ptr<Bmc>& bmc = bmcs_[host.meta.id];
  if (bmc == nullptr) bmc = std::make_unique<Bmc>(*this, host.meta.id);
  return bmc.get();
}

void ApartBmcs::ask(Asked asked) {
  waiting_.push_back(std::move(asked));
  send_next();
}

void ApartBmcs::send_next() {
  if (channel_ == nullptr || waiting_.empty() || asked_ >= kAtOnce) return;
  Asked next = std::move(waiting_.front());
  waiting_.pop_front();
  ++asked_;
  channel_->call(
      std::move(next.method), std::move(next.params), kTimeout,
      [this, alive = alive_, reply = std::move(next.reply)](Result<std::string> answer) mutable {
        if (!*alive) return;
        --asked_;
        reply(std::move(answer));
        if (*alive) send_next();
      });
}

}  // namespace chorok::simulation
