// An answer that may never come, with an end.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/loop.h"
#include "base/result.h"

namespace chorok {

// `done`, or kTimeout when no answer has come in time; an answer after that is dropped. For ports
// that may hang: a dead NFS server, a stuck daemon.
template <class T>
Done<Result<T>> expiring(Loop& loop, Duration timeout, std::string what, Done<Result<T>> done) {
  struct State {
    Done<Result<T>> done;
    TimerId timer = 0;
  };
  auto state = std::make_shared<State>(std::move(done));
  state->timer = loop.after(timeout, [state, what = std::move(what)] {
    if (state->done)
      std::exchange(state->done, nullptr)(fail(Code::kTimeout, what + " does not answer"));
  });
  return [state, &loop](Result<T> result) {
    if (!state->done) return;
    loop.cancel(state->timer);
    std::exchange(state->done, nullptr)(std::move(result));
  };
}

}  // namespace chorok
