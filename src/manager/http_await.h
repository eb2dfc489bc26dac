// Waiting in a coroutine for a call that takes a Done<T>.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "net/async.h"

namespace chorok::manager {

// co_await until_done<Result<X>>([&](Done<Result<X>> done) { start(..., std::move(done)); });
// A call that never answers leaves the coroutine waiting until its loop is destroyed.
template <class T, class Start>
net::awaitable<T> until_done(Start start) {
  struct State {
    explicit State(const net::Executor& executor) : event(executor) {}
    net::AsyncEvent event;
    std::optional<T> value;
  };
  auto state = std::make_shared<State>(co_await net::this_executor());
  start(Done<T>([state](T value) {
    state->value.emplace(std::move(value));
    state->event.notify_all();
  }));
  while (!state->value) co_await state->event.wait();
  co_return std::move(*state->value);
}

}  // namespace chorok::manager
