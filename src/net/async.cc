#include "net/async.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <list>

#include "base/log.h"
#include "net/asio_internal.h"

namespace chorok::net {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

Error to_error(const boost::system::error_code& code, std::string_view what) {
  Code kind = Code::kUnavailable;
  if (code == asio::error::operation_aborted || code == asio::error::bad_descriptor) {
    kind = Code::kCancelled;
  } else if (code == asio::error::timed_out) {
    kind = Code::kTimeout;
  } else if (code == asio::error::access_denied) {
    kind = Code::kPermissionDenied;
  } else if (code == asio::error::address_in_use) {
    kind = Code::kAlreadyExists;
  } else if (code == asio::error::no_descriptors || code == asio::error::no_memory ||
             code == asio::error::no_buffer_space) {
    kind = Code::kExhausted;
  }
  return Error{kind, std::string(what) + ": " + code.message(), {}};
}

namespace {

// "Forever" must not wrap around into the past.
Clock::time_point after(Duration time) {
  const auto now = Clock::now();
  return time < Clock::time_point::max() - now ? now + time : Clock::time_point::max();
}

}  // namespace

void spawn(const Executor& executor, awaitable<void> work, std::string name) {
  asio::co_spawn(executor, std::move(work), [name = std::move(name)](std::exception_ptr thrown) {
    if (!thrown) return;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& e) {
      Log("net").error("a coroutine ended with an exception name={} what={}", name, e.what());
    } catch (...) {
      Log("net").error("a coroutine ended with an exception name={}", name);
    }
  });
}

void spawn(const Executor& executor, std::move_only_function<awaitable<void>()> work,
           std::string name) {
  auto keep = [](std::move_only_function<awaitable<void>()> kept) -> awaitable<void> {
    co_await kept();
  };
  spawn(executor, keep(std::move(work)), std::move(name));
}

void post(const Executor& executor, Work fn) {
  asio::post(executor, std::move(fn));
}

awaitable<Executor> this_executor() {
  co_return co_await asio::this_coro::executor;
}

awaitable<void> sleep_for(Duration time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(kAsTuple);
}

struct AsyncEvent::Impl {
  // Takes itself off the list when its coroutine is destroyed instead of resumed.
  struct Waiter {
    Waiter(Impl& event, Clock::time_point until)
        : owner(event),
          timer(event.executor, until),
          place(owner.waiters.insert(owner.waiters.end(), this)) {}
    ~Waiter() {
      if (!is_notified) owner.waiters.erase(place);
    }
    Impl& owner;
    asio::steady_timer timer;
    bool is_notified = false;
    std::list<Waiter*>::iterator place;
  };
  explicit Impl(const Executor& e) : executor(e) {}

  void notify_all() {
    auto woken = std::move(waiters);
    waiters.clear();
    for (Waiter* waiter : woken) {
      waiter->is_notified = true;
      waiter->timer.cancel();
    }
  }

  static awaitable<bool> wait(std::shared_ptr<Impl> self, Clock::time_point until) {
    Waiter waiter(*self, until);
    co_await waiter.timer.async_wait(kAsTuple);
    co_return waiter.is_notified;
  }

  Executor executor;
  std::list<Waiter*> waiters;
};

AsyncEvent::AsyncEvent(const Executor& executor) : impl_(std::make_shared<Impl>(executor)) {}
AsyncEvent::~AsyncEvent() {
  impl_->notify_all();
}
void AsyncEvent::notify_all() {
  impl_->notify_all();
}
awaitable<void> AsyncEvent::wait() {
  co_await Impl::wait(impl_, Clock::time_point::max());
}
awaitable<bool> AsyncEvent::wait_for(Duration timeout) {
  return Impl::wait(impl_, after(timeout));
}

struct Deadline::Impl : std::enable_shared_from_this<Deadline::Impl> {
  Impl(const Executor& executor, std::function<void()> fn)
      : timer(executor), on_expiry(std::move(fn)) {}

  void set(Duration from_now) {
    due = after(from_now);
    expired = false;
    if (armed_until <= due) return;  // it will fire before that and look again
    arm();
  }

  void arm() {
    armed_until = due;
    timer.expires_at(due);  // ends an earlier wait
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& aborted) {
      auto self = weak.lock();
      if (self && !aborted) self->fire();
    });
  }

  void fire() {
    armed_until = Clock::time_point::max();
    if (due == Clock::time_point::max()) return;
    if (Clock::now() < due) return arm();
    due = Clock::time_point::max();
    expired = true;
    auto keep = shared_from_this();
    on_expiry();
  }

  asio::steady_timer timer;
  std::function<void()> on_expiry;
  Clock::time_point due = Clock::time_point::max();
  Clock::time_point armed_until = Clock::time_point::max();
  bool expired = false;
};

Deadline::Deadline(const Executor& executor, std::function<void()> expired)
    : impl_(std::make_shared<Impl>(executor, std::move(expired))) {}
Deadline::~Deadline() {
  impl_->on_expiry = nullptr;
  impl_->due = Clock::time_point::max();
  impl_->timer.cancel();
}
void Deadline::set(Duration from_now) {
  impl_->set(from_now);
}
void Deadline::clear() {
  impl_->due = Clock::time_point::max();
  impl_->expired = false;
}
bool Deadline::has_expired() const {
  return impl_->expired;
}

}  // namespace chorok::net
