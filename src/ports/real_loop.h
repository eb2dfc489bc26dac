// A Loop in real time for tests against real daemons: runs on the test's thread while it waits.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>

#include "base/loop.h"

namespace chorok::ports {

class RealLoop final : public Loop {
 public:
  Time now() const override { return std::chrono::system_clock::now(); }
  void post(Work work) override {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(work));
    wake_.notify_one();
  }
  TimerId after(Duration delay, Work work) override {
    TimerId id = ++last_;
    timers_.emplace(id, Timer{now() + delay, std::move(work)});
    return id;
  }
  void cancel(TimerId timer) override { timers_.erase(timer); }

  // Runs what comes until `done` holds; false when it does not within `limit`.
  bool run_until(const std::function<bool()>& done, Duration limit) {
    Time end = now() + limit;
    while (!done()) {
      if (now() >= end) return false;
      if (run_due_timer()) continue;
      Work work;
      {
        std::unique_lock lock(mutex_);
        Time until = std::min(end, next_timer());
        wake_.wait_until(lock, until, [&] { return !posted_.empty(); });
        if (posted_.empty()) continue;
        work = std::move(posted_.front());
        posted_.pop_front();
      }
      work();
    }
    return true;
  }

 private:
  struct Timer {
    Time due;
    Work work;
  };
  Time next_timer() const {
    Time next = Time::max();
    for (const auto& [id, timer] : timers_) next = std::min(next, timer.due);
    return next;
  }
  bool run_due_timer() {
    for (auto& [id, timer] : timers_) {
      if (timer.due > now()) continue;
      Work work = std::move(timer.work);
      timers_.erase(id);
      work();
      return true;
    }
    return false;
  }

  std::map<TimerId, Timer> timers_;
  TimerId last_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Work> posted_;
};

}  // namespace chorok::ports
