// A few threads for calls that block. Work of one lane runs in the order given, one at a time;
// lanes run side by side. Threads are made when work waits and none is free, and sleep without a
// timeout, so a pool at rest wakes for nothing.
#pragma once

#include <memory>
#include <string>

#include "base/loop.h"

namespace chorok::adapters::work {

// Owns its threads. Destroying it drops work that has not begun and waits a little for work that
// has; a thread stuck in a call that cannot be interrupted (a migration that goes on without us) is
// left behind: work must own what it touches.
class WorkerPool {
 public:
  explicit WorkerPool(std::size_t max_threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // From any thread. The empty lane has no order.
  void submit(const std::string& lane, Work work);
  // Drops what waits and takes no more; from any thread, also from a worker.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace chorok::adapters::work
