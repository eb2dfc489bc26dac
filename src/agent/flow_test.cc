#include "agent/flow.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace chorok::agent {
namespace {

// A call that a port has not answered, and the guards of the frames that wait for it.
struct Waiting {
  std::vector<Done<Result<int>>> calls;
  int frames = 0;
};
class Guard {
 public:
  explicit Guard(Waiting& waiting) : waiting_(waiting) { ++waiting_.frames; }
  ~Guard() { --waiting_.frames; }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Waiting& waiting_;
};

Flow<Result<int>> ask(Waiting& waiting) {
  Guard guard(waiting);
  co_return co_await callback<Result<int>>(
      [&](Done<Result<int>> done) { waiting.calls.push_back(std::move(done)); });
}

Flow<Result<int>> ask_twice(Waiting& waiting) {
  Guard guard(waiting);
  const int first = CO_TRY(co_await ask(waiting));
  const int second = CO_TRY(co_await ask(waiting));
  co_return first + second;
}

TEST(Flow, RunsAsItsCallsAreAnswered) {
  Waiting waiting;
  std::optional<Result<int>> result;
  FlowRoot root = FlowRoot::make<Result<int>>(ask_twice(waiting),
                                              [&](Result<int> got) { result = std::move(got); });
  root.start();
  waiting.calls[0](1);
  EXPECT_FALSE(result);
  waiting.calls[1](2);
  EXPECT_EQ(result.value().value(), 3);
}

// As when an agent is killed: every frame goes with its root, and an answer that comes after that
// falls on the floor.
TEST(Flow, DiesWithItsRootAtAnySuspension) {
  Waiting waiting;
  bool done = false;
  {
    FlowRoot root =
        FlowRoot::make<Result<int>>(ask_twice(waiting), [&](Result<int>) { done = true; });
    root.start();
    waiting.calls[0](1);
    EXPECT_EQ(waiting.frames, 2);
  }
  EXPECT_EQ(waiting.frames, 0);
  waiting.calls[1](2);
  EXPECT_FALSE(done);
}

TEST(Flow, OneThatNeverBeganDiesToo) {
  Waiting waiting;
  {
    FlowRoot root = FlowRoot::make<Result<int>>(ask_twice(waiting), [](Result<int>) {});
  }
  EXPECT_TRUE(waiting.calls.empty());
  EXPECT_EQ(waiting.frames, 0);
}

}  // namespace
}  // namespace chorok::agent
