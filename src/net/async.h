// Coroutine words used all over net and above it: Async<T> is "a T or an Error, later". Everything
// runs on one I/O thread; nothing here locks. Exceptions never cross these functions, and an idle
// wait costs no wake-up.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "base/result.h"
#include "base/units.h"

namespace chorok::net {

template <class T>
using awaitable = boost::asio::awaitable<T>;
template <class T = void>
using Async = boost::asio::awaitable<Result<T>>;
using Executor = boost::asio::any_io_executor;

// Starts a coroutine that nobody waits for. An exception that escapes it is a bug: it is logged
// under `name` and ends that coroutine only.
void spawn(const Executor& executor, awaitable<void> work, std::string name);
// The same for a lambda that captures: it is kept until its coroutine ends. (Calling it in place
// and passing the coroutine leaves the captures dangling at the first suspension.)
void spawn(const Executor& executor, std::move_only_function<awaitable<void>()> work,
           std::string name);
// Runs fn on the executor's thread, later, never inside this call. May be called from any thread.
void post(const Executor& executor, Work fn);
awaitable<Executor> this_executor();
awaitable<void> sleep_for(Duration time);

// A flag that coroutines can wait for. notify_all wakes who waits now; it leaves no mark for those
// who come later, so the waiter checks its own condition in a loop. Lives on the I/O thread.
class AsyncEvent {
 public:
  explicit AsyncEvent(const Executor& executor);
  ~AsyncEvent();  // wakes who waits: they must not touch the event after that
  AsyncEvent(const AsyncEvent&) = delete;
  AsyncEvent& operator=(const AsyncEvent&) = delete;

  void notify_all();
  awaitable<void> wait();
  awaitable<bool> wait_for(Duration timeout);  // false when the time passed first

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Calls `expired` once when the deadline passes without being moved or cleared. Moving it costs
// nothing but a store: the timer behind it is armed again only when it fires too early.
class Deadline {
 public:
  Deadline(const Executor& executor, std::function<void()> expired);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void set(Duration from_now);
  void clear();
  bool has_expired() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace chorok::net
