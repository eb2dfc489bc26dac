#include "agent/spool.h"

#include <algorithm>
#include <utility>

#include "base/json.h"

namespace chorok::agent {
namespace {

constexpr json::EncodeOptions kSparse{.defaults = false};

Result<model::HostSample> read(std::string_view json) {
  return json::decode<model::HostSample>(json, {.max_bytes = 4 << 20, .stored = true});
}

}  // namespace

model::HostSample merge_samples(const model::HostSample& earlier, model::HostSample later) {
  for (const model::VmSample& each : earlier.vms) {
    const bool goes_on = std::ranges::any_of(later.vms, [&](const model::VmSample& other) {
      return other.uuid == each.uuid && other.life == each.life;
    });
    if (goes_on) continue;
    later.vms.push_back(each);
    later.vms.back().ended = true;
  }
  later.merged += earlier.merged + 1;
  later.resumed |= earlier.resumed;
  return later;
}

Spool::Spool(JournalMedium* medium, SpoolSettings settings) : medium_(medium), settings_(settings) {
  if (medium_ != nullptr) load();
}

void Spool::load() {
  auto content = medium_->read();
  if (!content) return written(Unexpected(content.error()));
  std::string_view rest = *content;
  on_disk_ = !rest.empty();
  std::size_t damaged = 0;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    auto sample = read(rest.substr(0, end));
    // A torn tail is no JSON.
    if (sample && end != std::string_view::npos)
      push(*sample);
    else
      ++damaged;
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  if (damaged > 0)
    log_.warn("{} samples that waited on disk are damaged and were skipped", damaged);
}

void Spool::push(const model::HostSample& sample) {
  waiting_.push_back({sample.boot_id, sample.sequence, json::encode(sample, kSparse)});
  bytes_ += waiting_.back().json.size();
}

void Spool::add(const model::HostSample& sample) {
  const bool late = !waiting_.empty();
  push(sample);
  ++unwritten_;
  if (waiting_.size() > settings_.samples_max || bytes_ > settings_.bytes_max) thin();
  // What waited for a whole interval may wait longer.
  if (late) write_new();
}

// Of the older half every other sample goes into the one after it.
void Spool::thin() {
  const std::size_t half = std::max<std::size_t>(waiting_.size() / 2, 2);
  std::deque<Waiting> kept;
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    const bool pair = i + 1 < half && waiting_[i].boot_id == waiting_[i + 1].boot_id;
    auto earlier = pair ? read(waiting_[i].json) : Result<model::HostSample>();
    auto later = pair ? read(waiting_[i + 1].json) : Result<model::HostSample>();
    if (!pair || !earlier || !later) {
      kept.push_back(std::move(waiting_[i]));
      continue;
    }
    model::HostSample merged = merge_samples(*earlier, std::move(*later));
    kept.push_back({merged.boot_id, merged.sequence, json::encode(merged, kSparse)});
    ++i;
  }
  // Only samples of different boots, or such that are huge: then the oldest is lost.
  if (kept.size() == waiting_.size()) {
    log_.warn("a sample was lost: too many wait for the manager");
    kept.pop_front();
  }
  waiting_ = std::move(kept);
  bytes_ = 0;
  for (const Waiting& each : waiting_) bytes_ += each.json.size();
  if (on_disk_) rewrite();
}

void Spool::write_new() {
  if (medium_ == nullptr || unwritten_ == 0) return;
  std::string lines;
  for (std::size_t i = waiting_.size() - unwritten_; i < waiting_.size(); ++i) {
    lines += waiting_[i].json;
    lines += '\n';
  }
  auto done = medium_->append(lines, false);
  written(done);
  if (!done) return;  // tried again with the next one
  unwritten_ = 0;
  on_disk_ = true;
}

Result<> Spool::keep() {
  if (medium_ == nullptr || waiting_.empty()) return {};
  write_new();
  if (unwritten_ > 0) return fail(Code::kExhausted, "samples cannot be written");
  return medium_->append({}, true);
}

void Spool::rewrite() {
  if (medium_ == nullptr) return;
  std::string lines;
  for (const Waiting& each : waiting_) {
    lines += each.json;
    lines += '\n';
  }
  auto done = medium_->replace(lines);
  written(done);
  if (!done) return;
  unwritten_ = 0;
  on_disk_ = !lines.empty();
}

void Spool::written(const Result<>& result) {
  if (!result && !disk_failed_)
    log_.warn("samples wait in memory only: {}", result.error().message);
  disk_failed_ = !result;
}

Spool::Batch Spool::batch() const {
  Batch batch{.samples = "["};
  for (const Waiting& each : waiting_) {
    const bool first = batch.samples.size() == 1;
    if (!first && batch.samples.size() + each.json.size() > settings_.message_max) break;
    if (!first) batch.samples += ',';
    batch.samples += each.json;
    batch.boot_id = each.boot_id;
    batch.sequence = each.sequence;
  }
  batch.samples += ']';
  return batch;
}

// Samples were perhaps merged while the message was under way: by number, not by count.
void Spool::acknowledge(const Batch& batch) {
  std::size_t taken = 0;
  for (std::size_t i = 0; i < waiting_.size(); ++i)
    if (waiting_[i].boot_id == batch.boot_id && waiting_[i].sequence <= batch.sequence)
      taken = i + 1;
  for (std::size_t i = 0; i < taken; ++i) {
    bytes_ -= waiting_.front().json.size();
    waiting_.pop_front();
  }
  unwritten_ = std::min(unwritten_, waiting_.size());
  // Until then a restart sends again what the manager has, and it knows it.
  if (waiting_.empty() && on_disk_) rewrite();
}

}  // namespace chorok::agent
