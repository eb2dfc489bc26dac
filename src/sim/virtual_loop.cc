#include "sim/virtual_loop.h"

#include "base/result.h"

namespace chorok::sim {

VirtualLoop::VirtualLoop(VirtualLoopSettings settings)
    : settings_(settings), now_(settings.start) {}

VirtualLoop::~VirtualLoop() = default;

void VirtualLoop::post(Work work) {
  {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
  }
  posted_something_.notify_one();
}

TimerId VirtualLoop::after(Duration delay, Work work) {
  Time due = now_ + std::max(delay, Duration::zero());
  TimerId timer = ++last_timer_;
  timers_.emplace(TimerKey{due, timer}, std::move(work));
  due_.emplace(timer, due);
  return timer;
}

void VirtualLoop::cancel(TimerId timer) {
  auto found = due_.find(timer);
  if (found == due_.end()) return;
  timers_.erase({found->second, timer});
  due_.erase(found);
}

bool VirtualLoop::take_posted(Work& work) {
  std::lock_guard lock(mutex_);
  if (posted_.empty()) return false;
  work = std::move(posted_.front());
  posted_.pop_front();
  return true;
}

bool VirtualLoop::run_one() {
  Work work;
  if (!take_posted(work)) {
    auto first = timers_.begin();
    if (first == timers_.end() || first->first.first > now_) return false;
    work = std::move(first->second);
    due_.erase(first->first.second);
    timers_.erase(first);
  }
  work();
  return true;
}

std::uint64_t VirtualLoop::run_until_idle() {
  std::uint64_t ran = 0;
  while (run_one()) CHOROK_ASSERT(++ran < settings_.max_work_per_instant);
  return ran;
}

std::uint64_t VirtualLoop::run_for(Duration duration) {
  const Time end = now_ + duration;
  std::uint64_t ran = run_until_idle();
  while (next_timer() <= end) {
    now_ = std::max(now_, next_timer());
    ran += run_until_idle();
  }
  now_ = std::max(now_, end);
  return ran;
}

bool VirtualLoop::advance_until(const std::function<bool()>& done, Duration limit) {
  const Time end = now_ + limit;
  while (true) {
    std::uint64_t ran = 0;
    do {
      if (done()) return true;
      CHOROK_ASSERT(++ran < settings_.max_work_per_instant);
    } while (run_one());
    if (next_timer() > end) break;
    now_ = std::max(now_, next_timer());
  }
  now_ = std::max(now_, end);
  return done();
}

bool VirtualLoop::run_until(const std::function<bool()>& done, Duration real_timeout) {
  const auto deadline = std::chrono::steady_clock::now() + real_timeout;
  while (!done()) {
    if (run_one()) continue;
    std::unique_lock lock(mutex_);
    if (!posted_something_.wait_until(lock, deadline, [&] { return !posted_.empty(); }))
      return false;
  }
  return true;
}

Time VirtualLoop::next_timer() const {
  return timers_.empty() ? Time::max() : timers_.begin()->first.first;
}

}  // namespace chorok::sim
