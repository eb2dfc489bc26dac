// The program's I/O thread: an io_context behind base's Loop, so that what is built on a Loop runs
// the same here and in virtual time. Sleeps until something happens; timers that nobody set cost
// nothing.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "base/loop.h"
#include "net/async.h"

namespace chorok::net {

// Owns the io_context. Everything but post() and stop() is called on the thread that runs it (or
// before run()). Destroying it drops work and coroutines that never finished.
class AsioLoop : public Loop {
 public:
  AsioLoop();
  ~AsioLoop() override;
  AsioLoop(const AsioLoop&) = delete;
  AsioLoop& operator=(const AsioLoop&) = delete;

  Time now() const override;
  void post(Work work) override;
  TimerId after(Duration delay, Work work) override;
  void cancel(TimerId timer) override;

  Executor executor() const;
  // Until stop(), or until nothing is left to do when `until_idle`.
  void run(bool until_idle = false);
  void stop();  // from any thread or signal handler of this class
  // Calls `fn` on the loop for each of these signals, instead of what the system would do.
  void on_signals(std::initializer_list<int> signals, std::function<void(int signal)> fn);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A callback for a coroutine's result, and a coroutine for a callback's: the bridge between Done<T>
// ports and Async.
template <class T>
void run_then(const Executor& executor, Async<T> work, Done<Result<T>> done) {
  spawn(
      executor,
      [](Async<T> task, Done<Result<T>> then) -> awaitable<void> {
        then(co_await std::move(task));
      }(std::move(work), std::move(done)),
      "run_then");
}

}  // namespace chorok::net
