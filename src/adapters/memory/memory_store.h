// The Store in memory: the reference for what the port means, for tests and the simulator. Nothing
// survives it. Calls take effect in the order in which they were made, each in a work of its own on
// the loop.
#pragma once

#include <memory>

#include "ports/store.h"

namespace chorok::memory {

struct MemoryStoreSettings {
  // Revisions a watch can go back; enough for a client that was away for minutes.
  std::size_t max_log_revisions = 10'000;
};

class MemoryStore final : public ports::Store {
 public:
  // The loop must outlive the works that the store has posted.
  explicit MemoryStore(Loop& loop, MemoryStoreSettings settings = {});
  ~MemoryStore() override;
  MemoryStore(const MemoryStore&) = delete;
  MemoryStore& operator=(const MemoryStore&) = delete;

  void get(std::string key, Done<Result<ports::KeyValue>> done) override;
  void range(std::string prefix, std::string after, std::size_t limit,
             Done<Result<ports::Page>> done) override;
  void commit(ports::Txn txn, Done<Result<ports::Revision>> done) override;
  std::unique_ptr<ports::Watch> watch(std::string prefix, ports::Revision from,
                                      std::function<void(ports::WatchEvent)> on_event) override;
  void acquire_lease(std::string name, std::string owner, Duration ttl,
                     Done<Result<bool>> done) override;
  void release_lease(std::string name, std::string owner, Done<Result<>> done) override;

 private:
  struct State;
  Loop& loop_;
  std::shared_ptr<State> state_;
};

}  // namespace chorok::memory
