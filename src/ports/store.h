// The state that must survive: records under keys, each with a revision. Whoever writes names the
// revision it has seen, so that two writers never overwrite each other unnoticed. Telemetry never
// enters here (see History).
//
// A store-wide revision counts transactions; a key's revision is that of the transaction that last
// wrote it. Calls are made from the loop's thread and complete on it. Commits complete in the order
// in which they were made; when a commit's completion says ok, it is durable.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"

namespace chorok::ports {

using Revision = std::uint64_t;  // 0: the key does not exist

struct StoreLimits {
  static constexpr std::size_t kMaxKeys =
      100;  // a transaction; larger work is a saga of operations
  static constexpr std::size_t kMaxBytes = 1 << 20;  // a transaction, keys and values together
  static constexpr std::size_t kMaxKeyBytes = 256;
  static constexpr std::size_t kMaxPage = 1000;  // keys a range answers with
};

struct KeyValue {
  std::string key;
  std::string value;
  Revision revision = 0;
  friend bool operator==(const KeyValue&, const KeyValue&) = default;
};

struct Write {
  std::string key;
  std::optional<std::string> value;     // empty: delete
  std::optional<Revision> if_revision;  // 0: only if absent; not set: unconditionally
};

struct Txn {
  std::vector<Write> writes;  // all or nothing; no key twice
};

struct Page {
  std::vector<KeyValue> items;  // ascending by key
  Revision revision = 0;        // the store's, at which this was read
  bool more = false;            // go on with after = items.back().key
};

struct Change {
  Revision revision = 0;
  std::string key;
  std::optional<std::string> value;  // empty: deleted
};

struct WatchEvent {
  enum class Kind : std::uint8_t { kChanges, kCompacted } kind = Kind::kChanges;
  std::vector<Change> changes;  // of one transaction, in its order
};

// Ends the watch when it is destroyed.
class Watch {
 public:
  virtual ~Watch() = default;
};

class Store {
 public:
  virtual ~Store() = default;

  // kNotFound when there is no such key.
  virtual void get(std::string key, Done<Result<KeyValue>> done) = 0;
  // Keys that start with `prefix` and are greater than `after`, at most `limit` (1..kMaxPage). A
  // run of pages is not a snapshot; whoever needs one compares Page::revision.
  virtual void range(std::string prefix, std::string after, std::size_t limit,
                     Done<Result<Page>> done) = 0;
  // kConflict names the first key whose revision differs; kExhausted: too large, or no space left
  // (nothing written); kUnknown: the connection broke, it may or may not have happened.
  virtual void commit(Txn txn, Done<Result<Revision>> done) = 0;
  // Every change under `prefix` after revision `from`, in order, then those to come. kCompacted
  // when the store no longer knows the changes since `from`: list again and watch from the
  // listing's revision; the watch is over then.
  virtual std::unique_ptr<Watch> watch(std::string prefix, Revision from,
                                       std::function<void(WatchEvent)> on_event) = 0;

  // A lease is a name that one owner holds until it lets go or stops renewing for `ttl`. acquire
  // answers true when `owner` holds it now (also when it held it before: that renews it), false
  // when somebody else does.
  virtual void acquire_lease(std::string name, std::string owner, Duration ttl,
                             Done<Result<bool>> done) = 0;
  virtual void release_lease(std::string name, std::string owner, Done<Result<>> done) = 0;
};

}  // namespace chorok::ports
