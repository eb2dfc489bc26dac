// URLs, headers, server-sent events: what is only text.
#include <gtest/gtest.h>

#include "net/http.h"
#include "net/sse.h"
#include "net/uri.h"

namespace chorok::net {
namespace {

TEST(Url, TakesThePartsApart) {
  auto url = parse_url("https://[::1]:8443/api/v1?x=1#gone");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 8443);
  EXPECT_EQ(url->target, "/api/v1?x=1");
  EXPECT_EQ(url->authority(), "[::1]:8443");
  EXPECT_EQ(parse_url("https://h")->port, 443);
  EXPECT_EQ(parse_url("ws://h?a=b")->target, "/?a=b");
  EXPECT_EQ(parse_url("https://h:443/x")->to_string(), "https://h/x");
}

TEST(Url, RefusesWhatIsNone) {
  for (const char* bad :
       {"", "h", "ftp://h", "https://", "https://h:0", "https://h:65536", "https://h:1x",
        "https://a b", "https://user@h", "https://[::1", "https://h\r\nX: y"}) {
    EXPECT_FALSE(parse_url(bad)) << bad;
  }
}

TEST(Percent, DecodesWhatItEncodes) {
  const std::string text = "web 1/ä+%&=\x01";
  EXPECT_EQ(percent_decode(percent_encode(text)).value(), text);
  EXPECT_EQ(percent_encode("a b/ä"), "a%20b%2F%C3%A4");
  for (const char* bad : {"%", "%1", "%g0", "a%0", "%00"}) EXPECT_FALSE(percent_decode(bad)) << bad;
}

TEST(Target, SplitsAndDecodes) {
  auto target = parse_target("/api/v1/vms/web%201?label=a%3Db&x=1+2&flag");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, "/api/v1/vms/web 1");
  EXPECT_EQ(target->segments, (std::vector<std::string>{"api", "v1", "vms", "web 1"}));
  EXPECT_EQ(target->query, (QueryItems{{"label", "a=b"}, {"x", "1 2"}, {"flag", ""}}));
  EXPECT_EQ(parse_target("/")->segments.size(), 0u);
  EXPECT_EQ(parse_target("/a/")->path, "/a/");
  EXPECT_EQ(parse_target("/a/")->segments.size(), 1u);
}

TEST(Target, RefusesWhatCouldEscape) {
  for (const char* bad : {"", "a", "/../etc", "/a/..", "/a/%2e%2e/b", "/%2E", "/a//b", "//a",
                          "/a%2Fb", "/a%00", "/a%0ab", "/%7f", "/a b", "/\x80", "/%zz", "/?q=%1"}) {
    EXPECT_FALSE(parse_target(bad)) << bad;
  }
}

TEST(Headers, CompareWithoutCaseAndKnowTokens) {
  Headers headers{{"Connection", "keep-alive, Upgrade"}, {"X-A", "1"}, {"x-a", "2"}};
  EXPECT_EQ(headers.get("CONNECTION"), "keep-alive, Upgrade");
  EXPECT_TRUE(headers.has_token("connection", "upgrade"));
  EXPECT_FALSE(headers.has_token("connection", "up"));
  EXPECT_EQ(headers.count("X-a"), 2u);
  headers.set("X-A", "3");
  EXPECT_EQ(headers.count("X-a"), 1u);
  EXPECT_EQ(headers.get("none", "else"), "else");
}

TEST(Problem, SurvivesTheWay) {
  const Error error{Code::kExhausted, "the pool \"a\" has no memory left", "/spec/memory"};
  Response response = Response::problem(error, "/api/v1/vms");
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.headers.get("content-type"), "application/problem+json");
  EXPECT_EQ(error_from_problem(429, std::get<std::string>(response.body)), error);
  EXPECT_EQ(error_from_problem(502, "<html>").code, Code::kUnavailable);
  EXPECT_EQ(error_from_problem(404, "{}").code, Code::kNotFound);
}

std::vector<SseEvent> parse_all(SseParser& parser, std::string_view bytes) {
  std::vector<SseEvent> events;
  EXPECT_TRUE(parser.feed(bytes));
  while (auto event = parser.next()) events.push_back(std::move(*event));
  return events;
}

TEST(Sse, ReadsWhatItWrites) {
  const SseEvent event{"42", "vm", "line 1\nline 2\n", 1500};
  SseParser parser;
  auto events = parse_all(parser, format_sse(event));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0], event);
  EXPECT_EQ(parser.last_id(), "42");
}

TEST(Sse, DoesNotLetAnIdForgeAField) {
  SseParser parser;
  auto events = parse_all(parser, format_sse({"1\ndata: forged", "a\r\nid: 9", "real", {}}));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].data, "real");
  EXPECT_EQ(events[0].id, "1data: forged");
}

TEST(Sse, TakesEveryLineEndAndEverySplit) {
  const std::string text =
      "\xef\xbb\xbf: hello\r\ndata:a\rdata: b\n\nid: 7\r\ndata\r\n\r\nevent: e\n\nretry: x\ndata: "
      "c\n\n";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    SseParser parser;
    auto events = parse_all(parser, std::string_view(text).substr(0, cut));
    for (auto& event : parse_all(parser, std::string_view(text).substr(cut))) {
      events.push_back(event);
    }
    ASSERT_EQ(events.size(), 3u) << cut;
    EXPECT_EQ(events[0].data, "a\nb");
    EXPECT_EQ(events[1].data, "");
    EXPECT_EQ(events[1].id, "7");
    EXPECT_EQ(events[2].data, "c");
    EXPECT_EQ(events[2].event, "");
    EXPECT_EQ(events[2].id, "7");  // stays until another comes
  }
}

TEST(Sse, BoundsAnEvent) {
  SseParser parser(100);
  EXPECT_TRUE(parser.feed("data: short\n\n"));
  EXPECT_EQ(parser.feed("data: " + std::string(200, 'x')).error().code, Code::kExhausted);
}

}  // namespace
}  // namespace chorok::net
