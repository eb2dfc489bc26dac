// Calls that block, for a port that must not: they run on a pool, and their results come back to
// the loop, exactly once, as long as this lives.
#pragma once

#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "adapters/work/worker_pool.h"
#include "base/loop.h"
#include "base/result.h"

namespace chorok::adapters::work {

// Lives on the loop's thread and is destroyed there; what had not completed by then never does.
class Blocking {
 public:
  Blocking(Loop& loop, WorkerPool& pool) : pool_(pool), gate_(std::make_shared<Gate>()) {
    gate_->loop = &loop;
  }
  ~Blocking() {
    std::lock_guard lock(gate_->mutex);
    gate_->loop = nullptr;
  }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;

  // `call` runs on a worker and must own what it touches; exceptions end here. Calls of one lane
  // run in their order, the empty lane has none.
  template <class T>
  void run(const std::string& lane, std::move_only_function<Result<T>()> call,
           Done<Result<T>> done) {
    pool_.submit(lane, [gate = gate_, call = std::move(call), done = std::move(done)]() mutable {
      Result<T> result = fail(Code::kInternal, "not run");
      try {
        result = call();
      } catch (const std::exception& caught) {
        result = fail(Code::kInternal, caught.what());
      }
      call = nullptr;  // what it owned dies on the worker
      gate->post([done = std::move(done), result = std::move(result)]() mutable {
        done(std::move(result));
      });
    });
  }

 private:
  struct Gate : std::enable_shared_from_this<Gate> {
    std::mutex mutex;
    Loop* loop = nullptr;  // null when the adapter is gone; changed on the loop's thread

    void post(Work work) {
      std::lock_guard lock(mutex);
      if (loop == nullptr) return;
      loop->post([self = shared_from_this(), work = std::move(work)]() mutable {
        if (self->loop != nullptr) work();
      });
    }
  };

  WorkerPool& pool_;
  std::shared_ptr<Gate> gate_;
};

}  // namespace chorok::adapters::work
