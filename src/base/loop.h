// The one thread that a component lives on, as an interface: what time it is, run this soon, run
// this later. The manager's engine and the agent's core see nothing else of time, so production
// (Asio) and the simulator (virtual time) run the same code.
#pragma once

#include <cstdint>
#include <functional>

#include "base/units.h"

namespace chorok {

using Work = std::move_only_function<void()>;
using TimerId = std::uint64_t;  // 0 is never given out

// Runs `work` on another thread, then `then` on the loop's. `work` is gone before `then` begins.
using Offload = std::function<void(Work work, Work then)>;

class Loop {
 public:
  virtual ~Loop() = default;

  // Wall clock. Never goes back within one run of a Loop.
  virtual Time now() const = 0;
  // Runs `work` on the loop's thread, after what is already queued. The only call that other
  // threads may make.
  virtual void post(Work work) = 0;
  // Runs `work` once, `delay` from now (at once when it is not positive).
  virtual TimerId after(Duration delay, Work work) = 0;
  // Forgets a timer that has not fired; does nothing for one that has, or for 0.
  virtual void cancel(TimerId timer) = 0;
};

// The completion of an asynchronous call: called exactly once, on the loop's thread, never from
// inside the call that was given it.
template <class T>
using Done = std::move_only_function<void(T)>;

}  // namespace chorok
