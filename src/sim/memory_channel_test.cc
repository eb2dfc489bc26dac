#include "sim/memory_channel.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "sim/virtual_loop.h"

namespace chorok::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Wire {
  explicit Wire(LinkSettings settings = {}, std::uint64_t seed = 1)
      : link(MemoryLink::create(loop, settings, Random(seed))),
        a(link->take_a()),
        b(link->take_b()) {
    b->on_call([this](std::string method, std::string params, ports::Channel::Reply reply) {
      heard.push_back(method + params);
      if (method == "refuse")
        reply(fail(Code::kConflict, "no"));
      else
        reply("<" + params + ">");
    });
  }
  std::optional<Result<std::string>> ask(std::string method, std::string params) {
    auto answer = std::make_shared<std::optional<Result<std::string>>>();
    a->call(std::move(method), std::move(params), seconds(5), [answer](Result<std::string> result) {
      ASSERT_FALSE(answer->has_value());
      *answer = std::move(result);
    });
    loop.advance_until([&] { return answer->has_value(); }, seconds(60));
    return *answer;
  }

  VirtualLoop loop;
  std::shared_ptr<MemoryLink> link;
  std::unique_ptr<ports::Channel> a;
  std::unique_ptr<ports::Channel> b;
  std::vector<std::string> heard;
};

TEST(MemoryChannel, CarriesCallsAnswersAndErrors) {
  Wire wire;
  EXPECT_EQ(wire.ask("echo", "1")->value(), "<1>");
  EXPECT_EQ(wire.ask("refuse", "")->error().code, Code::kConflict);
}

TEST(MemoryChannel, KeepsTheOrderWhateverTheLatency) {
  LinkSettings settings;
  settings.slow_message = 0.3;
  Wire wire(settings);
  std::vector<std::string> sent;
  for (int i = 0; i < 100; ++i) {
    sent.push_back("n" + std::to_string(i));
    wire.a->notify("n", std::to_string(i));
  }
  wire.loop.run_for(seconds(3600));
  EXPECT_EQ(wire.heard, sent);
}

TEST(MemoryChannel, NotificationsMayOvertakeCallsButNotEachOther) {
  LinkSettings settings;
  settings.overtaking = 1;
  settings.slow_message = 0.3;
  Wire wire(settings);
  for (int i = 0; i < 100; ++i) {
    wire.a->call("c", std::to_string(i), seconds(3600), [](Result<std::string>) {});
    wire.a->notify("n", std::to_string(i));
  }
  wire.loop.run_for(seconds(3600));
  std::vector<std::string> calls, notifications;
  for (const std::string& each : wire.heard)
    (each.starts_with("c") ? calls : notifications).push_back(each.substr(1));
  EXPECT_EQ(calls, notifications);
  EXPECT_EQ(calls.size(), 100u);
  EXPECT_NE(wire.heard.front(), "c0");
}

TEST(MemoryChannel, WhatCameBeforeTheHandlerIsNotLost) {
  Wire wire;
  std::vector<std::string> heard;
  wire.b->notify("early", "1");
  wire.loop.run_for(seconds(1));
  wire.a->on_call(
      [&](std::string method, std::string, ports::Channel::Reply) { heard.push_back(method); });
  EXPECT_TRUE(heard.empty());
  wire.loop.run_for(seconds(1));
  EXPECT_EQ(heard, std::vector<std::string>{"early"});
}

TEST(MemoryChannel, ALostMessageIsATimeout) {
  LinkSettings settings;
  settings.lost_message = 1;
  Wire wire(settings);
  EXPECT_EQ(wire.ask("echo", "")->error().code, Code::kTimeout);
}

TEST(MemoryChannel, ACutAnswersWhatIsOpenAndTellsBothEnds) {
  Wire wire;
  int closed = 0;
  wire.a->on_close([&](Error why) { closed += why.message == "gone"; });
  wire.b->on_close([&](Error) { ++closed; });
  std::optional<Result<std::string>> answer;
  wire.a->call("echo", "", seconds(5), [&](Result<std::string> r) { answer = std::move(r); });
  wire.link->cut("gone");
  wire.loop.run_for(seconds(1));
  EXPECT_EQ(closed, 2);
  EXPECT_EQ(answer->error().code, Code::kUnavailable);
  EXPECT_TRUE(wire.heard.empty());
  EXPECT_EQ(wire.ask("echo", "")->error().code, Code::kUnavailable);
}

TEST(MemoryChannel, AStallHoldsMessagesAndLetsThemGoInOrder) {
  Wire wire;
  wire.link->stall(true);
  wire.a->notify("n", "1");
  wire.a->notify("n", "2");
  EXPECT_EQ(wire.ask("echo", "")->error().code, Code::kTimeout);
  EXPECT_TRUE(wire.heard.empty());
  wire.link->stall(false);
  wire.loop.run_for(milliseconds(10));
  EXPECT_EQ(wire.heard, (std::vector<std::string>{"n1", "n2", "echo"}));
}

TEST(MemoryChannel, AnEndThatIsDestroyedClosesTheOther) {
  Wire wire;
  bool closed = false;
  wire.a->on_close([&](Error) { closed = true; });
  wire.b.reset();
  wire.loop.run_for(seconds(1));
  EXPECT_TRUE(closed);
}

TEST(MemoryChannel, ACallerThatIsGoneIsNotAnswered) {
  Wire wire;
  bool answered = false;
  wire.a->call("echo", "", seconds(5), [&](Result<std::string>) { answered = true; });
  wire.a.reset();
  wire.loop.run_for(seconds(10));
  EXPECT_FALSE(answered);
}

}  // namespace
}  // namespace chorok::sim
