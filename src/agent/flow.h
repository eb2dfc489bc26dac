// Operations read as a sequence although every step is a callback: Flow<T> is a coroutine that runs
// on whoever calls its callbacks, so the same code runs on Asio and in virtual time. It starts when
// it is awaited (or given to FlowRoot) and dies with its owner at any suspension: what a port
// answers after that falls on the floor.
#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/loop.h"
#include "base/result.h"

namespace chorok::agent {

template <class T>
class [[nodiscard]] Flow {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  struct promise_type {
    struct Final {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(Handle handle) noexcept {
        auto next = handle.promise().continuation;
        return next ? next : std::noop_coroutine();
      }
      void await_resume() noexcept {}
    };

    Flow get_return_object() { return Flow(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    Final final_suspend() noexcept { return {}; }
    // Exceptions stay inside adapters, so one here is a bug.
    void unhandled_exception() noexcept { std::terminate(); }
    template <class U = T>
    void return_value(U&& result) {
      value.emplace(std::forward<U>(result));
    }

    std::optional<T> value;
    std::coroutine_handle<> continuation;
  };

  explicit Flow(Handle handle) : handle_(handle) {}
  Flow(Flow&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Flow& operator=(Flow&&) = delete;
  ~Flow() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
    handle_.promise().continuation = waiting;
    return handle_;
  }
  T await_resume() { return std::move(*handle_.promise().value); }

 private:
  Handle handle_;
};

// Waits for a call that takes a Done<T>: `co_await callback<Result<>>([&](auto done) {...})`.
template <class T, class Start>
class [[nodiscard]] Callback {
 public:
  explicit Callback(Start start) : start_(std::move(start)) {}
  Callback(const Callback&) = delete;
  Callback& operator=(const Callback&) = delete;
  ~Callback() { state_->waiting = nullptr; }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    state_->waiting = waiting;
    // `this` may be gone when start returns.
    auto start = std::move(start_);
    start(Done<T>([state = state_](T value) {
      if (!state->waiting) return;
      state->value.emplace(std::move(value));
      std::exchange(state->waiting, nullptr).resume();
    }));
  }
  T await_resume() { return std::move(*state_->value); }

 private:
  struct State {
    std::coroutine_handle<> waiting;
    std::optional<T> value;
  };
  Start start_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

template <class T, class Start>
Callback<T, Start> callback(Start start) {
  return Callback<T, Start>(std::move(start));
}

// Runs a flow nobody awaits. `done` is called from inside the flow's last step and must not destroy
// the root there and then.
class FlowRoot {
 public:
  struct promise_type {
    FlowRoot get_return_object() {
      return FlowRoot(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { std::terminate(); }
    void return_void() {}
  };

  FlowRoot() = default;
  FlowRoot(FlowRoot&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  FlowRoot& operator=(FlowRoot&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~FlowRoot() {
    if (handle_) handle_.destroy();
  }
  void start() { handle_.resume(); }

  template <class T>
  static FlowRoot make(Flow<T> flow, Done<T> done) {
    done(co_await std::move(flow));
  }

 private:
  explicit FlowRoot(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

}  // namespace chorok::agent
