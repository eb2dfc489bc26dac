// Watching, over streams that break and managers that were started again.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/config.h"
#include "cli/test_support.h"
#include "net/sse.h"

namespace chorok::cli {
namespace {

using ::testing::Contains;
using testing::FakeManager;
using testing::FakeTerminal;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Ran;

const std::string kCompacted =
    net::format_sse({.id = "90", .event = "compacted", .data = R"({"revision":90})"});

Value event(int second, const std::string& message) {
  Value made = *parse_json(R"({"severity":"info","kind":"vm.on"})");
  made.member("id") = fmt::format("ev-{}", second);
  made.member("time") = fmt::format("2026-11-21T12:00:{:02}.000Z", second);
  made.member("message") = message;
  return made;
}

Value vm(const std::string& name, const std::string& state, const std::string& app) {
  Value made = Value::object({});
  made.make("meta/id") = "vm-" + name;
  made.make("meta/name") = name;
  made.make("meta/labels/app") = app;
  made.make("meta/revision") = 7;
  made.make("status/state") = state;
  return made;
}

std::string put(std::string_view kind, const Value& object, int revision) {
  const Value id = object.find("meta") != nullptr ? object.get("meta/id") : object.get("id");
  const Value data = Value::object({{"kind", kind}, {"id", id}, {"object", object}});
  return net::format_sse(
      {.id = fmt::format("{}", revision), .event = "put", .data = to_json(data)});
}

class Watching : public ::testing::Test {
 protected:
  Watching() {
    terminal.environment["CHOROK_CONFIG"] = "/nonexistent/chorok/config.json";
    terminal.environment["CHOROK_URL"] = manager.url();
    terminal.environment["CHOROK_TOKEN"] = "chk_1_abc";
  }
  // Every script ends with a refusal.
  Ran chorok(std::vector<std::string> args) {
    Ran ran = run_with(terminal, std::move(args));
    EXPECT_EQ(ran.code, exit_code::kUnauthenticated) << ran.err;
    return ran;
  }

  FakeManager manager;
  FakeTerminal terminal;
};

// A manager remembers no change from before its start. Whoever comes back with an older revision is
// told so, and would be for ever.
TEST_F(Watching, ALogGoesOnAfterTheManagerWasStartedAgain) {
  const Value first = event(1, "first"), second = event(2, "second"), third = event(3, "third");
  // Newest first, as they are asked for.
  manager.put("events", second);
  manager.put("events", first);
  manager.script_watches({{put("event", third, 60), "events", {third, second, first}},
                          {kCompacted, "events", {event(4, "fourth"), third, second, first}},
                          {put("event", event(5, "fifth"), 95), "events", {}}});
  const Ran ran = chorok({"event", "ls", "--watch", "--columns", "message"});
  EXPECT_EQ(ran.out, "MESSAGE\nfirst\nsecond\nthird\nfourth\nfifth\n");
  EXPECT_THAT(manager.requests(), Contains("GET /api/v1/watch?kinds=event&since=60"));
  EXPECT_EQ(manager.requests().back(), "GET /api/v1/watch?kinds=event&since=95");
}

TEST_F(Watching, WhatWasThereAllAlongIsNotTakenForNew) {
  const Value first = event(1, "first"), second = event(2, "second"), third = event(3, "third");
  manager.put("events", third);
  manager.put("events", second);
  manager.script_watches({{kCompacted, "events", {third, second, first}}});
  EXPECT_EQ(chorok({"event", "ls", "--watch", "--columns", "message"}).out,
            "MESSAGE\nsecond\nthird\n");
}

TEST_F(Watching, ATableTellsWhatDiffersAfterwards) {
  const Value same = vm("web1", "on", "web");
  manager.put("vms", same);
  manager.put("vms", vm("web2", "on", "web"));
  manager.put("vms", vm("web3", "on", "web"));
  manager.script_watches({{kCompacted, "vms", {same, vm("web2", "off", "web")}}});
  const Ran ran = chorok({"vm", "ls", "--watch", "--columns", "meta.name,status.state"});
  EXPECT_THAT(ran.out, ::testing::EndsWith("web3  on\nweb2  off\n"));
  EXPECT_THAT(ran.err, HasSubstr("vm vm-web3 is gone"));
  EXPECT_THAT(ran.err, Not(HasSubstr("web1")));
}

TEST_F(Watching, AFilteredListShowsNoOthers) {
  const Value mine = vm("web1", "on", "web"), other = vm("db1", "on", "db");
  manager.put("vms", mine);
  manager.put("vms", other);
  const Value off = vm("web1", "off", "web");
  manager.script_watches({{put("vm", vm("db1", "off", "db"), 60), "vms", {mine, other}},
                          {put("vm", off, 61), "vms", {off, other}}});
  const Ran ran =
      chorok({"vm", "ls", "--watch", "-l", "app=web", "--columns", "meta.name,status.state"});
  EXPECT_EQ(ran.out, "NAME  STATE\nweb1  on\nweb1  off\n");
}

// To paint, lists and names are asked for while the stream is open.
TEST_F(Watching, ATerminalIsPaintedAgainAtEachChange) {
  const Value on = vm("web1", "on", "web"), off = vm("web1", "off", "web");
  manager.put("vms", on);
  manager.script_watches({{put("vm", off, 60), "vms", {off}}, {put("vm", on, 61), "vms", {on}}});
  terminal.is_terminal = true;
  const Ran ran = chorok({"vm", "ls", "--watch", "-l", "app=web", "--columns", "status.state"});
  std::size_t paints = 0;
  for (std::size_t at = ran.out.find("\x1b[2J"); at != std::string::npos;
       at = ran.out.find("\x1b[2J", at + 1))
    ++paints;
  EXPECT_EQ(paints, 3U) << ran.out;
}

TEST_F(Watching, NamesAreAskedForWhileTheStreamIsOpen) {
  Value host = *parse_json(R"({"meta":{"id":"host-1","name":"host1","revision":3},
                               "cluster":"cl-1","link":"connected"})");
  manager.put("hosts", host);
  manager.put("clusters", *parse_json(R"({"meta":{"id":"cl-1","name":"main"}})"));
  manager.script_watches({{put("host", host, 60) + put("host", host, 61), "", {}}});
  terminal.is_terminal = true;
  const Ran ran = chorok({"host", "ls", "--watch", "--columns", "meta.name,cluster"});
  EXPECT_THAT(ran.out, HasSubstr("main"));
  EXPECT_THAT(ran.err, Not(HasSubstr("bug")));
}

TEST_F(Watching, OneObjectGoesOnToo) {
  const Value on = vm("web1", "on", "web"), off = vm("web1", "off", "web");
  manager.put("vms", on);
  manager.script_watches({{kCompacted, "vms", {off}}, {kCompacted, "vms", {off}}});
  const Ran ran = chorok({"vm", "show", "web1", "--watch", "-o", "json"});
  EXPECT_THAT(ran.out, HasSubstr(R"("state": "on")"));
  const std::size_t off_at = ran.out.find(R"("state": "off")");
  ASSERT_NE(off_at, std::string::npos);
  EXPECT_EQ(ran.out.find(R"("state")", off_at + 1), std::string::npos) << "told once";
}

TEST_F(Watching, OneThatWentMeanwhileIsGone) {
  manager.put("vms", vm("web1", "on", "web"));
  manager.script_watches({{kCompacted, "vms", {}}});
  const Ran ran = run_with(terminal, {"vm", "show", "web1", "--watch"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.err, HasSubstr("vm-web1 is gone"));
}

}  // namespace
}  // namespace chorok::cli
