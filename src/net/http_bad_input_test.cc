// What the server answers to bytes that are no proper request: a table, because each row is a known
// attack or mistake.
#include <fmt/core.h>

#include "net/http.h"
#include "net/test_support.h"

namespace chorok::net {
namespace {

using namespace std::chrono_literals;

awaitable<Response> echo(Request& request) {
  co_return Response::text(200,
                           fmt::format("{} {} [{}]", request.method, request.path, request.body));
}

class BadInputTest : public testing::LoopTest {
 protected:
  HttpLimits limits = [] {
    HttpLimits small;
    small.header_bytes_max = 1024;
    small.header_count_max = 10;
    small.body_bytes_max = 100;
    small.header_timeout = 50ms;
    small.body_stall_timeout = 50ms;
    small.idle_timeout = 100ms;
    return small;
  }();

  // Everything the server says to these bytes, sent in parts of `part` bytes.
  std::string talk(std::string_view bytes, std::size_t part = 1 << 20, bool ends = true) {
    HttpServer server(executor, echo, limits);
    std::string got;
    run([&]() -> awaitable<void> {
      auto [client, other] = make_pipe(executor);
      spawn(
          executor,
          [&server, end = std::move(other)]() mutable -> awaitable<void> {
            co_await server.serve(std::move(end));
          },
          "serve");
      spawn(
          executor,
          [&, writer = client.get()]() -> awaitable<void> {
            for (std::size_t at = 0; at < bytes.size(); at += part) {
              if (!co_await writer->write_all(bytes.substr(at, part))) co_return;
            }
            if (ends) co_await writer->shutdown();
          },
          "write");
      char buffer[4096];
      for (;;) {
        auto count = co_await client->read_some(buffer);
        if (!count || *count == 0) break;
        got.append(buffer, *count);
      }
      co_await server.stop(100ms);
    }());
    return got;
  }
  static std::string status_of(std::string_view answer) {
    return answer.size() < 12 ? std::string(answer) : std::string(answer.substr(9, 3));
  }
};

struct BadRow {
  const char* what;
  std::string_view bytes;
  const char* status;  // empty: no answer at all
};

using namespace std::string_view_literals;
const BadRow kRows[] = {
    {"length and chunked",
     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"sv,
     "400"},
    {"chunked and length",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"sv,
     "400"},
    {"two lengths",
     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"sv, "400"},
    {"the same length twice",
     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"sv, "400"},
    {"a list of lengths", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc"sv, "400"},
    {"a length with a sign", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc"sv,
     "400"},
    {"a negative length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -3\r\n\r\nabc"sv, "400"},
    {"a hexadecimal length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\nabc"sv,
     "400"},
    {"a length that overflows",
     "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n"sv, "400"},
    {"an empty length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \r\n\r\n"sv, "400"},
    {"an unknown encoding",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"sv, "501"},
    {"chunked not last",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"sv,
     "501"},
    {"chunked twice",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"sv,
     "400"},
    {"a disguised encoding",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"sv, "501"},
    {"an encoding after a tab",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\tchunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"sv,
     "400"},
    {"chunked in HTTP/1.0",
     "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"sv, "400"},
    {"a space before the colon", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nabc"sv,
     "400"},
    {"a folded line", "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n"sv, "400"},
    {"a folded first line", "GET / HTTP/1.1\r\n Host: h\r\n\r\n"sv, "400"},
    {"bare LF", "GET / HTTP/1.1\nHost: h\n\n"sv, "400"},
    {"bare LF in a header", "GET / HTTP/1.1\r\nHost: h\r\nX: a\nY: b\r\n\r\n"sv, "400"},
    {"bare CR in a header", "GET / HTTP/1.1\r\nHost: h\r\nX: a\rY: b\r\n\r\n"sv, "400"},
    {"NUL in a header", "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n"sv, "400"},
    {"NUL in the target", "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"sv, "400"},
    {"a control character in a header",
     "GET / HTTP/1.1\r\nHost: h\r\nX: a\x01"
     "b\r\n\r\n"sv,
     "400"},
    {"no host", "GET / HTTP/1.1\r\n\r\n"sv, "400"},
    {"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"sv, "400"},
    {"no version", "GET /\r\nHost: h\r\n\r\n"sv, "400"},
    {"an unknown version", "GET / HTTP/2.0\r\nHost: h\r\n\r\n"sv, "505"},
    {"the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"sv, "505"},
    {"a TLS hello", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"sv, "400"},
    {"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n"sv, "400"},
    {"an empty line first", "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"sv, "400"},
    {"only an empty line", "\r\n\r\n"sv, "400"},
    {"a header without a name", "GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n"sv, "400"},
    {"a header without a colon", "GET / HTTP/1.1\r\nHost: h\r\nnothing\r\n\r\n"sv, "400"},
    {"a way out of the root", "GET /../x HTTP/1.1\r\nHost: h\r\n\r\n"sv, "400"},
    {"a broken escape", "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n"sv, "400"},
    {"no path", "GET x HTTP/1.1\r\nHost: h\r\n\r\n"sv, "400"},
    {"a tunnel", "CONNECT a:1 HTTP/1.1\r\nHost: h\r\n\r\n"sv, "400"},
    {"a trace", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n"sv, "405"},
    {"an unknown expectation",
     "POST / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\nContent-Length: 1\r\n\r\na"sv, "417"},
    {"a body that is too long", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n"sv,
     "413"},
    {"chunks that are too long",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n"sv, "413"},
    {"a chunk that overflows",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"sv,
     "400"},
    {"a chunk that is no number",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n"sv,
     "400"},
    {"a negative chunk",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n"sv,
     "400"},
    {"a chunk longer than its size",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n"sv,
     "400"},
    {"a chunk line with bare LF",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\na\n0\n\n"sv, ""},
    {"a length in the trailer",
     "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n"sv,
     "400"},
    {"nothing", ""sv, ""},
    {"half a head", "GET / HTTP/1.1\r\nHo"sv, ""},
    {"half a body", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab"sv, ""},
    {"half a chunk", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"sv,
     ""},
};

TEST_F(BadInputTest, EveryRowIsRefusedAndTheConnectionEnds) {
  for (const BadRow& row : kRows) {
    for (std::size_t part : {std::size_t{1} << 20, std::size_t{1}}) {
      // What follows must never be taken for a second request.
      const std::string bytes = std::string(row.bytes);
      const std::string answer = talk(bytes, part);
      EXPECT_EQ(status_of(answer), row.status) << row.what << " in parts of " << part << ":\n"
                                               << answer;
      EXPECT_EQ(answer.find("HTTP/1.1 ", 1), std::string::npos) << row.what << ": a second answer";
      if (*row.status != 0) {
        EXPECT_NE(answer.find("application/problem+json"), std::string::npos) << row.what;
        EXPECT_NE(answer.find("Connection: close"), std::string::npos) << row.what;
      }
    }
  }
}

TEST_F(BadInputTest, LongAndManyHeadersAreRefused) {
  EXPECT_EQ(status_of(talk("GET /" + std::string(2000, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n")),
            "431");
  EXPECT_EQ(status_of(talk("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(2000, 'a'))), "431");
  std::string many = "GET / HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 10; ++i) many += "X: y\r\n";
  EXPECT_EQ(status_of(talk(many + "\r\n")), "431");
  std::string trailer = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
  EXPECT_EQ(status_of(talk(trailer + "X: " + std::string(2000, 'a'))), "431");
  EXPECT_EQ(status_of(talk("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" +
                           std::string(2000, 'x'))),
            "431");
}

TEST_F(BadInputTest, WhatFollowsABadRequestIsNotServed) {
  const std::string answer = talk(
      "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nTransfer-Encoding: "
      "chunked\r\n\r\n0\r\n\r\n"
      "GET /secret HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(status_of(answer), "400");
  EXPECT_EQ(answer.find("/secret"), std::string::npos);
}

TEST_F(BadInputTest, GoodRequestsPassInEverySplit) {
  const std::string bytes =
      "POST /a%20b?x HTTP/1.1\r\nhost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n"
      "3;ext=\"v\"\r\nabc\r\n002\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n"
      "PUT http://h/c HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy"
      "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"
      "GET /last HTTP/1.0\r\n\r\n";
  for (std::size_t part : {1u, 2u, 3u, 7u, 50u, 1000u}) {
    const std::string answer = talk(bytes, part);
    EXPECT_NE(answer.find("POST /a b [abcde]"), std::string::npos) << part << answer;
    EXPECT_NE(answer.find("PUT /c [xy]"), std::string::npos) << part;
    EXPECT_NE(answer.find("204 No Content"), std::string::npos) << part;
    EXPECT_NE(answer.find("GET /last []"), std::string::npos) << part;
  }
}

TEST_F(BadInputTest, SlowPeersAreCutOff) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(talk("", 1, false), "");                           // says nothing: idle_timeout
  EXPECT_EQ(talk("GET / HTTP/1.1\r\nHost:", 100, false), "");  // stops in the head
  EXPECT_EQ(talk("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\na", 100, false), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
}

// A byte now and then keeps no connection open: the head as a whole has a deadline.
TEST_F(BadInputTest, TricklingTheHeadDoesNotHelp) {
  HttpServer server(executor, echo, limits);
  run([&]() -> awaitable<void> {
    auto [client, other] = make_pipe(executor);
    bool is_served = false;
    spawn(
        executor,
        [&, end = std::move(other)]() mutable -> awaitable<void> {
          co_await server.serve(std::move(end));
          is_served = true;
        },
        "serve");
    int sent = 0;
    while (!is_served && sent < 100) {
      if (!co_await client->write_all(std::string_view("G"))) break;
      ++sent;
      co_await sleep_for(10ms);
    }
    co_await sleep_for(5ms);
    EXPECT_TRUE(is_served);
    EXPECT_LT(sent, 20);
  }());
}

}  // namespace
}  // namespace chorok::net
