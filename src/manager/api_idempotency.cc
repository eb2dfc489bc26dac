#include "manager/api_idempotency.h"

#include <algorithm>

namespace chorok::manager {

const Type& KeptAnswer::type() {
  constexpr std::size_t kLongest = 1 << 20;
  static const Type kType =
      describe<KeptAnswer>("KeptAnswer", "What was answered under an Idempotency-Key.")
          .field("id", &KeptAnswer::id, "")
          .field("fingerprint", &KeptAnswer::fingerprint, "Of the request.")
          .field("at", &KeptAnswer::at, "")
          .field("status", &KeptAnswer::status, "")
          .field("location", &KeptAnswer::location, "", {.max_length = 1024})
          .field("etag", &KeptAnswer::etag, "")
          .field("content_type", &KeptAnswer::content_type, "")
          .field("body", &KeptAnswer::body, "", {.max_length = kLongest, .pattern = Pattern::kAny});
  return kType;
}

void Idempotency::load(const Table<KeptAnswer>& stored) {
  std::vector<Kept> all;
  for (const auto& [id, answer] : stored.all()) all.push_back(answer);
  std::ranges::sort(all, {}, [](const Kept& kept) { return kept->at; });
  for (Kept& kept : all) {
    bytes_ += kept->body.size();
    std::string id = kept->id;
    entries_.push_back(Entry{id, kept->fingerprint, kept->at, std::move(kept)});
    by_id_[std::move(id)] = std::prev(entries_.end());
  }
}

Result<Idempotency::Kept> Idempotency::begin(const std::string& id, const std::string& fingerprint,
                                             Time now) {
  // Those under way are dropped too when they are that old: their answer is then not kept.
  while (!entries_.empty() &&
         (now - entries_.front().at > life_ || entries_.size() > max_ || bytes_ > bytes_max_))
    drop(entries_.begin());
  if (auto it = by_id_.find(id); it != by_id_.end()) {
    const Entry& entry = *it->second;
    if (entry.fingerprint != fingerprint)
      return fail(Code::kInvalid, "this key was used for another request already",
                  "Idempotency-Key");
    if (entry.kept == nullptr)
      return fail(Code::kConflict, "the first request with this key is still being worked on",
                  "Idempotency-Key");
    return entry.kept;
  }
  entries_.push_back(Entry{id, fingerprint, now, nullptr});
  by_id_[id] = std::prev(entries_.end());
  return Kept();
}

KeptAnswer Idempotency::complete(KeptAnswer answer) const {
  if (auto it = by_id_.find(answer.id); it != by_id_.end()) {
    answer.fingerprint = it->second->fingerprint;
    answer.at = it->second->at;
  }
  return answer;
}

void Idempotency::finish(Kept kept) {
  auto it = by_id_.find(kept->id);
  if (it == by_id_.end() || it->second->kept != nullptr) return;
  bytes_ += kept->body.size();
  it->second->kept = std::move(kept);
}

void Idempotency::forget(const std::string& id) {
  auto it = by_id_.find(id);
  if (it == by_id_.end() || it->second->kept != nullptr) return;
  entries_.erase(it->second);
  by_id_.erase(it);
}

std::vector<std::string> Idempotency::take_dropped(std::size_t most) {
  std::vector<std::string> taken;
  for (; !dropped_.empty() && taken.size() < most; dropped_.pop_back())
    taken.push_back(std::move(dropped_.back()));
  return taken;
}

void Idempotency::drop(Entries::iterator entry) {
  if (entry->kept != nullptr) {
    bytes_ -= entry->kept->body.size();
    dropped_.push_back(entry->id);
  }
  by_id_.erase(entry->id);
  entries_.erase(entry);
}

}  // namespace chorok::manager
