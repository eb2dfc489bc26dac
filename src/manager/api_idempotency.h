// What was answered under an Idempotency-Key, so that a client which lost the answer can ask again
// and nothing is done twice. Bounded by age, number and bytes, oldest first. The answers lie in the
// store, so a restart of the manager does not forget them; those with a secret in them (a new
// token) and very large ones are in memory only. A manager that is killed between doing what was
// asked and storing the answer has not answered either: there, names that must be unique and tasks
// that find their work done keep most requests harmless.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "manager/inventory.h"

namespace chorok::manager {

class Idempotency {
 public:
  using Kept = std::shared_ptr<const KeptAnswer>;

  Idempotency(Duration life, std::size_t max, std::size_t bytes_max)
      : life_(life), max_(max), bytes_max_(bytes_max) {}

  // Those that the store has, in any order; before the first request.
  void load(const Table<KeptAnswer>& stored);
  // Null: go ahead, and say finish() or forget(). kConflict: the first one is still worked on.
  // kInvalid: the key was used for something else.
  Result<Kept> begin(const std::string& id, const std::string& fingerprint, Time now);
  // Fills in what begin() was told.
  KeptAnswer complete(KeptAnswer answer) const;
  void finish(Kept kept);
  void forget(const std::string& id);
  // Some of what has been dropped and not been taken yet: to be dropped from the store too.
  std::vector<std::string> take_dropped(std::size_t most);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string id;
    std::string fingerprint;
    Time at{};
    Kept kept;  // null: still worked on
  };
  using Entries = std::list<Entry>;  // oldest first
  void drop(Entries::iterator entry);

  Duration life_;
  std::size_t max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  Entries entries_;
  std::unordered_map<std::string, Entries::iterator> by_id_;
  std::vector<std::string> dropped_;
};

}  // namespace chorok::manager
