#include "adapters/work/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
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
  {
    WorkerPool pool(1);
    Gate release;
    pool.submit("", [&] {
      begun.open();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      ++ran;
    });
    for (int i = 0; i < 10; ++i) pool.submit("", [&] { ++ran; });
    ASSERT_TRUE(begun.wait());
  }
  EXPECT_EQ(ran, 1);
}

}  // namespace
}  // namespace chorok::adapters::work
