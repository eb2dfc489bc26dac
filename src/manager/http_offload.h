// Two threads for work that would hold up the I/O thread: password hashes (20 ms and 19 MiB each,
// so no more than two at a time) and clusters' rounds. They start with the first work and sleep
// without it; now and then, after work, freed memory is given back to the system.
#pragma once

#include <memory>

#include "base/loop.h"
#include "manager/accounts.h"

namespace chorok::manager {

class OffloadPool {
 public:
  explicit OffloadPool(Loop& loop, std::size_t threads = 2);
  // Waits for what is being worked on; what has not begun is dropped.
  ~OffloadPool();
  OffloadPool(const OffloadPool&) = delete;
  OffloadPool& operator=(const OffloadPool&) = delete;

  void run(Work work, Work then);
  Offload offload() {
    return [this](Work work, Work then) { run(std::move(work), std::move(then)); };
  }

 private:
  struct Shared;
  void work();
  Loop& loop_;
  std::size_t threads_max_;
  std::unique_ptr<Shared> shared_;
};

}  // namespace chorok::manager
