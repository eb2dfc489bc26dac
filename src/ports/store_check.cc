#include "ports/store_check.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::ports {
namespace {

bool printable(std::string_view key) {
  return std::ranges::all_of(key, [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte > 0x20 && byte != 0x7f;
  });
}

Result<> check_key(std::string_view key) {
  if (key.empty()) return fail(Code::kInvalid, "A key must not be empty.");
  if (key.size() > StoreLimits::kMaxKeyBytes)
    return fail(Code::kInvalid,
                fmt::format("A key of {} bytes is longer than {}: '{}...'.", key.size(),
                            StoreLimits::kMaxKeyBytes, key.substr(0, 40)));
  if (!printable(key))
    return fail(Code::kInvalid, "A key must not contain spaces or control characters.");
  return {};
}

Result<> check_unique(const Txn& txn) {
  std::vector<std::string_view> keys;
  keys.reserve(txn.writes.size());
  for (const Write& write : txn.writes) keys.push_back(write.key);
  std::ranges::sort(keys);
  auto twice = std::ranges::adjacent_find(keys);
  if (twice == keys.end()) return {};
  return fail(Code::kInvalid, fmt::format("Key '{}' is written twice in one transaction.", *twice));
}

}  // namespace

Result<> check(const Txn& txn) {
  if (txn.writes.empty()) return fail(Code::kInvalid, "A transaction must write at least one key.");
  if (txn.writes.size() > StoreLimits::kMaxKeys)
    return fail(Code::kExhausted, fmt::format("A transaction of {} keys is above the limit of {}.",
                                              txn.writes.size(), StoreLimits::kMaxKeys));
  std::size_t bytes = 0;
  for (const Write& write : txn.writes) {
    TRY(check_key(write.key));
    bytes += write.key.size() + (write.value ? write.value->size() : 0);
  }
  if (bytes > StoreLimits::kMaxBytes)
    return fail(Code::kExhausted, fmt::format("A transaction of {} bytes is above the limit of {}.",
                                              bytes, StoreLimits::kMaxBytes));
  return check_unique(txn);
}

Result<> check_page(std::size_t limit) {
  if (limit >= 1 && limit <= StoreLimits::kMaxPage) return {};
  return fail(Code::kInvalid,
              fmt::format("A page holds 1 to {} keys, not {}.", StoreLimits::kMaxPage, limit));
}

Error no_such_key(std::string_view key) {
  return Error{Code::kNotFound, fmt::format("There is no '{}'.", key), {}};
}

Error revision_conflict(const Write& write, Revision found) {
  const Revision expected = write.if_revision.value_or(0);
  if (expected == 0)
    return Error{Code::kConflict, fmt::format("'{}' exists already.", write.key), {}};
  if (found == 0)
    return Error{Code::kConflict,
                 fmt::format("'{}' was deleted since revision {}.", write.key, expected),
                 {}};
  return Error{
      Code::kConflict,
      fmt::format("'{}' was changed: revision {}, expected {}.", write.key, found, expected),
      {}};
}

std::string prefix_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace chorok::ports
