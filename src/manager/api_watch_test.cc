#include "manager/api_test_support.h"
#include "net/sse.h"

namespace chorok::manager {
namespace {

class WatchTest : public ApiTest {
 protected:
  // Opens a watch, calls `then`, and collects events until there are `count` of them.
  std::vector<net::SseEvent> watch(const std::string& query, std::size_t count,
                                   std::function<void()> then = nullptr,
                                   net::Headers headers = {}) {
    std::vector<net::SseEvent> events;
    headers.add("Authorization", "Bearer " + token());
    run([&]() -> net::awaitable<void> {
      net::ClientRequest request;
      request.url = url("/api/v1/watch" + query);
      request.headers = headers;
      auto stream = co_await client->open_stream(std::move(request));
      EXPECT_TRUE(stream) << stream.error().message;
      if (!stream) co_return;
      EXPECT_EQ((*stream)->status(), 200);
      EXPECT_EQ((*stream)->headers().get("Content-Type"), "text/event-stream");
      net::SseParser parser;
      char buffer[4096];
      bool is_told = false;
      while (events.size() < count) {
        auto got = co_await (*stream)->read_some(buffer);
        if (!got || *got == 0) break;
        EXPECT_TRUE(parser.feed(std::string_view(buffer, *got)));
        while (auto event = parser.next()) events.push_back(*event);
        if (!std::exchange(is_told, true) && then) then();
      }
      last_id = parser.last_id();
      (*stream)->close();
    });
    return events;
  }
  void change(const std::string& id, const std::string& where = "") {
    // Networks, because the reconciler has its own word on VMs.
    model::Network network;
    network.meta.id = network.meta.name = id;
    network.meta.folder = where;
    Changes changes;
    changes.put(std::move(network));
    service->engine().commit(std::move(changes), [](Result<>) {});
  }
  void erase(const std::string& id) {
    Changes changes;
    changes.erase<model::Network>(id);
    service->engine().commit(std::move(changes), [](Result<>) {});
  }
  std::string last_id;
};

TEST_F(WatchTest, TellsWhatChanges) {
  auto events = watch("?kinds=networks", 3, [&] {
    change("net-a");
    Changes other;
    model::Datastore datastore;
    datastore.meta.id = datastore.meta.name = "ds-1";
    other.put(std::move(datastore));
    service->engine().commit(std::move(other), [](Result<>) {});
    change("net-b");
    erase("net-a");
  });
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].event, "put");
  EXPECT_TRUE(events[0].data.starts_with(R"({"kind":"network","id":"net-a","object":{"meta":)"));
  EXPECT_EQ(events[2].event, "delete");
  EXPECT_EQ(events[2].data, R"({"kind":"network","id":"net-a"})");
  EXPECT_EQ(std::stoull(events[1].id), std::stoull(events[0].id) + 2) << "one was of another kind";
}

TEST_F(WatchTest, ResumesWhereItWas) {
  const std::string since = get("/networks").at("/revision");
  change("net-a");
  change("net-b");
  auto first = watch("?kinds=network&since=" + since, 2);
  ASSERT_EQ(first.size(), 2U);
  change("net-c");
  auto again = watch("?kinds=network&since=1", 2, nullptr, {{"Last-Event-ID", first[0].id}});
  ASSERT_EQ(again.size(), 2U) << "the header says where; the query is where it began";
  EXPECT_EQ(again[0].id, first[1].id);
  EXPECT_NE(again[1].data.find("net-c"), std::string::npos);
}

TEST_F(WatchTest, SaysWhenItCannotResume) {
  auto late = watch("?since=999999", 1);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].event, "compacted");
  EXPECT_EQ(late[0].id, get("/networks").at("/revision")) << "else a browser comes again for ever";
  EXPECT_EQ(get("/watch?since=yesterday").status, 400);
  EXPECT_EQ(get("/watch?kinds=vm,hots").at("/field"), "?kinds");
}

TEST_F(WatchTest, ShowsOnlyWhatOneMaySee) {
  acting = make_user("ann", "team/a", "viewer");
  auto events = watch("", 2, [&] {
    change("net-b", "team/b");
    change("net-a", "team/a");
    change("net-r");
    change("net-c", "team/a/sub");
  });
  ASSERT_EQ(events.size(), 2U);
  EXPECT_NE(events[0].data.find("\"net-a\""), std::string::npos);
  EXPECT_NE(events[1].data.find("\"net-c\""), std::string::npos);
}

class QuickWatchTest : public WatchTest {
 protected:
  std::string beat_of_now() {
    return "id: " + std::to_string(service->engine().revision()) + "\n\n";
  }
  ServiceSettings settings() const override {
    ServiceSettings quick;
    quick.api.heartbeat = std::chrono::milliseconds(50);
    quick.api.watch_queue_bytes_max = 64 * 1024;
    return quick;
  }
};

TEST_F(QuickWatchTest, BeatsMoveTheIdOn) {
  bool is_first = true;
  // Events that are not shown move the id on nevertheless, with the next beat.
  std::string id;
  run([&]() -> net::awaitable<void> {
    net::ClientRequest request;
    request.url = url("/api/v1/watch?kinds=host");
    request.headers.add("Authorization", "Bearer " + admin);
    auto stream = co_await client->open_stream(std::move(request));
    EXPECT_TRUE(stream);
    if (!stream) co_return;
    std::string text;
    char buffer[1024];
    // The commit is in by then.
    while (is_first || text.find(beat_of_now()) == std::string::npos) {
      auto got = co_await (*stream)->read_some(buffer);
      if (!got || *got == 0) break;
      text.append(buffer, *got);
      if (std::exchange(is_first, false)) change("net-a");
    }
    id = text;
    (*stream)->close();
  });
  EXPECT_NE(id.find(beat_of_now()), std::string::npos) << id;
}

TEST_F(QuickWatchTest, EndsWithItsToken) {
  acting = login("admin");
  const std::string id = get("/tokens?sort=-meta/created&fields=meta/id").at("/items/0/meta/id");
  bool is_ended = false;
  run([&]() -> net::awaitable<void> {
    net::ClientRequest request;
    request.url = url("/api/v1/watch");
    request.headers.add("Authorization", "Bearer " + acting);
    auto stream = co_await client->open_stream(std::move(request));
    EXPECT_TRUE(stream);
    if (!stream) co_return;
    Reply gone =
        co_await send("DELETE", "/tokens/" + id, "", {{"Authorization", "Bearer " + admin}});
    EXPECT_EQ(gone.status, 204) << gone.body;
    char buffer[4096];
    for (;;) {
      auto got = co_await (*stream)->read_some(buffer);
      is_ended = got && *got == 0;
      if (!got || *got == 0) break;
    }
  });
  EXPECT_TRUE(is_ended);
}

TEST_F(QuickWatchTest, DropsWhoIsTooSlow) {
  bool is_broken = false;
  run([&]() -> net::awaitable<void> {
    net::ClientRequest request;
    request.url = url("/api/v1/watch?kinds=network");
    request.headers.add("Authorization", "Bearer " + admin);
    auto stream = co_await client->open_stream(std::move(request));
    EXPECT_TRUE(stream);
    if (!stream) co_return;
    co_await net::sleep_for(std::chrono::milliseconds(50));
    for (int i = 0; i < 500; ++i) change("net-" + std::to_string(i));
    char buffer[65536];
    for (;;) {
      auto got = co_await (*stream)->read_some(buffer);
      is_broken = !got;
      if (!got || *got == 0) break;
    }
  });
  EXPECT_TRUE(is_broken) << "so that the client notices and lists again";
}

}  // namespace
}  // namespace chorok::manager
