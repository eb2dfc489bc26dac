#include "adapters/work/worker_pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

namespace chorok::adapters::work {

namespace {
// Long enough for any call that libvirtd answers from memory.
constexpr auto kGrace = std::chrono::seconds(2);
}  // namespace

struct WorkerPool::State {
  struct Lane {
    std::deque<Work> waiting;
  };
  struct Task {
    std::string lane;
    Work work;
  };

  explicit State(std::size_t threads) : max_threads(threads) {}

  const std::size_t max_threads;
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable gone;
  std::unordered_map<std::string, Lane> lanes;  // those with work running
  std::deque<Task> ready;
  std::size_t threads = 0;
  std::size_t idle = 0;
  bool stopping = false;

  void finish_lane(const std::string& name) {
    auto found = lanes.find(name);
    if (found == lanes.end()) return;
    if (found->second.waiting.empty()) {
      lanes.erase(found);
      return;
    }
    ready.push_back({name, std::move(found->second.waiting.front())});
    found->second.waiting.pop_front();
  }

  static void run(const std::shared_ptr<State>& self) {
    std::unique_lock lock(self->mutex);
    while (true) {
      ++self->idle;
      self->wake.wait(lock, [&] { return self->stopping || !self->ready.empty(); });
      --self->idle;
      if (self->stopping) break;
      Task task = std::move(self->ready.front());
      self->ready.pop_front();
      lock.unlock();
      task.work();
      task.work = nullptr;  // what it owned dies outside the lock
      lock.lock();
      if (!task.lane.empty()) self->finish_lane(task.lane);
    }
    --self->threads;
    self->gone.notify_all();
  }
};

WorkerPool::WorkerPool(std::size_t max_threads) : state_(std::make_shared<State>(max_threads)) {}

WorkerPool::~WorkerPool() {
  stop();
  std::unique_lock lock(state_->mutex);
  state_->gone.wait_for(lock, kGrace, [&] { return state_->threads == 0; });
}

void WorkerPool::stop() {
  std::deque<State::Task> dropped;
  std::unordered_map<std::string, State::Lane> lanes;
  std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  dropped.swap(state_->ready);
  lanes.swap(state_->lanes);
  state_->wake.notify_all();
}

void WorkerPool::submit(const std::string& lane, Work work) {
  std::lock_guard lock(state_->mutex);
  if (state_->stopping) return;
  if (!lane.empty()) {
    auto [found, fresh] = state_->lanes.try_emplace(lane);
    if (!fresh) {
      found->second.waiting.push_back(std::move(work));
      return;
    }
  }
  state_->ready.push_back({lane, std::move(work)});
  if (state_->ready.size() > state_->idle && state_->threads < state_->max_threads) {
    ++state_->threads;
    std::thread(&State::run, state_).detach();
  }
  state_->wake.notify_one();
}

}  // namespace chorok::adapters::work
