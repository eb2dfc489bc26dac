// What was answered under an Idempotency-Key, so that a client which lost the answer can ask again
// and nothing is done twice. In memory and bounded: a restart of the manager forgets it, and then
// names that must be unique and tasks that find their work done keep most requests harmless.
#pragma once

#include <list>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "base/units.h"

namespace chorok::manager {

class Idempotency {
 public:
  struct Kept {
    int status = 0;
    std::string location;
    std::string etag;
    std::string type;
    std::string body;
  };

  Idempotency(Duration life, std::size_t max, std::size_t bytes_max)
      : life_(life), max_(max), bytes_max_(bytes_max) {}

  // Null: go ahead, and say finish() or forget(). kConflict: the first one is still worked on.
  // kInvalid: the key was used for something else.
  Result<const Kept*> begin(const std::string& key, const std::string& fingerprint, Time now);
  void finish(const std::string& key, Kept kept);
  void forget(const std::string& key);
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::string key;
    std::string fingerprint;
    Time at{};
    bool is_done = false;
    Kept kept;
  };
  using Entries = std::list<Entry>;  // oldest first
  void drop(Entries::iterator entry);

  Duration life_;
  std::size_t max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  Entries entries_;
  std::unordered_map<std::string, Entries::iterator> by_key_;
};

}  // namespace chorok::manager
