#include "adapters/work/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace chorok::adapters::work {
namespace {

class Gate {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

TEST(WorkerPool, ALaneKeepsItsOrder) {
  std::mutex mutex;
  std::vector<int> order;
  Gate done;
  WorkerPool pool(4);
  for (int i = 0; i < 200; ++i)
    pool.submit("a", [&, i] {
      std::lock_guard lock(mutex);
      order.push_back(i);
      if (i == 199) done.open();
    });
  ASSERT_TRUE(done.wait());
  for (int i = 0; i < 200; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(WorkerPool, LanesDoNotWaitForEachOther) {
  Gate slow;
  Gate quick;
  WorkerPool pool(2);
  pool.submit("slow", [&] { slow.wait(); });
  pool.submit("quick", [&] { quick.open(); });
  EXPECT_TRUE(quick.wait());
  slow.open();
}

TEST(WorkerPool, WorkThatHasNotBegunIsDropped) {
  std::atomic<int> ran = 0;
  Gate begun;
  Gate dropped;
  {
    WorkerPool pool(1);
    pool.submit("", [&] {
      begun.open();
      dropped.wait();
      ++ran;
    });
    // Opens the gate when the last that holds it has gone.
    std::shared_ptr<Gate> opener(&dropped, [](Gate* gate) { gate->open(); });
    for (int i = 0; i < 10; ++i) pool.submit("", [&ran, opener] { ++ran; });
    opener.reset();
    ASSERT_TRUE(begun.wait());
  }
  EXPECT_EQ(ran, 1);
}

}  // namespace
}  // namespace chorok::adapters::work
