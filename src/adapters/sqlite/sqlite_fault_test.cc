// Full disks, kill -9, power cuts: what was acknowledged is there, what was not is whole or absent.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <fstream>
#include <thread>

#include "adapters/sqlite/power_vfs.h"
#include "adapters/sqlite/test_store.h"

namespace chorok::sqlite {
namespace {

using ports::Revision;
using ports::Txn;

constexpr int kSlots = 10;

// Commit number n writes n to both halves of a slot: a torn transaction shows as two halves that
// differ.
std::vector<ports::Write> numbered(int number, std::size_t size) {
  const std::string slot = std::to_string(number % kSlots);
  const std::string value = std::to_string(number) + ":" + std::string(size, 'x');
  return {{.key = "a/" + slot, .value = value}, {.key = "b/" + slot, .value = value}};
}

struct Progress {
  std::array<int, kSlots> acknowledged{};  // the highest number of a slot that was answered with ok
  std::array<int, kSlots> asked{};         // the highest that was asked for
};

// Both halves equal, nothing acknowledged lost, nothing there that nobody wrote.
void check(TestStore& store, const Progress& progress) {
  for (int slot = 0; slot < kSlots; ++slot) {
    auto first = store.get("a/" + std::to_string(slot));
    auto second = store.get("b/" + std::to_string(slot));
    ASSERT_EQ(first.has_value(), second.has_value());
    if (first) ASSERT_EQ(*first, *second);
    const int number = first ? std::stoi(*first) : 0;
    ASSERT_GE(number, progress.acknowledged[static_cast<std::size_t>(slot)]);
    ASSERT_LE(number, progress.asked[static_cast<std::size_t>(slot)]);
  }
}

// ---- A full disk ----

void fill(TestStore& store, Progress& progress, int& number) {
  for (int tries = 0; tries < 2000; ++tries, ++number) {
    const auto slot = static_cast<std::size_t>(number % kSlots);
    std::vector<ports::Write> writes = numbered(number, 2000);
    writes.push_back({.key = "fill/" + std::to_string(number), .value = std::string(8000, 'y')});
    auto result = store.commit(writes);
    progress.asked[slot] = number;
    if (result) {
      progress.acknowledged[slot] = number;
      continue;
    }
    EXPECT_EQ(result.error().code, Code::kExhausted) << result.error().message;
    EXPECT_NE(result.error().message.find("store.db"), std::string::npos);
    EXPECT_NE(result.error().message.find("free space"), std::string::npos);
    return;
  }
  FAIL() << "the disk never filled up";
}

// Fills the disk, checks that reading goes on, makes room, writes again, opens again.
void full_disk(TestStore& store, const std::function<void()>& make_room) {
  Progress progress;
  int number = 1;
  ASSERT_TRUE(store.open());
  fill(store, progress, number);
  fill(store, progress, ++number);
  check(store, progress);
  int answered = 0;
  for (int i = 0; i < 20; ++i)
    store.store().commit(
        Txn{{{.key = "group", .value = std::string(50'000, 'z')}}}, [&](Result<Revision> result) {
          ++answered;
          EXPECT_EQ(result ? Code::kExhausted : result.error().code, Code::kExhausted);
        });
  EXPECT_TRUE(store.loop().run_until([&] { return answered == 20; }));
  make_room();
  auto result = store.commit(numbered(++number, 2000));
  ASSERT_TRUE(result) << result.error().message;
  const auto slot = static_cast<std::size_t>(number % kSlots);
  progress.asked[slot] = progress.acknowledged[slot] = number;
  check(store, progress);
  store.close();
  store.settings().check = CheckOnOpen::kAlways;
  auto opened = store.open();
  ASSERT_TRUE(opened) << opened.error().message;
  check(store, progress);
}

TEST(SqliteFault, FullBySetting) {
  TestFolder folder;
  TestStore store({.path = folder / "store.db", .max_pages = 200});
  full_disk(store, [&] {
    for (const auto& item : store.all("fill/").value())
      if (store.commit({{.key = item.key}})) return;
    store.close();
    store.settings().max_pages = 0;
    ASSERT_TRUE(store.open());
  });
}

TEST(SqliteFault, FullFileSystem) {
  TestFolder folder;
  // In a mount namespace of this process, so that nothing is left behind however it ends.
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("chorok-test", folder.path().c_str(), "tmpfs", 0, "size=4m") != 0)
    GTEST_SKIP() << "needs root for a small tmpfs";
  {
    TestStore store({.path = folder / "store.db"});
    std::ofstream(folder / "ballast") << std::string(1 << 20, 'b');
    full_disk(store, [&] { std::filesystem::remove(folder / "ballast"); });
  }
  ::umount(folder.path().c_str());
}

TEST(SqliteFault, FullAtAnyMoment) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TestFolder folder;
    PowerVfs vfs(seed);
    TestStore store({.path = folder / "store.db", .checkpoint_pages = 50, .vfs = vfs.name()});
    vfs.set_capacity(200'000 + seed * 7919 % 100'000);
    full_disk(store, [&] { vfs.set_capacity(1 << 30); });
  }
}

// ---- kill -9 ----

// Commits as fast as it can and tells the parent the number of each that was acknowledged.
[[noreturn]] void commit_until_killed(const std::string& path, int first, int pipe) {
  TestStore store({.path = path, .checkpoint_pages = 100});
  if (!store.open()) ::_exit(1);
  int next = first;
  std::function<void()> submit = [&] {
    const int number = next++;
    store.store().commit(Txn{numbered(number, 500)}, [&, number](Result<Revision> result) {
      if (!result || ::write(pipe, &number, sizeof number) != sizeof number) ::_exit(2);
      submit();
    });
  };
  for (int in_flight = 0; in_flight < 30; ++in_flight) submit();
  (void)store.loop().run_until([] { return false; }, std::chrono::seconds(60));
  ::_exit(3);
}

TEST(SqliteFault, KilledInTheMiddle) {
  constexpr int kRounds = 25;
  TestFolder folder;
  Progress progress;
  std::mt19937_64 random(1);
  int next = 1, committed = 0;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) commit_until_killed(folder / "store.db", next, pipe[1]);
    ::close(pipe[1]);
    // Every third one early, perhaps in the middle of opening; the others when it is at work.
    pollfd first{.fd = pipe[0], .events = POLLIN};
    if (round % 3 != 0) ASSERT_EQ(::poll(&first, 1, 30'000), 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 100));
    ::kill(child, SIGKILL);
    int status = 0, number = 0, last = next - 1;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    while (::read(pipe[0], &number, sizeof number) == sizeof number) {
      ASSERT_EQ(number, last + 1) << "answers out of order";
      progress.acknowledged[static_cast<std::size_t>(number % kSlots)] = last = number;
      ++committed;
    }
    ::close(pipe[0]);
    next = last + 100;  // above everything that may have been in flight
    for (int slot = 0; slot < kSlots; ++slot) progress.asked[static_cast<std::size_t>(slot)] = next;
    TestStore store({.path = folder / "store.db", .check = CheckOnOpen::kAlways});
    auto opened = store.open();
    ASSERT_TRUE(opened) << opened.error().message;
    check(store, progress);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(committed, kRounds) << "too slow to mean anything";
  RecordProperty("commits_acknowledged", committed);
}

// ---- Power cuts ----

TEST(SqliteFault, PowerCutAtAnyWrite) {
  std::uint64_t cuts = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    TestFolder folder;
    PowerVfs vfs(seed);
    std::mt19937_64 random(seed);
    Progress progress;
    int number = 0;
    for (int round = 0; round < 6; ++round) {
      TestStore store({.path = folder / "store.db",
                       .max_log_revisions = 40,
                       .checkpoint_pages = 20,
                       .check = CheckOnOpen::kAlways,
                       .vfs = vfs.name()});
      vfs.cut_after(random() % 400);
      if (store.open()) {
        for (int burst = 0; burst < 200 && !vfs.is_off(); ++burst) {
          int answered = 0, asked = 1 + static_cast<int>(random() % 5);
          for (int i = 0; i < asked; ++i) {
            const auto slot = static_cast<std::size_t>(++number % kSlots);
            progress.asked[slot] = number;
            store.store().commit(Txn{numbered(number, random() % 3000)},
                                 [&, slot, mine = number](Result<Revision> result) {
                                   ++answered;
                                   if (result) progress.acknowledged[slot] = mine;
                                 });
          }
          ASSERT_TRUE(store.loop().run_until([&] { return answered == asked; }));
        }
      }
      cuts += vfs.is_off();
      store.close();
      vfs.restore_power();
      auto opened = store.open();
      ASSERT_TRUE(opened) << opened.error().message;
      check(store, progress);
      if (HasFatalFailure()) return;
    }
  }
  EXPECT_GT(cuts, 200u);
}

TEST(SqliteFault, AFailedSyncIsUnknownAndEndsWriting) {
  TestFolder folder;
  PowerVfs vfs(1);
  TestStore store({.path = folder / "store.db", .vfs = vfs.name()});
  ASSERT_TRUE(store.open());
  ASSERT_TRUE(store.put("a", "1"));
  vfs.fail_next_sync();
  EXPECT_EQ(store.put("a", "2").error().code, Code::kUnknown);
  auto later = store.put("b", "1");
  EXPECT_EQ(later.error().code, Code::kUnavailable);
  EXPECT_NE(later.error().message.find("restart"), std::string::npos);
  EXPECT_TRUE(store.get("a")) << "reading goes on";
  store.close();
  ASSERT_TRUE(store.open());
  EXPECT_TRUE(store.put("b", "1"));
}

TEST(SqliteFault, OneSyncServesAGroup) {
  TestFolder folder;
  PowerVfs vfs(2);
  TestStore store({.path = folder / "store.db", .vfs = vfs.name()});
  ASSERT_TRUE(store.open());
  std::uint64_t before = vfs.syncs();
  ASSERT_TRUE(store.put("a", "1"));
  EXPECT_EQ(vfs.syncs(), before + 1) << "durable when it answers";
  before = vfs.syncs();
  const std::uint64_t groups = store.store().stats().groups;
  int answered = 0;
  for (int i = 0; i < 500; ++i)
    store.store().commit(Txn{{{.key = "k", .value = "v"}}}, [&](auto) { ++answered; });
  ASSERT_TRUE(store.loop().run_until([&] { return answered == 500; }));
  EXPECT_EQ(vfs.syncs() - before, store.store().stats().groups - groups);
  EXPECT_LT(vfs.syncs() - before, 250u);
}

}  // namespace
}  // namespace chorok::sqlite
