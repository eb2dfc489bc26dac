#include "manager/api_idempotency.h"

namespace chorok::manager {

Result<const Idempotency::Kept*> Idempotency::begin(const std::string& key,
                                                    const std::string& fingerprint, Time now) {
  // Those under way are dropped too when they are that old: their answer is then not kept.
  while (!entries_.empty() &&
         (now - entries_.front().at > life_ || entries_.size() > max_ || bytes_ > bytes_max_))
    drop(entries_.begin());
  if (auto it = by_key_.find(key); it != by_key_.end()) {
    const Entry& entry = *it->second;
    if (entry.fingerprint != fingerprint)
      return fail(Code::kInvalid, "this key was used for another request already",
                  "Idempotency-Key");
    if (!entry.is_done)
      return fail(Code::kConflict, "the first request with this key is still being worked on",
                  "Idempotency-Key");
    return &entry.kept;
  }
  entries_.push_back(Entry{key, fingerprint, now, false, {}});
  by_key_[key] = std::prev(entries_.end());
  return nullptr;
}

void Idempotency::finish(const std::string& key, Kept kept) {
  auto it = by_key_.find(key);
  if (it == by_key_.end() || it->second->is_done) return;
  it->second->is_done = true;
  bytes_ += kept.body.size();
  it->second->kept = std::move(kept);
}

void Idempotency::forget(const std::string& key) {
  if (auto it = by_key_.find(key); it != by_key_.end() && !it->second->is_done) drop(it->second);
}

void Idempotency::drop(Entries::iterator entry) {
  bytes_ -= entry->kept.body.size();
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace chorok::manager
