#include "net/json_rpc.h"

#include "net/test_support.h"
#include "net/websocket.h"

namespace chorok::net {
namespace {

using namespace std::chrono_literals;

class JsonRpcTest : public testing::LoopTest {
 protected:
  std::shared_ptr<JsonRpcPeer> left;
  std::shared_ptr<JsonRpcPeer> right;
  std::vector<std::string> noticed;

  void connect(JsonRpcSettings settings = {}) {
    auto [a, b] = make_message_pipe(executor);
    left = JsonRpcPeer::create(executor, std::move(a), settings);
    right = JsonRpcPeer::create(executor, std::move(b), settings);
    add_methods(*right);
  }

  void add_methods(JsonRpcPeer& peer) {
    peer.on_call("echo", [](std::string params) -> Async<std::string> { co_return params; });
    peer.on_call("fail", [](std::string) -> Async<std::string> {
      co_return fail(Code::kExhausted, "no \"room\"", "/spec/memory");
    });
    peer.on_call("slow", [](std::string) -> Async<std::string> {
      co_await sleep_for(30ms);
      co_return "1";
    });
    peer.on_call("throw", [](std::string) -> Async<std::string> {
      throw std::runtime_error("a bug");
      co_return "1";
    });
    peer.on_notify("note", [this](std::string params) -> awaitable<void> {
      co_await sleep_for(1ms);
      noticed.push_back(std::move(params));
    });
  }

  void serve(const std::shared_ptr<JsonRpcPeer>& peer) {
    spawn(executor, [peer]() -> awaitable<void> { co_await peer->run(); }, "rpc");
  }
};

TEST_F(JsonRpcTest, BothEndsCallEachOther) {
  connect();
  left->on_call("who", [](std::string) -> Async<std::string> { co_return R"({"name":"left"})"; });
  serve(left);
  serve(right);
  run([&]() -> awaitable<void> {
    auto echoed = co_await left->call("echo", R"({"a":[1,2.5,"x"]})", 1s);
    EXPECT_EQ(echoed.value(), R"({"a":[1,2.5E0,"x"]})");
    EXPECT_EQ((co_await right->call("who", "", 1s)).value(), R"({"name":"left"})");
    auto failed = co_await left->call("fail", "{}", 1s);
    EXPECT_EQ(failed.error(), (Error{Code::kExhausted, "no \"room\"", "/spec/memory"}));
    EXPECT_EQ((co_await left->call("none", "", 1s)).error().code, Code::kUnsupported);
    EXPECT_EQ((co_await left->call("throw", "", 1s)).error().code, Code::kInternal);
  }());
}

TEST_F(JsonRpcTest, NotificationsKeepTheirOrder) {
  connect();
  serve(right);
  run([&]() -> awaitable<void> {
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(co_await left->notify("note", std::to_string(i)));
    EXPECT_TRUE(co_await left->notify("unknown", "{}"));
    for (int i = 0; i < 1000 && noticed.size() < 5; ++i) co_await sleep_for(1ms);
    EXPECT_EQ(noticed, (std::vector<std::string>{"0", "1", "2", "3", "4"}));
  }());
}

TEST_F(JsonRpcTest, ALateAnswerIsDropped) {
  connect();
  serve(left);
  serve(right);
  run([&]() -> awaitable<void> {
    auto late = co_await left->call("slow", "", 5ms);
    EXPECT_EQ(late.error().code, Code::kTimeout);
    co_await sleep_for(50ms);
    EXPECT_EQ((co_await left->call("echo", "7", 1s)).value(), "7");
    EXPECT_TRUE(left->is_open());
  }());
}

TEST_F(JsonRpcTest, CallsAreBoundedOnBothSides) {
  JsonRpcSettings settings;
  settings.calls_in_max = 2;
  settings.calls_out_max = 3;
  connect(settings);
  serve(left);
  serve(right);
  run([&]() -> awaitable<void> {
    int ok = 0, exhausted = 0;
    for (int i = 0; i < 5; ++i) {
      spawn(
          executor,
          [&]() -> awaitable<void> {
            auto result = co_await left->call("slow", "", 1s);
            result ? ++ok : ++exhausted;
            if (!result) EXPECT_EQ(result.error().code, Code::kExhausted);
          },
          "call");
    }
    for (int i = 0; i < 1000 && ok + exhausted < 5; ++i) co_await sleep_for(1ms);
    EXPECT_EQ(ok, 2);         // what the other side works on at a time
    EXPECT_EQ(exhausted, 3);  // one turned down there, two here
  }());
}

TEST_F(JsonRpcTest, ABrokenLinkEndsTheCallsThatWait) {
  connect();
  serve(left);
  serve(right);
  run([&]() -> awaitable<void> {
    loop.after(5ms, [&] { right->close(); });
    auto broken = co_await left->call("slow", "", 1s);
    EXPECT_EQ(broken.error().code, Code::kUnavailable);
    EXPECT_FALSE(left->is_open());
    EXPECT_EQ((co_await left->call("echo", "", 1s)).error().code, Code::kUnavailable);
    EXPECT_FALSE(co_await left->notify("note", ""));
  }());
}

TEST_F(JsonRpcTest, MalformedMessagesAreAnsweredAndSurvived) {
  auto [a, b] = make_message_pipe(executor);
  auto raw = std::shared_ptr<MessageTransport>(std::move(a));
  right = JsonRpcPeer::create(executor, std::move(b));
  add_methods(*right);
  serve(right);
  struct Row {
    std::string message;
    const char* answer;
  };
  const Row rows[] = {
      {"nonsense", "-32700"},
      {"", "-32700"},
      {std::string(100, '['), "-32700"},
      {R"([{"jsonrpc":"2.0","id":1,"method":"echo"}])", "batches"},
      {R"({"id":1,"method":"echo"})", "-32600"},
      {R"({"jsonrpc":"1.0","id":1,"method":"echo"})", "-32600"},
      {R"("text")", "-32600"},
      {R"({"jsonrpc":"2.0"})", "-32600"},
      {R"({"jsonrpc":"2.0","id":{},"method":"echo"})", "/id"},
      {R"({"jsonrpc":"2.0","id":1.5,"method":"echo"})", "/id"},
      {R"({"jsonrpc":"2.0","id":1,"method":5})", "-32601"},
      {R"({"jsonrpc":"2.0","id":"text","method":"echo","params":[1]})",
       R"("id":"text","result":[1])"},
      {R"({"jsonrpc":"2.0","id":18446744073709551615,"method":"echo"})", "18446744073709551615"},
  };
  run([&]() -> awaitable<void> {
    for (const Row& row : rows) {
      EXPECT_TRUE(co_await raw->send(row.message));
      auto answer = co_await raw->receive();
      EXPECT_TRUE(answer);
      if (answer) EXPECT_NE(answer->find(row.answer), std::string::npos) << row.message << *answer;
    }
    // Answers to nothing, of every shape, are dropped.
    for (const char* stray :
         {R"({"jsonrpc":"2.0","id":99,"result":1})",
          R"({"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}})",
          R"({"jsonrpc":"2.0","id":-1,"error":5})", R"({"jsonrpc":"2.0","id":"x","result":1})"}) {
      EXPECT_TRUE(co_await raw->send(stray));
    }
    EXPECT_TRUE(co_await raw->send(R"({"jsonrpc":"2.0","id":7,"method":"echo"})"));
    EXPECT_NE((co_await raw->receive())->find("\"id\":7"), std::string::npos);
  }());
}

TEST_F(JsonRpcTest, RunsOverAWebSocket) {
  auto [a, b] = make_pipe(executor);
  left = JsonRpcPeer::create(
      executor, websocket_transport(WebSocket::create(std::move(a), WebSocketRole::kClient)));
  auto socket = WebSocket::create(std::move(b), WebSocketRole::kServer);
  right = JsonRpcPeer::create(executor, websocket_transport(socket));
  add_methods(*right);
  serve(right);
  run([&]() -> awaitable<void> {
    Error why;
    spawn(executor, [&]() -> awaitable<void> { why = co_await left->run(); }, "left");
    const std::string big = '"' + std::string(200'000, 'x') + '"';
    EXPECT_EQ((co_await left->call("echo", big, 1s)).value(), big);
    // A message over the limit breaks the link, and the caller is told.
    auto too_big = co_await left->call("echo", '"' + std::string(300'000, 'x') + '"', 1s);
    EXPECT_EQ(too_big.error().code, Code::kUnavailable);
    EXPECT_NE(why.message.find("1009"), std::string::npos) << why.message;
  }());
}

}  // namespace
}  // namespace chorok::net
