#include <thread>

#include "crypto/sha256.h"
#include "link/rpc_channel.h"
#include "manager/api_test_support.h"
#include "model/protocol.h"

namespace chorok::manager {
namespace {

constexpr std::string_view kMethods[] = {"op.start",  "config",      "stream.open",  "file.receive",
                                         "file.list", "file.remove", "vm.dirty_rate"};

// An agent as the manager sees one: joins with a token, connects with its certificate, says hello.
class AgentTest : public ApiTest {
 protected:
  void TearDown() override {
    if (channel) channel->close("the test ends");
    channel.reset();
    agent_client.reset();
    ApiTest::TearDown();
  }

  Reply join(const std::string& join_token, const std::string& name) {
    auto made = crypto::make_key_and_csr(name).value();
    key = made.key_pem;
    model::JoinRequest request{join_token, made.csr_pem, name, "192.0.2.7"};
    Reply reply = call("POST", "/join", json::encode(request, {.secrets = true}),
                       {{"Authorization", "none"}});
    if (reply.status == 200) {
      host = reply.at("/id");
      net::TlsIdentity identity{reply.at("/certificate"), key};
      agent_client = make_client(&identity);
    }
    return reply;
  }
  std::string join_token() {
    Reply made = post("/tokens", R"({"purpose":"host"})");
    EXPECT_EQ(made.status, 201) << made.body;
    return made.at("/token");
  }

  net::Async<std::string> ask(std::string method, std::string params) {
    co_return co_await until_done<Result<std::string>>([&](Done<Result<std::string>> done) {
      channel->call(method, params, std::chrono::seconds(5), std::move(done));
    });
  }

  // Joined, connected, welcomed.
  void connect() {
    ASSERT_EQ(join(join_token(), "host1").status, 200);
    run([&]() -> net::awaitable<void> {
      auto socket = co_await agent_client->open_websocket(url("/agent/v1", "wss"));
      EXPECT_TRUE(socket) << socket.error().message;
      if (!socket) co_return;
      channel =
          link::RpcChannel::create(loop.executor(), net::websocket_transport(*socket), kMethods);
      channel->on_call([this](std::string method, std::string params, auto reply) {
        serve(std::move(method), std::move(params), std::move(reply));
      });
      net::spawn(loop.executor(), [link = channel]() { return link->run(); }, "agent");
      model::Hello hello;
      hello.host = host;
      hello.agent_version = "test";
      auto welcome = co_await ask("hello", json::encode(hello));
      EXPECT_TRUE(welcome) << welcome.error().message;
    });
  }
  void observe_datastore(const std::string& id) {
    model::Observation seen;
    seen.datastores.push_back({.datastore = id, .reachable = true});
    run([&]() -> net::awaitable<void> {
      auto done = co_await ask("observe", json::encode(seen));
      EXPECT_TRUE(done) << done.error().message;
    });
  }

  void serve(std::string method, std::string params, ports::Channel::Reply reply) {
    if (method == "stream.open") {
      net::spawn(loop.executor(), echo(params, std::move(reply)), "agent stream");
    } else if (method == "file.receive") {
      net::spawn(loop.executor(), fetch(params, std::move(reply)), "agent fetch");
    } else if (method == "vm.dirty_rate") {
      const auto request = json::decode<model::DirtyRateRequest>(params, {.stored = true}).value();
      dirty_request = fmt::format("{} {:.0f}s", request.uuid, seconds(request.window));
      reply(json::encode(model::DirtyRateAnswer{37.5}));
    } else if (method == "file.list") {
      reply(R"({"items":[{"path":"a.iso","size":3}]})");
    } else if (method == "file.remove") {
      reply(fail(Code::kNotFound, "there is no such file"));
    } else {
      reply("{}");
    }
  }
  net::awaitable<void> echo(std::string params, ports::Channel::Reply reply) {
    auto request = json::decode<model::StreamRequest>(params, {.stored = true}).value();
    stream_kind = request.kind;
    if (refuse_streams) {
      reply(fail(Code::kFailedPrecondition, "the guest does not run"));
      co_return;
    }
    auto socket =
        co_await agent_client->open_websocket(url("/agent/v1/stream/" + request.ticket, "wss"));
    EXPECT_TRUE(socket) << socket.error().message;
    reply("{}");
    if (!socket) co_return;
    while (auto message = co_await (*socket)->receive())
      co_await (*socket)->send_binary("echo " + message->data);
    stream_over = true;
  }
  net::awaitable<void> fetch(std::string params, ports::Channel::Reply reply) {
    auto request = json::decode<model::FileRequest>(params, {.stored = true}).value();
    net::ClientRequest get;
    get.url = url("/agent/v1/transfer/" + request.ticket);
    auto answer = co_await agent_client->send(std::move(get));
    if (!answer) {
      reply(Unexpected(answer.error()));
      co_return;
    }
    model::FileInfo info{.path = request.path,
                         .size = answer->body.size(),
                         .sha256 = crypto::sha256_hex(answer->body)};
    reply(json::encode(info));
  }

  std::string key;
  std::string host;
  std::unique_ptr<net::HttpClient> agent_client;
  std::shared_ptr<link::RpcChannel> channel;
  std::string stream_kind;
  std::string dirty_request;
  bool refuse_streams = false;
  bool stream_over = false;
};

TEST_F(AgentTest, MeasuresADirtyRateForWhoeverAsks) {
  connect();
  Changes changes;
  model::Vm vm = vm_record("vm-1", "web");
  vm.host = vm.status.host = host;
  vm.status.state = model::VmState::kOn;
  changes.put(std::move(vm));
  commit(std::move(changes));
  run([&]() -> net::awaitable<void> {
    model::Observation seen;
    seen.instances = {{.uuid = "uuid-web", .vm = "vm-1", .state = model::VmState::kOn}};
    auto told = co_await ask("observe", json::encode(seen));
    EXPECT_TRUE(told) << told.error().message;
  });
  const Reply reply = get("/vms/web/dirty-rate?window=3");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.at("/host_name"), "host1");
  EXPECT_EQ(std::stod(reply.at("/mib_s")), 37.5);
  EXPECT_EQ(reply.at("/window"), "3");
  EXPECT_EQ(dirty_request, "uuid-web 3s");
}

TEST_F(AgentTest, ItsTelemetryIsHeard) {
  connect();
  run([&]() -> net::awaitable<void> {
    for (std::uint64_t i : {1, 2}) {
      model::HostSample sample{.boot_id = "b", .sequence = i, .uptime = std::chrono::seconds(i)};
      sample.memory_total = Mib(1024);
      model::TelemetryBatch batch{.boot_id = "b", .uptime = sample.uptime, .samples = {sample}};
      auto taken = co_await ask("telemetry", json::encode(batch));
      EXPECT_TRUE(taken) << taken.error().message;
    }
  });
  ASSERT_TRUE(service->telemetry().host(host));
  EXPECT_EQ(service->telemetry().host(host)->memory, 1024);
}

TEST_F(AgentTest, JoinsOnceAndConnects) {
  const std::string token = join_token();
  ASSERT_EQ(join(token, "host0").status, 200);
  EXPECT_GE(join(token, "host9").status, 400) << "a token lets one host in";
  connect();
  Reply seen = get("/hosts/host1");
  EXPECT_EQ(seen.at("/link"), "connected");
  EXPECT_EQ(seen.at("/agent_version"), "test");
  EXPECT_EQ(get("/status").at("/hosts_connected"), "1");
  channel->close("gone");
  for (int i = 0; i < 50 && get("/hosts/host1").at("/link") != "lost"; ++i)
    run([]() -> net::awaitable<void> { co_await net::sleep_for(std::chrono::milliseconds(10)); });
  EXPECT_EQ(get("/hosts/host1").at("/link"), "lost");
}

class SilentAgentTest : public AgentTest {
 protected:
  ServiceSettings settings() const override {
    ServiceSettings quick;
    quick.agents.lost_after = std::chrono::milliseconds(700);
    return quick;
  }
  void wait(Duration time) {
    run([&]() -> net::awaitable<void> { co_await net::sleep_for(time); });
  }
};

TEST_F(SilentAgentTest, IsLostInTimeAndABeatKeepsIt) {
  connect();
  for (int i = 0; i < 4; ++i) {
    wait(std::chrono::milliseconds(300));
    channel->notify("beat", "");
  }
  EXPECT_EQ(get("/hosts/host1").at("/link"), "connected");
  for (int i = 0; i < 50 && get("/hosts/host1").at("/link") == "connected"; ++i)
    wait(std::chrono::milliseconds(100));
  EXPECT_EQ(get("/hosts/host1").at("/link"), "lost");
  EXPECT_EQ(get("/events?field=kind%3Dhost.lost").at("/total"), "1");
}

TEST_F(SilentAgentTest, IsNotLostWhenItIsTheManagerThatWasAway) {
  connect();
  channel->notify("beat", "");
  wait(std::chrono::milliseconds(50));
  std::this_thread::sleep_for(std::chrono::milliseconds(600));  // back before the agent is due
  wait(std::chrono::milliseconds(200));
  channel->notify("beat", "");
  wait(std::chrono::milliseconds(100));
  EXPECT_EQ(get("/events?field=kind%3Dhost.lost").at("/total"), "0");
}

TEST_F(SilentAgentTest, IsLostAlsoWhenTheManagerIsAwayAgainAndAgain) {
  connect();
  channel->notify("beat", "");
  for (int i = 0; i < 8; ++i) {
    wait(std::chrono::milliseconds(250));
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
  }
  EXPECT_EQ(get("/hosts/host1").at("/link"), "lost");
}

TEST_F(AgentTest, NobodyElseIsAnAgent) {
  run([&]() -> net::awaitable<void> {
    net::ClientResponse refusal;
    auto socket = co_await client->open_websocket(url("/agent/v1", "wss"), {}, {}, &refusal);
    EXPECT_FALSE(socket);
    EXPECT_EQ(refusal.status, 401);
  });
  EXPECT_EQ(call("GET", "/agent/v1/transfer/x").status, 401);
  EXPECT_EQ(call("POST", "/agent/v1/renew", R"({"csr":"x"})").status, 401);
}

TEST_F(AgentTest, RenewsItsCertificate) {
  connect();
  auto made = crypto::make_key_and_csr("host1").value();
  // As agents say it: a join request without a token.
  model::JoinRequest request{"", made.csr_pem, "host1", ""};
  client = std::move(agent_client);
  Reply renewed = call("POST", "/agent/v1/renew", json::encode(request, {.secrets = true}));
  ASSERT_EQ(renewed.status, 200) << renewed.body;
  EXPECT_EQ(renewed.at("/id"), host);
  EXPECT_EQ(host_id_of(renewed.at("/certificate")).value(), host);
}

TEST_F(AgentTest, AConsoleIsPumpedBothWays) {
  connect();
  model::Vm vm = vm_record("vm-1", "web1");
  vm.host = host;
  Changes changes;
  changes.put(vm);
  commit(std::move(changes));
  run([&]() -> net::awaitable<void> {
    net::Headers headers = {{"Authorization", "Bearer " + admin}};
    auto socket = co_await client->open_websocket(url("/api/v1/vms/web1/console", "wss"), headers);
    EXPECT_TRUE(socket) << socket.error().message;
    if (!socket) co_return;
    for (const char* word : {"one", "two"}) {
      co_await (*socket)->send_binary(word);
      auto answer = co_await (*socket)->receive();
      EXPECT_TRUE(answer);
      EXPECT_EQ(answer->data, std::string("echo ") + word);
      EXPECT_TRUE(answer->is_binary);
    }
    co_await (*socket)->close();
    for (int i = 0; i < 100 && !stream_over; ++i)
      co_await net::sleep_for(std::chrono::milliseconds(10));
  });
  EXPECT_EQ(stream_kind, "console");
  EXPECT_TRUE(stream_over) << "the agent hears of it";
}

TEST_F(AgentTest, ABrowserSendsItsTokenAsProtocol) {
  connect();
  model::Vm vm = vm_record("vm-1", "web1");
  vm.host = host;
  Changes changes;
  changes.put(vm);
  commit(std::move(changes));
  run([&]() -> net::awaitable<void> {
    net::WebSocketSettings settings{.protocol = "chorok.bearer." + admin};
    auto socket = co_await client->open_websocket(url("/api/v1/vms/web1/vnc", "wss"), {}, settings);
    EXPECT_TRUE(socket) << socket.error().message;
    if (socket) co_await (*socket)->close();
  });
  EXPECT_EQ(stream_kind, "vnc");
}

TEST_F(AgentTest, AConsoleThatCannotBe) {
  connect();
  model::Vm vm = vm_record("vm-1", "web1");
  vm.host = host;
  Changes changes;
  changes.put(vm);
  changes.put(vm_record("vm-2", "nowhere"));
  commit(std::move(changes));
  EXPECT_EQ(get("/vms/web1/console").status, 426);
  refuse_streams = true;
  run([&]() -> net::awaitable<void> {
    net::Headers headers = {{"Authorization", "Bearer " + admin}};
    for (auto [name, status] : {std::pair{"web1", 409}, {"nowhere", 503}, {"ghost", 404}}) {
      net::ClientResponse refusal;
      auto socket = co_await client->open_websocket(
          url(std::string("/api/v1/vms/") + name + "/console", "wss"), headers, {}, &refusal);
      EXPECT_FALSE(socket);
      EXPECT_EQ(refusal.status, status) << name << refusal.body;
    }
  });
}

TEST_F(AgentTest, FilesPassThrough) {
  connect();
  Reply made = post("/datastores", R"({"meta":{"name":"pool"},"path":"/srv/pool","shared":true})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(get("/datastores/pool/files").status, 503) << "no host reaches it yet";
  observe_datastore(made.at("/meta/id"));
  EXPECT_EQ(get("/datastores/pool/files").at("/items/0/path"), "a.iso");
  EXPECT_EQ(call("DELETE", "/datastores/pool/files/a.iso").status, 404);

  std::string bytes(3'000'000, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  const net::Headers type = {{"Content-Type", "application/octet-stream"}};
  Reply stored = call("PUT", "/datastores/pool/files/images/d.qcow2", bytes, type);
  EXPECT_EQ(stored.status, 201) << stored.body;
  EXPECT_EQ(stored.at("/size"), std::to_string(bytes.size()));
  EXPECT_EQ(stored.at("/sha256"), crypto::sha256_hex(bytes));
  EXPECT_EQ(stored.at("/path"), "images/d.qcow2");
  EXPECT_EQ(call("PUT", "/datastores/pool/files/a%0ab", "x", type).status, 400);
  EXPECT_EQ(call("PUT", "/datastores/pool/files/a", "x", {{"X-Checksum-Sha256", "12"}}).status,
            400);
  EXPECT_EQ(call("PUT", "/datastores/pool/files/a?host=nohost", "x", type).status, 404);
  EXPECT_EQ(get("/audit?field=method%3DPUT,status%3D201").at("/total"), "1");
  acting = make_user("vic", "", "viewer");
  EXPECT_EQ(call("PUT", "/datastores/pool/files/a", "x", type).status, 403);
}

}  // namespace
}  // namespace chorok::manager
