#include "agent/journal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/json.h"

namespace chorok::agent {
namespace {

model::Operation operation(const std::string& id, std::uint64_t term = 1) {
  model::Operation made{.id = id, .host = "host-1", .term = term};
  made.kind = model::OpKind::kStart;
  made.args.vm.name = "web";
  return made;
}

model::OpDone succeeded(const std::string& id) {
  model::OpDone done{.id = id};
  done.result.message = "fine";
  return done;
}

struct Folder {
  Folder() {
    char name[] = "/tmp/chorok-journal-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string file() const { return path + "/journal"; }
  std::string path;
};

TEST(Journal, RemembersWhatWasBegunAndWhatCameOfIt) {
  MemoryMedium medium;
  {
    auto journal = *Journal::open(medium);
    ASSERT_TRUE(journal->accept_term(7));
    ASSERT_TRUE(journal->begin(operation("op-a", 7)));
    ASSERT_TRUE(journal->begin(operation("op-b", 7)));
    journal->finish(succeeded("op-a"));
  }
  auto journal = *Journal::open(medium);
  EXPECT_EQ(journal->term(), 7u);
  ASSERT_TRUE(journal->find("op-a"));
  EXPECT_EQ(journal->find("op-a")->done->result.message, "fine");
  EXPECT_FALSE(journal->find("op-b")->done);
  EXPECT_EQ(journal->find("op-b")->operation.args.vm.name, "web");
  journal->acknowledge("op-a");
  journal = *Journal::open(medium);
  EXPECT_TRUE(journal->find("op-a")->acknowledged);
}

TEST(Journal, RefusesATermThatIsOver) {
  MemoryMedium medium;
  auto journal = *Journal::open(medium);
  ASSERT_TRUE(journal->accept_term(7));
  EXPECT_TRUE(journal->accept_term(7));
  auto refused = journal->accept_term(6);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kConflict);
}

TEST(Journal, SkipsTornAndDamagedLines) {
  MemoryMedium medium;
  {
    auto journal = *Journal::open(medium);
    ASSERT_TRUE(journal->begin(operation("op-a")));
    ASSERT_TRUE(journal->begin(operation("op-b")));
    ASSERT_TRUE(journal->begin(operation("op-c")));
  }
  medium.content[medium.content.find("op-b") + 3] = 'x';
  for (std::size_t torn = 1; torn < 60; ++torn) {
    MemoryMedium cut;
    cut.content = medium.content.substr(0, medium.content.size() - torn);
    auto journal = *Journal::open(cut);
    EXPECT_TRUE(journal->find("op-a"));
    EXPECT_EQ(journal->entries().size(), torn == 1 ? 2u : 1u);
    ASSERT_TRUE(journal->begin(operation("op-d")));
    journal = *Journal::open(cut);
    EXPECT_TRUE(journal->find("op-d"));
  }
}

TEST(Journal, AFullDiskRefusesBeforeTheWorldIsTouched) {
  MemoryMedium medium;
  auto journal = *Journal::open(medium);
  ASSERT_TRUE(journal->begin(operation("op-a")));
  medium.full = true;
  auto refused = journal->begin(operation("op-b"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kExhausted);
  EXPECT_FALSE(journal->find("op-b"));
  EXPECT_FALSE(journal->accept_term(9));
  EXPECT_EQ(journal->term(), 0u);
  journal->finish(succeeded("op-a"));  // kept in memory all the same
  EXPECT_TRUE(journal->find("op-a")->done);
}

TEST(Journal, BoundsWhatIsOpen) {
  MemoryMedium medium;
  auto journal = *Journal::open(medium, {.open_max = 2});
  ASSERT_TRUE(journal->begin(operation("op-a")));
  ASSERT_TRUE(journal->begin(operation("op-b")));
  EXPECT_EQ(journal->begin(operation("op-c")).error().code, Code::kExhausted);
  journal->finish(succeeded("op-a"));
  journal->acknowledge("op-a");
  EXPECT_TRUE(journal->begin(operation("op-c")));
}

TEST(Journal, CompactsToWhatMatters) {
  MemoryMedium medium;
  auto journal = *Journal::open(medium, {.compact_bytes = 8192, .remembered_max = 4});
  ASSERT_TRUE(journal->accept_term(3));
  ASSERT_TRUE(journal->begin(operation("op-open")));
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = "op-" + std::to_string(i);
    ASSERT_TRUE(journal->begin(operation(id)));
    journal->finish(succeeded(id));
    journal->acknowledge(id);
    most = std::max(most, medium.content.size());
  }
  EXPECT_LT(most, 2 * 8192u);
  journal = *Journal::open(medium);
  EXPECT_EQ(journal->term(), 3u);
  EXPECT_FALSE(journal->find("op-open")->done);
  EXPECT_TRUE(journal->find("op-999")->acknowledged);
}

TEST(JournalFile, OnlyOneAgentHasIt) {
  Folder folder;
  auto first = open_journal_file(folder.file());
  ASSERT_TRUE(first);
  auto second = open_journal_file(folder.file());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
  first->reset();
  EXPECT_TRUE(open_journal_file(folder.file()));
}

TEST(JournalFile, AppendsAndReplaces) {
  Folder folder;
  auto medium = *open_journal_file(folder.file());
  ASSERT_TRUE(medium->append("one\n", true));
  ASSERT_TRUE(medium->append("two\n", false));
  EXPECT_EQ(*medium->read(), "one\ntwo\n");
  ASSERT_TRUE(medium->replace("three\n"));
  ASSERT_TRUE(medium->append("four\n", true));
  EXPECT_EQ(*medium->read(), "three\nfour\n");
}

// Writes until it is killed; tells over the pipe what was durable before it says so.
[[noreturn]] void write_for_ever(const std::string& path, int pipe) {
  auto medium = open_journal_file(path);
  if (!medium) ::_exit(1);
  auto journal = Journal::open(**medium, {.compact_bytes = 16384, .remembered_max = 4});
  if (!journal) ::_exit(1);
  for (std::uint32_t i = 1;; ++i) {
    const std::string id = "op-" + std::to_string(i);
    if (!(*journal)->accept_term(i) || !(*journal)->begin(operation(id, i))) ::_exit(1);
    if (::write(pipe, &i, sizeof i) != sizeof i) ::_exit(1);
    (*journal)->finish(succeeded(id));
    if (i > 2) (*journal)->acknowledge("op-" + std::to_string(i - 2));
  }
}

TEST(JournalFile, SurvivesBeingKilledAnywhere) {
  for (int round = 0; round < 12; ++round) {
    Folder folder;
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) write_for_ever(folder.file(), ends[1]);
    ::close(ends[1]);
    std::uint32_t last = 0;
    // A busy machine may take its time to let the child begin, and the first number is no promise
    // yet.
    while (last == 0)
      ASSERT_EQ(::read(ends[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
    std::this_thread::sleep_for(std::chrono::milliseconds(round * 9));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    for (std::uint32_t i = 0; ::read(ends[0], &i, sizeof i) == sizeof i;) last = i;
    ::close(ends[0]);
    ASSERT_GT(last, 0u);

    auto medium = *open_journal_file(folder.file());
    auto journal = *Journal::open(*medium);
    EXPECT_GE(journal->term(), last);
    EXPECT_LE(journal->term(), last + 1);
    EXPECT_TRUE(journal->find("op-" + std::to_string(last)));
    EXPECT_LE(journal->damaged_lines(), 1u);
    if (last > 1) {
      const auto* before = journal->find("op-" + std::to_string(last - 1));
      ASSERT_TRUE(before);
      EXPECT_TRUE(before->done);
    }
  }
}

}  // namespace
}  // namespace chorok::agent
