#include "net/async.h"

#include <fcntl.h>

#include <csignal>
#include <filesystem>

#include "net/byte_stream.h"
#include "net/test_support.h"

namespace chorok::net {
namespace {

using namespace std::chrono_literals;
class AsyncTest : public testing::LoopTest {};

TEST_F(AsyncTest, EventWakesEveryWaiterOnce) {
  AsyncEvent event(executor);
  int woken = 0;
  auto wait = [&]() -> awaitable<void> {
    co_await event.wait();
    ++woken;
  };
  spawn(executor, wait(), "a");
  spawn(executor, wait(), "b");
  run([&]() -> awaitable<void> {
    co_await sleep_for(1ms);
    event.notify_all();
    co_await sleep_for(1ms);
    EXPECT_EQ(woken, 2);
    EXPECT_FALSE(co_await event.wait_for(5ms));
    spawn(executor, wait(), "c");
    co_await sleep_for(1ms);
    event.notify_all();
    event.notify_all();
    co_await sleep_for(1ms);
    EXPECT_EQ(woken, 3);
  }());
}

TEST_F(AsyncTest, EventDestroyedBesideItsWaiterIsSafe) {
  auto inner = std::make_unique<AsioLoop>();
  auto event = std::make_unique<AsyncEvent>(inner->executor());
  auto wait = [&]() -> awaitable<void> { co_await event->wait(); };
  spawn(inner->executor(), wait(), "never woken");
  inner->post([&] { inner->stop(); });
  inner->run();
  inner.reset();  // destroys the waiting coroutine first
  event.reset();
}

TEST_F(AsyncTest, DeadlineFiresOnceAndMovesForFree) {
  int fired = 0;
  Deadline deadline(executor, [&] { ++fired; });
  run([&]() -> awaitable<void> {
    deadline.set(5ms);
    deadline.set(1h);  // later: the timer that is armed looks again
    co_await sleep_for(20ms);
    EXPECT_EQ(fired, 0);
    EXPECT_FALSE(deadline.has_expired());
    deadline.set(1ms);  // earlier
    co_await sleep_for(10ms);
    EXPECT_EQ(fired, 1);
    EXPECT_TRUE(deadline.has_expired());
    deadline.set(1ms);
    deadline.clear();
    co_await sleep_for(10ms);
    EXPECT_EQ(fired, 1);
    deadline.set(Duration::max());
    co_await sleep_for(1ms);
    EXPECT_EQ(fired, 1);
  }());
}

TEST_F(AsyncTest, LoopRunsTimersInOrderAndForgetsCancelledOnes) {
  std::string order;
  loop.after(3ms, [&] { order += 'c'; });
  auto cancelled = loop.after(2ms, [&] { order += 'x'; });
  loop.after(1ms, [&] {
    order += 'b';
    loop.cancel(cancelled);
  });
  loop.post([&] { order += 'a'; });
  loop.after(-5ms, [&] { order += '-'; });
  loop.run(true);
  EXPECT_TRUE(order == "a-bc" || order == "-abc") << order;
}

TEST_F(AsyncTest, LoopTimeNeverGoesBack) {
  Time last = loop.now();
  for (int i = 0; i < 1000; ++i) {
    const Time now = loop.now();
    EXPECT_GE(now, last);
    last = now;
  }
  EXPECT_LT(std::chrono::abs(last - std::chrono::system_clock::now()), 1s);
}

TEST_F(AsyncTest, SignalsComeOnTheLoop) {
  int got = 0;
  loop.on_signals({SIGUSR1}, [&](int signal) {
    got = signal;
    loop.stop();
  });
  loop.post([] { std::raise(SIGUSR1); });
  loop.run();
  EXPECT_EQ(got, SIGUSR1);
}

TEST_F(AsyncTest, ThrownExceptionEndsOnlyThatCoroutine) {
  spawn(
      executor,
      []() -> awaitable<void> {
        throw std::runtime_error("a bug");
        co_return;
      },
      "thrower");
  run([]() -> awaitable<void> { co_await sleep_for(1ms); }());
}

TEST_F(AsyncTest, PipeKeepsOrderAndStopsAFastWriter) {
  auto [left, right] = make_pipe(executor, 16);
  std::string got;
  bool is_written = false;
  spawn(
      executor,
      [&, writer = left.get()]() -> awaitable<void> {
        EXPECT_TRUE(co_await writer->write_all(std::string(100, 'x') + "end"));
        is_written = true;
        EXPECT_TRUE(co_await writer->shutdown());
      },
      "writer");
  run([&]() -> awaitable<void> {
    co_await sleep_for(1ms);
    EXPECT_FALSE(is_written);
    char bytes[7];
    for (;;) {
      auto count = co_await right->read_some(bytes);
      EXPECT_TRUE(count);
      if (!count || *count == 0) break;
      got.append(bytes, *count);
    }
    EXPECT_EQ(got, std::string(100, 'x') + "end");
  }());
}

TEST_F(AsyncTest, CloseEndsAReadThatWaits) {
  run([&]() -> awaitable<void> {
    auto listener = listen_tcp(executor, "127.0.0.1", 0);
    EXPECT_TRUE(listener);
    auto client = co_await connect_tcp("127.0.0.1", (*listener)->port());
    EXPECT_TRUE(client);
    auto server = co_await (*listener)->accept();
    EXPECT_TRUE(server);
    loop.after(5ms, [&] { (*client)->close(); });
    char bytes[8];
    auto count = co_await (*client)->read_some(bytes);
    EXPECT_FALSE(count);
    EXPECT_EQ(count.error().code, Code::kCancelled);
    auto end = co_await (*server)->read_some(bytes);
    EXPECT_TRUE(end && *end == 0);
  }());
}

// The names of this process's sockets that a child process would inherit.
std::vector<std::string> inherited_sockets() {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    const int flags = ::fcntl(std::stoi(entry.path().filename().string()), F_GETFD);
    if (!gone && target.starts_with("socket:") && flags >= 0 && (flags & FD_CLOEXEC) == 0) {
      found.push_back(target);
    }
  }
  return found;
}

TEST_F(AsyncTest, ChildProcessesInheritNoSocket) {
  run([&]() -> awaitable<void> {
    const auto before = inherited_sockets();
    auto listener = listen_tcp(executor, "::", 0);
    EXPECT_TRUE(listener);
    auto client = co_await connect_tcp("127.0.0.1", (*listener)->port());
    auto server = co_await (*listener)->accept();
    EXPECT_TRUE(client && server);
    EXPECT_TRUE((*server)->peer().starts_with("127.0.0.1:")) << (*server)->peer();
    EXPECT_EQ(inherited_sockets(), before);
  }());
}

TEST_F(AsyncTest, ConnectErrorsSayWhat) {
  run([&]() -> awaitable<void> {
    auto refused = co_await connect_tcp("127.0.0.1", 1);
    EXPECT_EQ(refused.error().code, Code::kUnavailable);
    EXPECT_NE(refused.error().message.find("127.0.0.1:1"), std::string::npos);
    // 192.0.2.0/24 is for documentation: nobody answers, or the network says so at once.
    auto silent = co_await connect_tcp("192.0.2.1", 9, {50ms});
    EXPECT_FALSE(silent);
    auto missing = co_await connect_unix("/nonexistent/socket");
    EXPECT_FALSE(missing);
    auto bad = listen_tcp(executor, "not an address", 0);
    EXPECT_EQ(bad.error().code, Code::kInvalid);
  }());
}

TEST_F(AsyncTest, UnixListenerReplacesOnlyAStaleSocket) {
  const std::string path = "/tmp/chorok_net_test." + std::to_string(getpid());
  run([&]() -> awaitable<void> {
    auto first = listen_unix(executor, path);
    EXPECT_TRUE(first);
    auto second = listen_unix(executor, path);
    EXPECT_EQ(second.error().code, Code::kAlreadyExists);
    auto client = co_await connect_unix(path);
    EXPECT_TRUE(client);
    first->reset();
    EXPECT_NE(access(path.c_str(), F_OK), 0);
  }());
}

}  // namespace
}  // namespace chorok::net
