#include "net/websocket.h"

#include <fmt/core.h>
#include <malloc.h>

#include <thread>

#include "net/http_client.h"
#include "net/message_parser.h"
#include "net/test_support.h"

namespace chorok::net {
namespace {

using namespace std::chrono_literals;
using SocketPtr = std::shared_ptr<WebSocket>;

// A frame as a peer that may break any rule would send it.
struct RawFrame {
  unsigned opcode = 1;
  std::string payload;
  bool is_final = true;
  bool is_masked = true;
  unsigned reserved = 0;
  std::optional<std::uint64_t> claimed_length;
};

std::string encode(const RawFrame& frame) {
  std::string out;
  out += static_cast<char>((frame.is_final ? 0x80u : 0u) | frame.reserved << 4 | frame.opcode);
  const std::uint64_t length = frame.claimed_length.value_or(frame.payload.size());
  const unsigned mask_bit = frame.is_masked ? 0x80u : 0u;
  int length_bytes = 0;
  if (length < 126) {
    out += static_cast<char>(mask_bit | length);
  } else {
    length_bytes = length < 65536 ? 2 : 8;
    out += static_cast<char>(mask_bit | (length_bytes == 2 ? 126u : 127u));
  }
  for (int i = length_bytes - 1; i >= 0; --i) out += static_cast<char>(length >> (8 * i));
  const char mask[4] = {0x11, 0x22, 0x33, 0x44};
  if (frame.is_masked) out.append(mask, 4);
  for (std::size_t i = 0; i < frame.payload.size(); ++i) {
    out += frame.is_masked ? static_cast<char>(frame.payload[i] ^ mask[i % 4]) : frame.payload[i];
  }
  return out;
}

class WebSocketTest : public testing::LoopTest {
 protected:
  struct Ends {
    SocketPtr server;
    SocketPtr client;
  };
  Ends make_ends(WebSocketSettings settings = {}, std::size_t pipe_bytes = 64 * 1024) {
    auto [left, right] = make_pipe(executor, pipe_bytes);
    return {WebSocket::create(std::move(left), WebSocketRole::kServer, settings),
            WebSocket::create(std::move(right), WebSocketRole::kClient, settings)};
  }

  // What a server makes of raw bytes, and the code of the close it sends back (0: none).
  struct Verdict {
    std::vector<WebSocketMessage> messages;
    Error error;
    unsigned close_sent = 0;
  };
  Verdict judge(const std::string& bytes, WebSocketSettings settings = {},
                std::size_t part = 1 << 20) {
    Verdict verdict;
    run([&]() -> awaitable<void> {
      auto [left, right] = make_pipe(executor);
      auto server = WebSocket::create(std::move(left), WebSocketRole::kServer, settings);
      spawn(
          executor,
          [&, writer = right.get()]() -> awaitable<void> {
            for (std::size_t at = 0; at < bytes.size(); at += part) {
              if (!co_await writer->write_all(std::string_view(bytes).substr(at, part))) co_return;
            }
            co_await writer->shutdown();
          },
          "write");
      for (;;) {
        auto message = co_await server->receive();
        if (!message) {
          verdict.error = message.error();
          break;
        }
        verdict.messages.push_back(std::move(*message));
      }
      co_await server->close();
      std::string got;
      char buffer[1000];
      for (;;) {
        auto count = co_await right->read_some(buffer);
        if (!count || *count == 0) break;
        got.append(buffer, *count);
      }
      const std::size_t at = got.rfind('\x88');
      if (at != std::string::npos && got.size() >= at + 4) {
        verdict.close_sent =
            static_cast<unsigned char>(got[at + 2]) << 8u | static_cast<unsigned char>(got[at + 3]);
      }
    }());
    return verdict;
  }
};

TEST_F(WebSocketTest, CarriesTextAndBinaryBothWays) {
  auto [server, client] = make_ends();
  run([&]() -> awaitable<void> {
    EXPECT_TRUE(co_await client->send_text("grüße"));
    EXPECT_TRUE(co_await client->send_binary(std::string("\0\xff", 2)));
    EXPECT_TRUE(co_await server->send_text(""));
    auto text = co_await server->receive();
    EXPECT_TRUE(text && !text->is_binary && text->data == "grüße");
    auto binary = co_await server->receive();
    EXPECT_TRUE(binary && binary->is_binary && binary->data.size() == 2);
    auto empty = co_await client->receive();
    EXPECT_TRUE(empty && empty->data.empty());
    spawn(
        executor,
        [server]() -> awaitable<void> {
          EXPECT_FALSE(co_await server->receive());
          EXPECT_EQ(server->peer_close_code(), 1001);
          EXPECT_EQ(server->peer_close_reason(), "bye");
          co_await server->close();
        },
        "server");
    co_await client->close(close_code::kGoingAway, "bye");
    EXPECT_FALSE(client->is_open());
    EXPECT_FALSE(co_await client->send_text("late"));
  }());
}

// Bytes of the heap in use; sanitizers' allocators do not say.
std::size_t heap_used() {
  const struct mallinfo2 heap = ::mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

// A manager holds a thousand of them.
TEST_F(WebSocketTest, HoldsNothingOfWhatWasSent) {
  if (heap_used() == 0) GTEST_SKIP() << "this allocator tells nothing";
  constexpr std::size_t kSockets = 50;
  std::vector<Ends> open;
  for (std::size_t i = 0; i < kSockets; ++i) open.push_back(make_ends({}, 1000));
  run([&]() -> awaitable<void> {
    std::size_t before = 0;
    for (const std::size_t bytes : {1, 20'000, 1, 1}) {  // the reader goes back to small ones, too
      for (Ends& ends : open) {
        EXPECT_TRUE(co_await ends.client->send_text(std::string(bytes, 'x')));
        EXPECT_TRUE(co_await ends.server->receive());
        EXPECT_TRUE(co_await ends.client->flush());
      }
      if (before == 0) before = heap_used();
    }
    EXPECT_LT(heap_used(), before + kSockets * 3000);
  }());
}

TEST(ReadBuffer, GivesItsMemoryBack) {
  if (heap_used() == 0) GTEST_SKIP() << "this allocator tells nothing";
  const std::size_t before = heap_used();
  ReadBuffer buffer;
  buffer.prepare(1 << 20);
  EXPECT_GE(heap_used(), before + (1 << 20));
  buffer.commit(3);
  EXPECT_EQ(buffer.take().size(), 3u);
  EXPECT_LT(heap_used(), before + 1000);
}

TEST_F(WebSocketTest, ManySendersKeepMessagesWhole) {
  auto [server, client] = make_ends({}, 1000);
  run([&]() -> awaitable<void> {
    constexpr int kSenders = 5, kMessages = 200;
    for (int s = 0; s < kSenders; ++s) {
      spawn(
          executor,
          [s, client]() -> awaitable<void> {
            for (int i = 0; i < kMessages; ++i) {
              EXPECT_TRUE(
                  co_await client->send_text(fmt::format("{} {} {}", s, i, std::string(200, 'x'))));
            }
          },
          "sender");
    }
    int next[kSenders] = {};
    for (int n = 0; n < kSenders * kMessages; ++n) {
      auto message = co_await server->receive();
      EXPECT_TRUE(message);
      if (!message) co_return;
      int s = -1, i = -1;
      EXPECT_EQ(sscanf(message->data.c_str(), "%d %d", &s, &i), 2);
      EXPECT_EQ(next[s]++, i);
    }
  }());
}

TEST_F(WebSocketTest, AFullQueueMakesSendersWait) {
  WebSocketSettings settings;
  settings.send_queue_bytes_max = 10'000;
  auto [server, client] = make_ends(settings, 1000);
  run([&]() -> awaitable<void> {
    int sent = 0;
    spawn(
        executor,
        [&sent, client]() -> awaitable<void> {
          for (int i = 0; i < 100; ++i) {
            if (!co_await client->send_binary(std::string(1000, 'q'))) co_return;
            ++sent;
          }
        },
        "sender");
    co_await sleep_for(5ms);
    EXPECT_LT(sent, 30);
    EXPECT_LE(client->queued_bytes(), 11'100u);
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(co_await server->receive());
    EXPECT_EQ(sent, 100);
    EXPECT_TRUE(co_await client->flush());
    EXPECT_EQ(client->queued_bytes(), 0u);
  }());
}

TEST_F(WebSocketTest, FragmentsAreJoinedAndPingsAnsweredBetween) {
  const std::string bytes = encode({1, "one ", false}) + encode({9, "ping"}) +
                            encode({0, "two ", false}) + encode({0, "", false}) +
                            encode({0, "end"}) + encode({2, "bin"}) +
                            encode({8, std::string("\x03\xe8", 2)});
  for (std::size_t part : {1u, 2u, 5u, 1000u}) {
    auto verdict = judge(bytes, {}, part);
    ASSERT_EQ(verdict.messages.size(), 2u) << part;
    EXPECT_EQ(verdict.messages[0].data, "one two end");
    EXPECT_TRUE(verdict.messages[1].is_binary);
    EXPECT_EQ(verdict.error.code, Code::kUnavailable);
    EXPECT_EQ(verdict.close_sent, 1000u);
  }
}

TEST_F(WebSocketTest, BrokenRulesAreAnsweredWithTheirCode) {
  struct Row {
    const char* what;
    std::string bytes;
    Code code;
    unsigned close;
  };
  std::string many;
  for (int i = 0; i < 1100; ++i) many += encode({i == 0 ? 1u : 0u, "x", false});
  const Row rows[] = {
      {"not masked", encode({1, "x", true, false}), Code::kInvalid, 1002},
      {"reserved bits", encode({1, "x", true, true, 4}), Code::kInvalid, 1002},
      {"unknown opcode", encode({3, "x"}), Code::kInvalid, 1002},
      {"unknown control", encode({11, "x"}), Code::kInvalid, 1002},
      {"continues nothing", encode({0, "x"}), Code::kInvalid, 1002},
      {"a new message inside one", encode({1, "x", false}) + encode({1, "y"}), Code::kInvalid,
       1002},
      {"a ping in parts", encode({9, "x", false}), Code::kInvalid, 0},
      {"a long ping", encode({9, std::string(126, 'x')}), Code::kInvalid, 0},
      {"text that is no UTF-8", encode({1, "\xff"}), Code::kInvalid, 1007},
      {"half a letter", encode({1, "\xc3"}), Code::kInvalid, 1007},
      {"a close code that is none", encode({8, std::string("\x03\xed", 2)}), Code::kInvalid, 1002},
      {"too big", encode({2, std::string(101, 'x')}), Code::kExhausted, 1009},
      {"too big in parts",
       encode({2, std::string(60, 'x'), false}) + encode({0, std::string(60, 'x')}),
       Code::kExhausted, 1009},
      {"claims to be huge", encode({2, "x", true, true, 0, 1ull << 62}), Code::kExhausted, 1009},
      {"a length with the top bit", encode({2, "", true, true, 0, 1ull << 63}), Code::kInvalid, 0},
      {"too many parts", many, Code::kExhausted, 1009},
      {"ends without a close", encode({1, "x"}), Code::kUnavailable, 0},
      {"ends in a frame", encode({1, "xyz"}).substr(0, 7), Code::kUnavailable, 0},
  };
  for (const Row& row : rows) {
    for (std::size_t part : {std::size_t{1} << 20, std::size_t{1}}) {
      WebSocketSettings settings;
      settings.message_bytes_max = std::string_view(row.what) == "too many parts" ? 10'000 : 100;
      auto verdict = judge(row.bytes, settings, part);
      EXPECT_EQ(verdict.error.code, row.code) << row.what << ": " << verdict.error.message;
      if (row.close != 0) EXPECT_EQ(verdict.close_sent, row.close) << row.what;
    }
  }
}

TEST_F(WebSocketTest, AClientRefusesMaskedFrames) {
  run([&]() -> awaitable<void> {
    auto [left, right] = make_pipe(executor);
    auto client = WebSocket::create(std::move(left), WebSocketRole::kClient);
    EXPECT_TRUE(co_await right->write_all(encode({1, "x"})));
    EXPECT_EQ((co_await client->receive()).error().code, Code::kInvalid);
  }());
}

TEST_F(WebSocketTest, BytesThatCameWithTheUpgradeAreNotLost) {
  run([&]() -> awaitable<void> {
    auto [left, right] = make_pipe(executor);
    const std::string early = encode({1, "early"}) + encode({1, "next"});
    auto server = WebSocket::create(std::move(left), WebSocketRole::kServer, {},
                                    early.substr(0, early.size() - 2));
    EXPECT_EQ((co_await server->receive())->data, "early");
    EXPECT_TRUE(co_await right->write_all(std::string_view(early).substr(early.size() - 2)));
    EXPECT_EQ((co_await server->receive())->data, "next");
  }());
}

TEST_F(WebSocketTest, PingsFindADeadPeerAndNotALivingOne) {
  WebSocketSettings settings;
  settings.ping_interval = 10ms;
  settings.pong_timeout = 10ms;
  auto [server, client] = make_ends(settings);
  run([&]() -> awaitable<void> {
    spawn(executor, [client]() -> awaitable<void> { co_await client->receive(); }, "pongs");
    spawn(executor, [server]() -> awaitable<void> { co_await server->receive(); }, "pings");
    co_await sleep_for(80ms);
    EXPECT_TRUE(server->is_open());
    EXPECT_TRUE(client->is_open());
    client->abort();

    auto [left, silent] = make_pipe(executor);
    auto lonely = WebSocket::create(std::move(left), WebSocketRole::kServer, settings);
    EXPECT_EQ((co_await lonely->receive()).error().code, Code::kTimeout);
  }());
}

// A process that was stopped for longer than a peer may be silent finds the answer waiting.
TEST_F(WebSocketTest, WhoWasAwayItselfDoesNotTakeItsPeerForDead) {
  WebSocketSettings settings;
  settings.ping_interval = 20ms;
  settings.pong_timeout = 20ms;
  auto [left, right] = make_pipe(executor);
  auto server = WebSocket::create(std::move(left), WebSocketRole::kServer, settings);
  run([&]() -> awaitable<void> {
    spawn(executor, [server]() -> awaitable<void> { co_await server->receive(); }, "pings");
    char ping[16];
    EXPECT_EQ((co_await right->read_some(ping)).value(), 2);
    std::this_thread::sleep_for(200ms);
    co_await sleep_for(1ms);  // what is late comes before what is read
    EXPECT_TRUE(co_await right->write_all(encode({10, ""})));
    co_await sleep_for(10ms);
    EXPECT_TRUE(server->is_open());
  }());
}

// A peer that pings and reads nothing must not fill this side's memory with answers.
TEST_F(WebSocketTest, APingFloodIsHeldBack) {
  WebSocketSettings settings;
  settings.send_queue_bytes_max = 10'000;
  settings.write_timeout = 100ms;
  run([&]() -> awaitable<void> {
    auto [left, right] = make_pipe(executor, 1000);
    auto server = WebSocket::create(std::move(left), WebSocketRole::kServer, settings);
    std::size_t most = 0;
    spawn(
        executor,
        [&, writer = right.get()]() -> awaitable<void> {
          const std::string ping = encode({9, std::string(125, 'p')});
          for (int i = 0; i < 10'000; ++i) {
            if (!co_await writer->write_all(ping)) co_return;
            most = std::max(most, server->queued_bytes());
          }
        },
        "flood");
    EXPECT_EQ((co_await server->receive()).error().code, Code::kTimeout);
    EXPECT_LT(most, 100'000u);
    co_await sleep_for(5ms);
  }());
}

TEST_F(WebSocketTest, CloseDoesNotWaitForeverAndEndsAReceive) {
  WebSocketSettings settings;
  settings.close_timeout = 20ms;
  run([&]() -> awaitable<void> {
    auto [left, silent] = make_pipe(executor);
    auto server = WebSocket::create(std::move(left), WebSocketRole::kServer, settings);
    bool is_ended = false;
    spawn(
        executor,
        [&, server]() -> awaitable<void> {
          EXPECT_FALSE(co_await server->receive());
          is_ended = true;
        },
        "receiver");
    co_await sleep_for(1ms);
    co_await server->close();
    co_await sleep_for(1ms);
    EXPECT_TRUE(is_ended);
    co_await server->close();  // safe to repeat
  }());
}

class WebSocketHttpTest : public testing::LoopTest {
 protected:
  Result<> outcome;
  std::unique_ptr<HttpServer> server;
  std::uint16_t port = 0;
  std::uint16_t closed_with = 0;

  void start() {
    server =
        std::make_unique<HttpServer>(executor, [this](Request& request) -> awaitable<Response> {
          if (request.path == "/denied") {
            co_return Response::problem({Code::kUnauthenticated, "who are you?", ""});
          }
          if (request.path == "/elsewhere") {
            co_return Response{307, {{"Location", "wss://leader:8443/elsewhere"}}, ""};
          }
          co_return Response::websocket(
              [this](SocketPtr socket) -> awaitable<void> {
                while (auto message = co_await socket->receive()) {
                  co_await socket->send_text("echo " + message->data);
                }
                closed_with = socket->peer_close_code();
              },
              nullptr, std::string(request.headers.get("Sec-WebSocket-Protocol")));
        });
    port = server->listen("127.0.0.1", 0).value();
  }
  Url url(std::string target) { return {"ws", "127.0.0.1", port, std::move(target)}; }
};

TEST_F(WebSocketHttpTest, UpgradesAndTalks) {
  start();
  run([&]() -> awaitable<void> {
    HttpClient client(executor);
    WebSocketSettings settings;
    settings.protocol = "chorok.agent.v1";
    auto socket = co_await client.open_websocket(url("/ws"), {}, settings);
    EXPECT_TRUE(socket) << (socket ? "" : socket.error().message);
    if (!socket) co_return;
    EXPECT_TRUE(co_await (*socket)->send_text("hi"));
    EXPECT_EQ((co_await (*socket)->receive())->data, "echo hi");
    co_await (*socket)->close();
    for (int i = 0; i < 100 && server->stats().connections > 0; ++i) co_await sleep_for(1ms);
    EXPECT_EQ(closed_with, 1000);

    ClientResponse refusal;
    auto denied = co_await client.open_websocket(url("/denied"), {}, {}, &refusal);
    EXPECT_EQ(denied.error(), (Error{Code::kUnauthenticated, "who are you?", ""}));
    auto moved = co_await client.open_websocket(url("/elsewhere"), {}, {}, &refusal);
    EXPECT_FALSE(moved);
    EXPECT_EQ(refusal.status, 307);
    EXPECT_EQ(refusal.headers.get("Location"), "wss://leader:8443/elsewhere");

    ClientRequest plain;
    plain.url = url("/ws");
    plain.url.scheme = "http";
    auto response = co_await client.send(plain);
    EXPECT_EQ(response->status, 426);
  }());
}

TEST_F(WebSocketHttpTest, ServerStopSaysGoingAway) {
  start();
  run([&]() -> awaitable<void> {
    HttpClient client(executor);
    auto socket = (co_await client.open_websocket(url("/ws"))).value();
    bool is_stopped = false;
    spawn(
        executor,
        [&]() -> awaitable<void> {
          co_await server->stop(1s);
          is_stopped = true;
        },
        "stop");
    EXPECT_FALSE(co_await socket->receive());
    EXPECT_EQ(socket->peer_close_code(), 1001);
    co_await socket->close();
    for (int i = 0; i < 100 && !is_stopped; ++i) co_await sleep_for(1ms);
    EXPECT_TRUE(is_stopped);
  }());
}

}  // namespace
}  // namespace chorok::net
