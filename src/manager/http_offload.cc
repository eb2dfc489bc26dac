#include "manager/http_offload.h"

#include <malloc.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace chorok::manager {

namespace {

// What was freed among what stays, as after many VMs were made at once, goes back to the system
// only when it is asked for: a tenth of a manager of 20,000 VMs, in some 10 ms.
constexpr auto kTrimEvery = std::chrono::minutes(2);

}  // namespace

struct OffloadPool::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::pair<Work, Work>> queue;
  std::size_t idle = 0;
  std::chrono::steady_clock::time_point trimmed = std::chrono::steady_clock::now();
  bool is_stopping = false;
  std::vector<std::thread> threads;
};

OffloadPool::OffloadPool(Loop& loop, std::size_t threads)
    : loop_(loop), threads_max_(threads), shared_(std::make_unique<Shared>()) {}

OffloadPool::~OffloadPool() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->is_stopping = true;
  }
  shared_->changed.notify_all();
  for (std::thread& thread : shared_->threads) thread.join();
}

void OffloadPool::run(Work work, Work then) {
  std::lock_guard lock(shared_->mutex);
  shared_->queue.emplace_back(std::move(work), std::move(then));
  if (shared_->idle < shared_->queue.size() && shared_->threads.size() < threads_max_)
    shared_->threads.emplace_back([this] { this->work(); });
  shared_->changed.notify_one();
}

void OffloadPool::work() {
  std::unique_lock lock(shared_->mutex);
  for (;;) {
    ++shared_->idle;
    shared_->changed.wait(lock, [&] { return shared_->is_stopping || !shared_->queue.empty(); });
    --shared_->idle;
    if (shared_->is_stopping) return;
    auto [job, then] = std::move(shared_->queue.front());
    shared_->queue.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    loop_.post(std::move(then));
    lock.lock();
    const auto now = std::chrono::steady_clock::now();
    if (now - shared_->trimmed < kTrimEvery) continue;
    shared_->trimmed = now;
    lock.unlock();
    ::malloc_trim(0);
    lock.lock();
  }
}

}  // namespace chorok::manager
