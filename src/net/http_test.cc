#include "net/http.h"

#include <fmt/core.h>

#include <fstream>
#include <thread>

#include "net/http_client.h"
#include "net/sse.h"
#include "net/test_support.h"

namespace chorok::net {
namespace {

using namespace std::chrono_literals;
using testing::make_certificate;
using testing::TestCertificate;

std::string text_of(const std::optional<std::string>& text) {
  return text.value_or("");
}

// A server on loopback over TLS with a few routes, and a client that trusts it.
class HttpTest : public testing::LoopTest {
 protected:
  TestCertificate ca = make_certificate({"Chorok CA", "", true});
  TestCertificate identity = make_certificate({"manager", "DNS:localhost,IP:127.0.0.1"}, &ca);
  HttpLimits limits;
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<HttpClient> client;
  std::uint16_t port = 0;
  bool is_plain = false;
  std::uint64_t uploaded_bytes = 0;
  int streams_closed = 0;
  std::string last_seen_id;

  void start() {
    server = std::make_unique<HttpServer>(
        executor, [this](Request& request) { return handle(request); }, limits,
        [this](const Request& request) {
          if (request.path == "/upload") return BodyPolicy{100'000'000, true};
          return BodyPolicy{limits.body_bytes_max, false};
        });
    auto tls = TlsServerContext::create(identity.identity(), ca.certificate_pem).value();
    port = server->listen("127.0.0.1", 0, is_plain ? nullptr : tls).value();
    HttpClientSettings settings;
    settings.tls = TlsClientContext::with_ca(ca.certificate_pem).value();
    client = std::make_unique<HttpClient>(executor, settings);
  }

  ClientRequest request(std::string method, std::string target, std::string body = {}) {
    ClientRequest made;
    made.method = std::move(method);
    made.url = {is_plain ? "http" : "https", "127.0.0.1", port, std::move(target)};
    made.body = std::move(body);
    made.timeout = 5s;
    return made;
  }

  awaitable<Response> handle(Request& request) {
    if (request.path == "/rows") co_return rows();
    if (request.path == "/upload") co_return co_await upload(request);
    if (request.path == "/forbidden")
      co_return Response::problem({Code::kPermissionDenied, "no", ""});
    if (request.path == "/slow") {
      co_await sleep_for(50ms);
      co_return Response::text(200, "slow");
    }
    if (request.path == "/throw") throw std::runtime_error("a bug");
    if (request.path == "/forge") {
      co_return Response{200, {{"X-A", "1\r\nX-B: 2"}, {"Content-Length", "9"}}, "ok"};
    }
    if (request.path == "/events") co_return events(request);
    if (request.path == "/download") co_return download(request.query_value("length") != nullptr);
    if (request.path == "/nothing") co_return Response{204, {}, ""};
    if (request.path == "/echo") co_return Response::text(200, request.body);
    co_return Response::text(200, fmt::format("{} {}", request.method, request.path));
  }

  static Response rows() {
    static const auto pieces = [] {
      std::vector<BodyPiece> made;
      for (int i = 0; i < 20'000; ++i) {
        made.push_back(std::make_shared<const std::string>(
            fmt::format("{:05}{}\n", i, std::string(294, 'r'))));
      }
      return made;
    }();
    return Response{200, {{"Content-Type", "text/plain"}}, pieces};
  }

  awaitable<Response> upload(Request& request) {
    if (request.query_value("deny") != nullptr) {
      co_return Response::problem({Code::kPermissionDenied, "not you", ""});
    }
    std::string bytes(50'000, '\0');
    uploaded_bytes = 0;
    for (;;) {
      auto count = co_await request.reader->read_some(bytes);
      if (!count) co_return Response::problem(count.error());
      if (*count == 0) break;
      uploaded_bytes += *count;
      if (request.query_value("half") != nullptr && uploaded_bytes > 100'000) {
        co_return Response::problem({Code::kExhausted, "the disk is full", ""});
      }
    }
    co_return Response::text(201, std::to_string(uploaded_bytes));
  }

  Response events(const Request& request) {
    last_seen_id = last_event_id(request);
    return sse_response([this, from = std::atoi(last_seen_id.c_str())](BodySink& sink) -> Async<> {
      AsyncEvent wake(executor);
      sink.on_close([&] {
        ++streams_closed;
        wake.notify_all();
      });
      for (int i = from + 1; i <= from + 3; ++i) {
        CO_TRY(co_await sink.write(
            format_sse({std::to_string(i), "tick", fmt::format("number {}", i), {}})));
      }
      while (!sink.is_closed()) co_await wake.wait();
      co_return co_await sink.write("after the end");
    });
  }

  static Response download(bool has_length) {
    Response response = Response::stream("application/octet-stream", [](BodySink& sink) -> Async<> {
      const std::string block(100'000, 'd');
      for (int i = 0; i < 10; ++i) CO_TRY(co_await sink.write(block));
      co_return Result<>{};
    });
    if (has_length) std::get<StreamBody>(response.body).length = 1'000'000;
    return response;
  }

  awaitable<std::string> get(std::string target) {
    auto response = co_await client->send(request("GET", std::move(target)));
    EXPECT_TRUE(response) << (response ? "" : response.error().message);
    co_return response ? response->body : std::string();
  }
};

TEST_F(HttpTest, AnswersOverOneKeptConnection) {
  start();
  run([&]() -> awaitable<void> {
    for (int i = 0; i < 5; ++i) EXPECT_EQ(co_await get("/a%20b"), "GET /a b");
    auto posted = co_await client->send(request("POST", "/echo", "hello"));
    EXPECT_EQ(posted->body, "hello");
    EXPECT_EQ(posted->certificate->common_name, "manager");
    auto head = co_await client->send(request("HEAD", "/rows"));
    EXPECT_EQ(head->status, 200);
    EXPECT_EQ(head->body, "");
    EXPECT_EQ(head->headers.get("Content-Length"), "6000000");
    auto nothing = co_await client->send(request("DELETE", "/nothing"));
    EXPECT_EQ(nothing->status, 204);
    EXPECT_EQ(nothing->headers.find("Content-Length"), nullptr);
    EXPECT_EQ(server->stats().accepted_total, 1u);
    EXPECT_EQ(server->stats().requests_total, 8u);
  }());
}

TEST_F(HttpTest, PiecesArriveInOrder) {
  start();
  run([&]() -> awaitable<void> {
    const std::string body = co_await get("/rows");
    EXPECT_EQ(body.size(), 6'000'000u);
    bool is_ordered = true;
    for (std::size_t i = 0; i < 20'000 && body.size() == 6'000'000; ++i) {
      is_ordered = is_ordered && body.compare(i * 300, 5, fmt::format("{:05}", i)) == 0;
    }
    EXPECT_TRUE(is_ordered);
  }());
}

TEST_F(HttpTest, ErrorsAreProblems) {
  start();
  run([&]() -> awaitable<void> {
    auto denied = co_await client->send(request("GET", "/forbidden"));
    EXPECT_EQ(denied->status, 403);
    EXPECT_EQ(error_from_problem(403, denied->body).message, "no");
    auto thrown = co_await client->send(request("GET", "/throw"));
    EXPECT_EQ(thrown->status, 500);
    EXPECT_EQ(thrown->body.find("a bug"), std::string::npos);
    auto forged = co_await client->send(request("GET", "/forge"));
    EXPECT_EQ(forged->body, "ok");
    EXPECT_EQ(forged->headers.find("X-B"), nullptr);
    auto big = co_await client->send(request("POST", "/echo", std::string(1024 * 1024 + 1, 'x')));
    EXPECT_EQ(big->status, 413);
    EXPECT_EQ(co_await get("/still"), "GET /still");
  }());
}

TEST_F(HttpTest, UploadsAreStreamedFromAFile) {
  start();
  const std::string path = fmt::format("/tmp/chorok_net_upload.{}", getpid());
  std::ofstream(path) << std::string(5'000'000, 'u');
  run([&]() -> awaitable<void> {
    auto sent = request("PUT", "/upload");
    sent.upload = upload_from_file(path).value();
    std::uint64_t progress = 0;
    sent.upload->progress = [&](std::uint64_t bytes) { progress = bytes; };
    auto response = co_await client->send(std::move(sent));
    EXPECT_TRUE(response) << response.error().message;
    EXPECT_EQ(response->status, 201);
    EXPECT_EQ(response->body, "5000000");
    EXPECT_EQ(progress, 5'000'000u);

    // Refused from the head alone: the body never goes out.
    auto denied = request("PUT", "/upload?deny");
    denied.upload = upload_from_file(path).value();
    progress = 0;
    denied.upload->progress = [&](std::uint64_t bytes) { progress = bytes; };
    response = co_await client->send(std::move(denied));
    EXPECT_EQ(response->status, 403);
    EXPECT_EQ(progress, 0u);

    // Refused in the middle: the answer arrives all the same.
    auto half = request("PUT", "/upload?half");
    half.upload = upload_from_file(path).value();
    response = co_await client->send(std::move(half));
    EXPECT_TRUE(response) << response.error().message;
    if (response) EXPECT_EQ(response->status, 429);
    EXPECT_EQ(co_await get("/still"), "GET /still");
  }());
  unlink(path.c_str());
  EXPECT_EQ(upload_from_file(path).error().code, Code::kNotFound);
  EXPECT_EQ(upload_from_file("/tmp").error().code, Code::kInvalid);
}

TEST_F(HttpTest, EventsResumeWhereTheClientWas) {
  start();
  run([&]() -> awaitable<void> {
    SseParser parser;
    for (int round = 0; round < 2; ++round) {
      auto asked = request("GET", "/events");
      if (!parser.last_id().empty()) asked.headers.add("Last-Event-ID", parser.last_id());
      auto stream = co_await client->open_stream(std::move(asked));
      EXPECT_TRUE(stream);
      if (!stream) co_return;
      EXPECT_EQ((*stream)->headers().get("Content-Type"), "text/event-stream");
      int got = 0;
      char bytes[1000];
      while (got < 3) {
        auto count = co_await (*stream)->read_some(bytes);
        EXPECT_TRUE(count && *count > 0);
        if (!count || *count == 0) co_return;
        EXPECT_TRUE(parser.feed({bytes, *count}));
        while (auto event = parser.next()) {
          ++got;
          EXPECT_EQ(event->data, fmt::format("number {}", round * 3 + got));
        }
      }
      stream->reset();
    }
    EXPECT_EQ(last_seen_id, "3");
    // The server notices that nobody reads without having anything to write.
    for (int i = 0; i < 100 && streams_closed < 2; ++i) co_await sleep_for(5ms);
    EXPECT_EQ(streams_closed, 2);
    EXPECT_EQ(server->stats().connections, 0u);
  }());
}

TEST_F(HttpTest, DownloadsAreChunkedOrCounted) {
  start();
  run([&]() -> awaitable<void> {
    auto chunked = co_await client->send(request("GET", "/download"));
    EXPECT_EQ(chunked->body.size(), 1'000'000u);
    EXPECT_EQ(chunked->headers.get("Transfer-Encoding"), "chunked");
    auto counted = co_await client->send(request("GET", "/download?length"));
    EXPECT_EQ(counted->body.size(), 1'000'000u);
    EXPECT_EQ(counted->headers.get("Content-Length"), "1000000");
    auto head = co_await client->send(request("HEAD", "/download"));
    EXPECT_EQ(head->body, "");
    EXPECT_EQ(co_await get("/after"), "GET /after");
    EXPECT_EQ(server->stats().accepted_total, 1u);  // kept even after a stream
  }());
}

TEST_F(HttpTest, AReaderThatStallsIsCutOff) {
  limits.write_timeout = 50ms;
  start();
  run([&]() -> awaitable<void> {
    auto stream = co_await client->open_stream(request("GET", "/rows"));
    EXPECT_TRUE(stream);
    for (int i = 0; i < 100 && server->stats().connections > 0; ++i) co_await sleep_for(10ms);
    EXPECT_EQ(server->stats().connections, 0u);
  }());
}

TEST_F(HttpTest, TheClientsTimeoutIsKept) {
  start();
  run([&]() -> awaitable<void> {
    auto hasty = request("GET", "/slow");
    hasty.timeout = 10ms;
    auto response = co_await client->send(std::move(hasty));
    EXPECT_EQ(response.error().code, Code::kTimeout);
    EXPECT_EQ(co_await get("/slow"), "slow");
  }());
}

TEST_F(HttpTest, AConnectionTheServerDroppedIsReplaced) {
  limits.idle_timeout = 20ms;
  start();
  run([&]() -> awaitable<void> {
    EXPECT_EQ(co_await get("/1"), "GET /1");
    co_await sleep_for(60ms);
    EXPECT_EQ(co_await get("/2"), "GET /2");
    EXPECT_EQ(server->stats().accepted_total, 2u);
  }());
}

TEST_F(HttpTest, ConnectionsAreLimitedPerPeerAndInAll) {
  limits.connections_per_peer_max = 2;
  is_plain = true;
  start();
  run([&]() -> awaitable<void> {
    std::vector<StreamPtr> open;
    for (int i = 0; i < 4; ++i) open.push_back((co_await connect_tcp("127.0.0.1", port)).value());
    for (int i = 0; i < 100 && server->stats().refused_total < 2; ++i) co_await sleep_for(2ms);
    EXPECT_EQ(server->stats().refused_total, 2u);
    EXPECT_EQ(server->stats().connections, 2u);
    open.clear();
    for (int i = 0; i < 100 && server->stats().connections > 0; ++i) co_await sleep_for(2ms);
    EXPECT_EQ(co_await get("/room"), "GET /room");
  }());
}

TEST_F(HttpTest, StopLetsARequestFinishAndClosesTheRest) {
  start();
  run([&]() -> awaitable<void> {
    auto events = co_await client->open_stream(request("GET", "/events"));
    EXPECT_TRUE(events);
    EXPECT_EQ(co_await get("/idle"), "GET /idle");
    std::optional<std::string> slow;
    spawn(executor, [&]() -> awaitable<void> { slow = co_await get("/slow"); }, "slow");
    co_await sleep_for(15ms);
    const auto begin = std::chrono::steady_clock::now();
    co_await server->stop(2s);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
    co_await sleep_for(5ms);
    EXPECT_EQ(text_of(slow), "slow");
    EXPECT_EQ(server->stats().connections, 0u);
    EXPECT_FALSE(co_await client->send(request("GET", "/late")));
  }());
}

TEST_F(HttpTest, AHandlerSeesTheAgentsCertificate) {
  auto agent = make_certificate({"host1", "URI:chorok:host:h-1"}, &ca).identity();
  std::string seen;
  HttpServer mutual(executor, [&](Request& request) -> awaitable<Response> {
    seen = request.certificate ? request.certificate->san_uris.at(0) : "nobody";
    co_return Response::text(200, seen);
  });
  auto tls = TlsServerContext::create(identity.identity(), ca.certificate_pem).value();
  port = mutual.listen("127.0.0.1", 0, tls).value();
  run([&]() -> awaitable<void> {
    HttpClientSettings settings;
    settings.tls = TlsClientContext::with_ca(ca.certificate_pem, &agent).value();
    HttpClient with_certificate(executor, settings);
    EXPECT_EQ((co_await with_certificate.send(request("GET", "/")))->body, "chorok:host:h-1");
    settings.tls = TlsClientContext::with_ca(ca.certificate_pem).value();
    HttpClient without(executor, settings);
    EXPECT_EQ((co_await without.send(request("GET", "/")))->body, "nobody");
    co_await mutual.stop(100ms);
  }());
}

TEST_F(HttpTest, WorksOverAUnixSocket) {
  start();
  const std::string path = fmt::format("/tmp/chorok_net_http.{}", getpid());
  EXPECT_TRUE(server->listen_unix(path));
  run([&]() -> awaitable<void> {
    HttpClientSettings settings;
    settings.unix_path = path;
    HttpClient local(executor, settings);
    ClientRequest asked;
    asked.url = parse_url("http://local/x").value();
    auto response = co_await local.send(asked);
    EXPECT_EQ(response->body, "GET /x");
    co_await server->stop(100ms);
  }());
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST_F(HttpTest, TheBlockingClientNeedsNoCoroutines) {
  start();
  std::thread thread([this] { loop.run(); });
  {
    HttpClientSettings settings;
    settings.tls = TlsClientContext::with_ca(ca.certificate_pem).value();
    BlockingHttpClient blocking(settings);
    EXPECT_EQ(blocking.send(request("GET", "/1"))->body, "GET /1");
    int status = 0;
    std::string events, asked;
    auto streamed = blocking.stream(
        request("GET", "/events"),
        [&](int got, const Headers&) {
          status = got;
          return true;
        },
        [&](std::string_view data) {
          events += data;
          asked += blocking.send(request("GET", "/meanwhile"))->body;
          return events.find("number 3") == std::string::npos;
        });
    EXPECT_TRUE(streamed);
    EXPECT_NE(events.find("number 3"), std::string::npos);
    EXPECT_TRUE(asked.starts_with("GET /meanwhile")) << "it may ask while it is told";
    EXPECT_EQ(status, 200);
    EXPECT_EQ(blocking.send(request("GET", "/2"))->body, "GET /2");
  }
  loop.stop();
  thread.join();
}

}  // namespace
}  // namespace chorok::net
