#include "adapters/memory/memory_store.h"

#include "ports/store_contract.h"
#include "sim/virtual_loop.h"

namespace chorok::ports {

struct MemoryFixture {
  explicit MemoryFixture(std::size_t max_log_revisions)
      : memory(loop, {.max_log_revisions = max_log_revisions}) {}
  Store& store() { return memory; }
  bool wait(const std::function<bool()>& done) {
    loop.run_until_idle();
    return done();
  }
  void pass(Duration time) { loop.run_for(time); }

  sim::VirtualLoop loop;
  memory::MemoryStore memory;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, StoreContract, MemoryFixture);

TEST(MemoryStore, WorkInTheQueueMayOutliveTheStore) {
  sim::VirtualLoop loop;
  auto store = std::make_unique<memory::MemoryStore>(loop);
  int answered = 0;
  std::unique_ptr<Watch> watch = store->watch("", 0, [&](WatchEvent) {});
  store->commit({{{.key = "a", .value = "1"}}}, [&](Result<Revision> result) {
    EXPECT_TRUE(result);
    ++answered;
  });
  store.reset();
  loop.run_until_idle();
  EXPECT_EQ(answered, 1);
}

}  // namespace chorok::ports
