// A SqliteStore in a folder of its own with calls that wait for their answer, for this folder's
// tests.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "adapters/sqlite/sqlite_store.h"
#include "sim/virtual_loop.h"

namespace chorok::sqlite {

class TestFolder {
 public:
  TestFolder()
      : path_(testing::TempDir() + "chorok-sqlite-" + std::to_string(::getpid()) + "-" +
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class TestStore {
 public:
  explicit TestStore(SqliteSettings settings) : settings_(std::move(settings)) {}

  Result<> open() {
    store_ = TRY(SqliteStore::open(loop_, settings_));
    return {};
  }
  void close() {
    store_.reset();
    loop_.run_until_idle();
  }

  template <class T, class Start>
  T await(Start start) {
    std::optional<T> answer;
    start([&](T result) { answer = std::move(result); });
    if (!loop_.run_until([&] { return answer.has_value(); }, std::chrono::seconds(60)))
      return fail(Code::kTimeout, "never completed");
    return std::move(*answer);
  }
  Result<ports::Revision> commit(std::vector<ports::Write> writes) {
    return await<Result<ports::Revision>>(
        [&](auto done) { store_->commit(ports::Txn{std::move(writes)}, std::move(done)); });
  }
  Result<ports::Revision> put(std::string key, std::string value) {
    return commit({{.key = std::move(key), .value = std::move(value)}});
  }
  Result<std::string> get(const std::string& key) {
    auto found =
        await<Result<ports::KeyValue>>([&](auto done) { store_->get(key, std::move(done)); });
    if (!found) return Unexpected(found.error());
    return found->value;
  }
  // Every record below the prefix, page by page.
  Result<std::vector<ports::KeyValue>> all(const std::string& prefix = "") {
    std::vector<ports::KeyValue> items;
    bool more = true;
    while (more) {
      const std::string after = items.empty() ? "" : items.back().key;
      auto page = TRY(await<Result<ports::Page>>(
          [&](auto done) { store_->range(prefix, after, 1000, std::move(done)); }));
      for (auto& item : page.items) items.push_back(std::move(item));
      more = page.more;
    }
    return items;
  }
  ports::Revision head() {
    return await<Result<ports::Page>>([&](auto done) { store_->range("", "", 1, std::move(done)); })
        .value()
        .revision;
  }
  Result<> backup(const std::string& path) {
    return await<Result<>>([&](auto done) { store_->backup_to(path, std::move(done)); });
  }

  SqliteStore& store() { return *store_; }
  sim::VirtualLoop& loop() { return loop_; }
  SqliteSettings& settings() { return settings_; }

 private:
  SqliteSettings settings_;
  sim::VirtualLoop loop_;
  std::unique_ptr<SqliteStore> store_;
};

}  // namespace chorok::sqlite
