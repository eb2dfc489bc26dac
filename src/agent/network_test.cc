// The agent's program against a manager of sockets and TLS: joining, dialling, streams, files.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "agent/datastore_files.h"
#include "agent/dialer.h"
#include "agent/files.h"
#include "agent/join.h"
#include "agent/streams.h"
#include "base/json.h"
#include "crypto/sha256.h"
#include "crypto/token.h"
#include "crypto/x509.h"
#include "link/rpc_channel.h"
#include "net/asio_loop.h"
#include "sim/fake_world.h"

namespace chorok::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::string_view kMethods[] = {"hello", "observe", "beat", "op.done", "op.progress"};

Time now() {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
}

// As much of a manager as an agent sees, on a thread of its own.
class ManagerThread {
 public:
  ManagerThread() : ca(*crypto::CertificateAuthority::create("test CA", now())) {
    auto identity = *ca.issue({.common_name = "manager", .ip_addresses = {"127.0.0.1"}}, now());
    auto tls = *net::TlsServerContext::create({identity.certificate_pem, identity.key_pem},
                                              ca.certificate_pem());
    server = std::make_unique<net::HttpServer>(
        loop.executor(), [this](net::Request& request) { return handle(request); });
    port = *server->listen("127.0.0.1", 0, tls);
    thread = std::thread([this] { loop.run(); });
  }
  ~ManagerThread() {
    loop.post([this] {
      if (channel) channel->close("over");
      channel.reset();
      net::spawn(
          loop.executor(),
          [](ManagerThread& self) -> net::awaitable<void> {
            co_await self.server->stop(milliseconds(100));
            self.loop.stop();
          }(*this),
          "stop");
    });
    thread.join();
  }

  std::string url() const { return fmt::format("https://127.0.0.1:{}", port); }
  Pki host_pki() const {
    auto made = *crypto::make_key_and_csr("host1");
    auto certificate = *ca.sign_csr(made.csr_pem,
                                    {.common_name = "host-1",
                                     .ip_addresses = {"127.0.0.1"},
                                     .uris = {"chorok://host/host-1"},
                                     .client = true},
                                    now());
    return {made.key_pem, certificate, ca.certificate_pem()};
  }

  crypto::CertificateAuthority ca;
  net::AsioLoop loop;
  std::unique_ptr<net::HttpServer> server;
  std::uint16_t port = 0;
  std::thread thread;
  std::shared_ptr<link::RpcChannel> channel;
  std::string body = "the bytes of a file";
  std::atomic<int> hellos = 0;
  std::atomic<int> redirects = 0;  // answers still to be redirects
  std::atomic<int> echoed = 0;

 private:
  net::awaitable<net::Response> handle(net::Request& request) {
    if (request.path == "/api/v1/join") co_return join(request);
    if (!request.certificate) co_return net::Response::problem(401, "who are you?");
    if (request.path == "/agent/v1/renew") co_return join(request);
    if (request.path == "/agent/v1/transfer/t1") co_return net::Response::text(200, body);
    if (request.path == "/agent/v1/stream/t2")
      co_return net::Response::websocket(
          [this](std::shared_ptr<net::WebSocket> socket) { return talk(std::move(socket)); });
    if (request.path != "/agent/v1") co_return net::Response::problem(404, "no such path");
    if (redirects > 0) {
      --redirects;
      net::Response away;
      away.status = 307;
      away.headers.set("Location", url() + "/agent/v1");
      co_return away;
    }
    co_return net::Response::websocket(
        [this](std::shared_ptr<net::WebSocket> socket) { return serve(std::move(socket)); });
  }
  net::Response join(const net::Request& request) {
    auto wanted = json::decode<model::JoinRequest>(request.body, {.stored = true});
    auto certificate = ca.sign_csr(wanted->csr,
                                   {.common_name = "host-1",
                                    .ip_addresses = {wanted->address},
                                    .uris = {"chorok://host/host-1"},
                                    .client = true},
                                   now());
    if (!certificate) return net::Response::problem(certificate.error());
    return net::Response::json(
        json::encode(model::JoinAnswer{"host-1", *certificate, ca.certificate_pem()}));
  }
  net::awaitable<void> serve(std::shared_ptr<net::WebSocket> socket) {
    channel = link::RpcChannel::create(loop.executor(), net::websocket_transport(std::move(socket)),
                                       kMethods);
    channel->on_call(
        [this](const std::string& method, const std::string&, ports::Channel::Reply reply) {
          if (method != "hello") return reply("{}");
          ++hellos;
          reply(json::encode(model::Welcome{.term = 1, .host_name = "host1", .config = {}}));
        });
    co_await channel->run();
  }
  net::awaitable<void> talk(std::shared_ptr<net::WebSocket> socket) {
    co_await socket->send_binary("ls\n");
    while (auto message = co_await socket->receive()) {
      echoed += static_cast<int>(message->data.size());
      if (message->data.find("ls") != std::string::npos) co_await socket->close();
    }
  }
};

class Network : public ::testing::Test {
 protected:
  Network() {
    char name[] = "/tmp/chorok-agent-XXXXXX";
    folder = ::mkdtemp(name);
  }
  ~Network() override { std::filesystem::remove_all(folder); }

  bool wait(const std::function<bool()>& done, Duration limit = seconds(10)) {
    const Time until = loop.now() + limit;
    while (!done() && loop.now() < until) {
      loop.after(milliseconds(5), [&] { loop.stop(); });
      loop.run();
    }
    return done();
  }
  template <class T, class Call>
  Result<T> ask(Call call) {
    std::optional<Result<T>> answer;
    call([&](Result<T> result) { answer.emplace(std::move(result)); });
    wait([&] { return answer.has_value(); });
    return answer ? std::move(*answer) : fail(Code::kTimeout, "no answer");
  }

  std::string folder;
  ManagerThread manager;
  net::AsioLoop loop;
  sim::FakeWorld world{loop};
  sim::HostIndex host = world.add_host({.name = "host1"});
  std::unique_ptr<ports::Hypervisor> hypervisor = world.open_hypervisor(host);
  std::unique_ptr<ports::Storage> storage = world.open_storage(host);
  MemoryMedium medium;
  std::unique_ptr<Journal> journal = *Journal::open(medium);
};

TEST_F(Network, JoinsOnce) {
  const auto token = crypto::make_join_token(manager.ca.sha256());
  JoinOptions options{.url = manager.url(), .token = token.text, .name = "host1"};
  options.config = folder + "/etc";
  options.state = folder + "/state";
  auto joined = join(options);
  ASSERT_TRUE(joined) << joined.error().message;
  EXPECT_EQ(joined->host, "host-1");
  EXPECT_EQ(joined->address, "127.0.0.1");
  EXPECT_TRUE(std::filesystem::exists(folder + "/etc/pki/servercert.pem"));
  EXPECT_EQ(load_settings(options.config)->url, joined->url);
  EXPECT_EQ(join(options).error().code, Code::kAlreadyExists);

  auto link = ManagerLink::create(loop.executor(), joined->url, *load_pki(options.config));
  ASSERT_TRUE(link);
  auto renewed = ask<Pki>([&](Done<Result<Pki>> done) {
    net::run_then<Pki>(loop.executor(), renew(*link->client, *joined, *load_pki(options.config)),
                       std::move(done));
  });
  ASSERT_TRUE(renewed) << renewed.error().message;
  EXPECT_NE(renewed->certificate, load_pki(options.config)->certificate);
}

TEST_F(Network, JoinsNobodyElse) {
  const auto other = *crypto::CertificateAuthority::create("other CA", now());
  JoinOptions options{
      .url = manager.url(), .token = crypto::make_join_token(other.sha256()).text, .name = "host1"};
  options.config = folder + "/etc";
  EXPECT_EQ(join(options).error().code, Code::kUnauthenticated);
  EXPECT_FALSE(std::filesystem::exists(folder + "/etc/agent.toml"));
  options.token = "chj_nonsense";
  EXPECT_EQ(join(options).error().code, Code::kInvalid);
  options.url = "http://127.0.0.1";
  EXPECT_EQ(join(options).error().code, Code::kInvalid);
}

TEST_F(Network, DialsFollowsAndDialsAgain) {
  manager.redirects = 2;
  auto link = *ManagerLink::create(loop.executor(), manager.url(), manager.host_pki());
  AgentCore core(loop, *hypervisor, *storage, *journal, {.host = "host-1"});
  Dialer dialer(loop.executor(), core, link, {.backoff_first = milliseconds(20)});
  std::vector<bool> changes;
  dialer.on_change([&](bool connected, const std::string&) { changes.push_back(connected); });
  dialer.start();
  ASSERT_TRUE(wait([&] { return core.connected(); }));
  EXPECT_EQ(manager.hellos, 1);
  manager.loop.post([&] { manager.channel->close("the manager restarts"); });
  ASSERT_TRUE(wait([&] { return manager.hellos == 2 && core.connected(); }));
  EXPECT_EQ(changes, (std::vector<bool>{true, false, true}));
}

TEST_F(Network, KeepsTryingWhereNobodyIs) {
  auto link = *ManagerLink::create(loop.executor(), "https://127.0.0.1:1", manager.host_pki());
  AgentCore core(loop, *hypervisor, *storage, *journal, {.host = "host-1"});
  Dialer dialer(loop.executor(), core, link,
                {.backoff_first = milliseconds(5), .backoff_most = milliseconds(20)});
  dialer.start();
  EXPECT_FALSE(wait([&] { return core.connected(); }, milliseconds(200)));
  link.url.port = manager.port;
  EXPECT_TRUE(wait([&] { return core.connected(); }));
}

TEST_F(Network, PumpsAConsoleBothWays) {
  model::DomainSpec spec{.uuid = "uuid-a", .vm = "vm-a", .name = "a"};
  spec.spec.memory = Mib{256};
  ASSERT_TRUE(ask<void>([&](auto done) { hypervisor->define(spec, std::move(done)); }));
  ASSERT_TRUE(ask<void>([&](auto done) { hypervisor->start("uuid-a", false, std::move(done)); }));
  auto link = *ManagerLink::create(loop.executor(), manager.url(), manager.host_pki());
  NetStreams streams(loop, loop.executor(), *hypervisor, link);
  auto opened = ask<void>([&](auto done) {
    streams.open({.ticket = "t2", .kind = "console", .uuid = "uuid-a"}, std::move(done));
  });
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_TRUE(wait([&] { return manager.echoed > 0; }));
  auto refused = ask<void>([&](auto done) {
    streams.open({.ticket = "t3", .kind = "console", .uuid = "uuid-a"}, std::move(done));
  });
  EXPECT_FALSE(refused);
  refused = ask<void>([&](auto done) {
    streams.open({.ticket = "t2", .kind = "seance", .uuid = "uuid-a"}, std::move(done));
  });
  EXPECT_EQ(refused.error().code, Code::kInvalid);
}

class Files : public Network {
 protected:
  Files() : link(*ManagerLink::create(loop.executor(), manager.url(), manager.host_pki())) {
    std::filesystem::create_directories(folder + "/ds");
    root = folder + "/ds";
  }
  Result<model::FileInfo> receive(model::FileRequest request) {
    NetStreams streams(loop, loop.executor(), *hypervisor, link);
    return ask<model::FileInfo>(
        [&](auto done) { streams.receive(std::move(request), root, std::move(done)); });
  }
  std::size_t count_files() {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root))
      count += entry.is_regular_file();
    return count;
  }
  ManagerLink link;
  std::string root;
};

TEST_F(Files, ReceivesWholeFilesOrNone) {
  const std::string sum = crypto::sha256_hex(manager.body);
  auto info = receive(
      {.ticket = "t1", .path = "iso/debian.iso", .sha256 = sum, .size = manager.body.size()});
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->sha256, sum);
  EXPECT_EQ(info->size, manager.body.size());
  EXPECT_EQ(info->format, "raw");
  EXPECT_EQ(*read_file(root + "/iso/debian.iso"), manager.body);
  EXPECT_EQ(receive({.ticket = "t1", .path = "b", .sha256 = std::string(64, '0')}).error().code,
            Code::kInvalid);
  EXPECT_EQ(receive({.ticket = "t1", .path = "b", .size = 3}).error().code, Code::kInvalid);
  EXPECT_EQ(receive({.ticket = "gone", .path = "b"}).error().code, Code::kNotFound);
  EXPECT_EQ(count_files(), 1u);
}

TEST_F(Files, RefusesImagesThatReferToOthers) {
  std::string image(512, '\0');
  image.replace(0, 8, std::string("QFI\xfb\0\0\0\3", 8));
  manager.body = image;
  EXPECT_EQ(receive({.ticket = "t1", .path = "ok.qcow2"})->format, "qcow2");
  image[15] = 1;  // backing file offset
  manager.body = image;
  EXPECT_EQ(receive({.ticket = "t1", .path = "thin.qcow2"}).error().code, Code::kInvalid);
  image[15] = 0;
  image[79] = 4;  // incompatible feature: external data file
  manager.body = image;
  EXPECT_EQ(receive({.ticket = "t1", .path = "apart.qcow2"}).error().code, Code::kInvalid);
  EXPECT_EQ(count_files(), 1u);
}

TEST_F(Files, NeverLeaveTheDatastore) {
  std::filesystem::create_directory_symlink("/tmp", root + "/out");
  for (const char* path : {"../x", "a/../../x", "/../x", "out/x", ".hidden", "a/.b", "", "/"})
    EXPECT_FALSE(receive({.ticket = "t1", .path = path})) << path;
  EXPECT_FALSE(std::filesystem::exists("/tmp/x"));
  std::ofstream(folder + "/secret") << "s";
  std::filesystem::create_symlink(folder + "/secret", root + "/link");
  EXPECT_TRUE(remove_file_beneath(root, "link"));  // the link itself
  EXPECT_TRUE(std::filesystem::exists(folder + "/secret"));
  EXPECT_FALSE(remove_file_beneath(root, "../secret"));
  EXPECT_FALSE(remove_file_beneath(root, "out/../../secret"));
}

TEST_F(Files, ListsAndRemoves) {
  std::filesystem::create_directories(root + "/iso");
  std::ofstream(root + "/iso/a.iso") << "a";
  std::ofstream(root + "/b.img") << "bb";
  std::ofstream(root + "/.chorok-datastore") << "id";
  auto all = list_files(root, "");
  ASSERT_EQ(all->items.size(), 2u);
  EXPECT_EQ(all->items[0].path, "b.img");
  EXPECT_EQ(all->items[0].size, 2u);
  EXPECT_EQ(all->items[1].path, "iso/a.iso");
  EXPECT_EQ(list_files(root, "iso/")->items.size(), 1u);
  EXPECT_TRUE(remove_file_beneath(root, "iso/a.iso"));
  EXPECT_TRUE(remove_file_beneath(root, "iso/a.iso"));
  EXPECT_TRUE(remove_file_beneath(root, "nowhere/a.iso"));
  EXPECT_EQ(remove_file_beneath(root, "iso").error().code, Code::kInvalid);
  EXPECT_EQ(list_files(root, "")->items.size(), 1u);
  EXPECT_FALSE(list_files(folder + "/gone", ""));
}

TEST_F(Files, ListsNoMoreThanAMessageHolds) {
  for (int i = 0; i < 3000; ++i) std::ofstream(fmt::format("{}/file-{}", root, i)) << "x";
  EXPECT_LT(json::encode(*list_files(root, "")).size(), 256u * 1024);
}

}  // namespace
}  // namespace chorok::agent
