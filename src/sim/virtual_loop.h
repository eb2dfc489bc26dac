// A Loop in virtual time: nothing happens until it is told to run, and then always in the same
// order (posted work first in, first out; timers by due time, then by age). Time moves only in
// run_for and advance_until, from one timer to the next, so a day passes in as long as its work
// takes.
//
// Everything but post() belongs to the thread that runs it. post() may come from other threads (the
// SQLite store's worker); run_until waits for those in real time.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/loop.h"

namespace chorok::sim {

struct VirtualLoopSettings {
  Time start{};
  // Works run at one instant before it is called a livelock (two components that post to each other
  // for ever): far above what 1,000 hosts do in one tick.
  std::uint64_t max_work_per_instant = 50'000'000;
};

class VirtualLoop final : public Loop {
 public:
  explicit VirtualLoop(VirtualLoopSettings settings = {});
  // Drops what has not run.
  ~VirtualLoop() override;
  VirtualLoop(const VirtualLoop&) = delete;
  VirtualLoop& operator=(const VirtualLoop&) = delete;

  Time now() const override { return now_; }
  void post(Work work) override;
  TimerId after(Duration delay, Work work) override;
  void cancel(TimerId timer) override;

  // Runs what is posted and due, and what that posts in turn, without moving time. Returns how many
  // works ran.
  std::uint64_t run_until_idle();
  // Runs everything that falls due within `duration`; afterwards now() is that much later.
  std::uint64_t run_for(Duration duration);
  // Lets time pass until `done` holds or `limit` is over; true when it holds. Checked after each
  // work.
  bool advance_until(const std::function<bool()>& done, Duration limit);
  // Without moving virtual time: runs and waits for other threads to post, until `done` holds;
  // false after `real_timeout`.
  bool run_until(const std::function<bool()>& done,
                 Duration real_timeout = std::chrono::seconds(10));
  // When the next timer falls due; Time::max() when there is none.
  Time next_timer() const;

 private:
  using TimerKey = std::pair<Time, TimerId>;

  bool run_one();
  bool take_posted(Work& work);

  VirtualLoopSettings settings_;
  Time now_;
  TimerId last_timer_ = 0;
  std::map<TimerKey, Work> timers_;
  std::unordered_map<TimerId, Time> due_;

  std::mutex mutex_;
  std::condition_variable posted_something_;
  std::deque<Work> posted_;  // guarded by mutex_
};

}  // namespace chorok::sim
