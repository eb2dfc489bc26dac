#include <filesystem>

#include "adapters/sqlite/sqlite_store.h"
#include "ports/store_contract.h"
#include "sim/virtual_loop.h"

namespace chorok::ports {

struct SqliteFixture {
  explicit SqliteFixture(std::size_t max_log_revisions)
      : folder(testing::TempDir() + "chorok-store-" + std::to_string(::getpid())) {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    auto opened = sqlite::SqliteStore::open(
        loop, {.path = folder + "/store.db",
               .max_log_revisions = static_cast<std::int64_t>(max_log_revisions)});
    if (!opened) throw std::runtime_error(opened.error().message);
    sqlite = std::move(*opened);
  }
  ~SqliteFixture() {
    sqlite.reset();
    std::filesystem::remove_all(folder);
  }
  SqliteFixture(const SqliteFixture&) = delete;
  SqliteFixture& operator=(const SqliteFixture&) = delete;

  Store& store() { return *sqlite; }
  bool wait(const std::function<bool()>& done) { return loop.run_until(done); }
  void pass(Duration time) { loop.run_for(time); }

  std::string folder;
  sim::VirtualLoop loop;
  std::unique_ptr<sqlite::SqliteStore> sqlite;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Sqlite, StoreContract, SqliteFixture);

}  // namespace chorok::ports
