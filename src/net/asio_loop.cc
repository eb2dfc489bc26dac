#include "net/asio_loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <unordered_map>

namespace chorok::net {

namespace asio = boost::asio;

struct AsioLoop::Impl {
  using Timers = std::unordered_map<TimerId, std::unique_ptr<asio::steady_timer>>;

  void wait_for_signal() {
    signals->async_wait([this](const boost::system::error_code& aborted, int signal) {
      if (aborted) return;
      wait_for_signal();
      on_signal(signal);
    });
  }

  // The wall clock moved forward is followed at once; moved back it is not, and time goes on from
  // where it was by the monotonic clock.
  Time now() {
    const Duration steady = std::chrono::steady_clock::now().time_since_epoch();
    const Duration wall = std::chrono::system_clock::now().time_since_epoch();
    wall_minus_steady = std::max(wall_minus_steady, wall - steady);
    return Time(steady + wall_minus_steady);
  }

  ~Impl() {
    timers.clear();
    signals.reset();
  }

  Timers timers;  // outlives the context: what that destroys may still cancel timers
  asio::io_context context{1};
  Duration wall_minus_steady = Duration::min();
  TimerId last_timer = 0;
  std::unique_ptr<asio::signal_set> signals;
  std::function<void(int)> on_signal;
};

AsioLoop::AsioLoop() : impl_(std::make_unique<Impl>()) {}
AsioLoop::~AsioLoop() = default;

Time AsioLoop::now() const {
  return impl_->now();
}
void AsioLoop::post(Work work) {
  asio::post(impl_->context, std::move(work));
}

TimerId AsioLoop::after(Duration delay, Work work) {
  const TimerId id = ++impl_->last_timer;
  auto& timer = impl_->timers[id];
  timer = std::make_unique<asio::steady_timer>(impl_->context, std::max(delay, Duration::zero()));
  timer->async_wait(
      [impl = impl_.get(), id, work = std::move(work)](const boost::system::error_code&) mutable {
        // Gone from the map means cancelled, even when the timer had fired before that.
        if (impl->timers.erase(id) != 0) work();
      });
  return id;
}

void AsioLoop::cancel(TimerId timer) {
  impl_->timers.erase(timer);
}

Executor AsioLoop::executor() const {
  return impl_->context.get_executor();
}

void AsioLoop::run(bool until_idle) {
  if (impl_->context.stopped()) impl_->context.restart();
  if (until_idle) {
    impl_->context.run();
    return;
  }
  auto guard = asio::make_work_guard(impl_->context);
  impl_->context.run();
}

void AsioLoop::stop() {
  impl_->context.stop();
}

void AsioLoop::on_signals(std::initializer_list<int> signals, std::function<void(int)> fn) {
  impl_->on_signal = std::move(fn);
  impl_->signals = std::make_unique<asio::signal_set>(impl_->context);
  for (int signal : signals) {
    boost::system::error_code ignored;
    impl_->signals->add(signal, ignored);
  }
  impl_->wait_for_signal();
}

}  // namespace chorok::net
