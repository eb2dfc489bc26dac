#include "agent/journal.h"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "base/json.h"

namespace chorok::agent {
namespace {

struct Record {
  std::uint64_t term = 0;
  std::optional<model::Operation> begin;
  std::optional<model::OpDone> done;
  std::string acknowledged;  // an operation's id
  static const Type& type();
};

const Type& Record::type() {
  static const Type kType = describe<Record>("JournalRecord", "")
                                .field("term", &Record::term, "")
                                .field("begin", &Record::begin, "")
                                .field("done", &Record::done, "")
                                .field("acknowledged", &Record::acknowledged, "");
  return kType;
}

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1) != 0 ? 0xedb88320U ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}

// CRC-32 as in IEEE 802.3: a torn or flipped line is what it has to find, not an attacker.
std::uint32_t crc32(std::string_view bytes) {
  static constexpr auto kTable = make_crc_table();
  std::uint32_t c = ~0U;
  for (char byte : bytes) c = kTable[(c ^ static_cast<unsigned char>(byte)) & 0xff] ^ (c >> 8);
  return ~c;
}

constexpr std::size_t kPrefix = 9;  // eight hex digits and a space

std::string line_of(const Record& record) {
  const std::string body = json::encode(record, {.secrets = true, .defaults = false});
  return fmt::format("{:08x} {}\n", crc32(body), body);
}

std::optional<Record> record_of(std::string_view line) {
  if (line.size() < kPrefix || line[kPrefix - 1] != ' ') return std::nullopt;
  std::uint32_t sum = 0;
  const char* end = line.data() + kPrefix - 1;
  if (std::from_chars(line.data(), end, sum, 16).ptr != end) return std::nullopt;
  line.remove_prefix(kPrefix);
  if (crc32(line) != sum) return std::nullopt;
  auto record = json::decode<Record>(line, {.max_bytes = 16 << 20, .stored = true});
  if (!record) return std::nullopt;
  return std::move(*record);
}

}  // namespace

Result<> MemoryMedium::append(std::string_view bytes, bool) {
  if (full) return fail(Code::kExhausted, "the disk is full");
  content.append(bytes);
  return {};
}

Result<> MemoryMedium::replace(std::string_view bytes) {
  if (full) return fail(Code::kExhausted, "the disk is full");
  content.assign(bytes);
  return {};
}

Result<std::unique_ptr<Journal>> Journal::open(JournalMedium& medium, JournalSettings settings) {
  std::unique_ptr<Journal> journal(new Journal(medium, settings));
  const std::string content = TRY(medium.read());
  journal->replay(content);
  // A torn tail has no end of line: the next record must not be glued to it.
  if (!content.empty() && content.back() != '\n') TRY(journal->append("\n", false));
  journal->compact_when_large();
  return journal;
}

void Journal::replay(std::string_view content) {
  bytes_ = content.size();
  while (!content.empty()) {
    const std::size_t end = content.find('\n');
    const std::string_view line = content.substr(0, end);
    if (!line.empty() && !replay_line(line)) ++damaged_lines_;
    if (end == std::string_view::npos) break;
    content.remove_prefix(end + 1);
  }
}

bool Journal::replay_line(std::string_view line) {
  std::optional<Record> record = record_of(line);
  if (!record) return false;
  term_ = std::max(term_, record->term);
  if (record->begin) {
    std::string id = record->begin->id;
    if (entries_.try_emplace(std::move(id), Entry{std::move(*record->begin), {}, false}).second)
      ++open_;
  }
  if (record->done) {
    if (auto it = entries_.find(record->done->id); it != entries_.end())
      it->second.done = std::move(record->done);
  }
  if (!record->acknowledged.empty()) mark_acknowledged(record->acknowledged);
  return true;
}

Result<> Journal::append(std::string line, bool durable) {
  TRY(medium_.append(line, durable));
  bytes_ += line.size();
  return {};
}

Result<> Journal::accept_term(std::uint64_t term) {
  if (term < term_)
    return fail(Code::kConflict,
                fmt::format("term {} is over: this agent has accepted term {}", term, term_));
  if (term == term_) return {};
  TRY(append(line_of(Record{.term = term}), true));
  term_ = term;
  return {};
}

Result<> Journal::begin(const model::Operation& operation) {
  if (open_ >= settings_.open_max)
    return fail(Code::kExhausted,
                fmt::format("{} operations are under way on this host, which is its limit; try "
                            "again when some are done",
                            open_));
  compact_when_large();
  TRY(append(line_of(Record{.begin = operation}), true));
  entries_[operation.id] = Entry{operation, {}, false};
  ++open_;
  return {};
}

void Journal::finish(model::OpDone done) {
  auto it = entries_.find(done.id);
  CHOROK_ASSERT(it != entries_.end());
  // Not written means unknown after a restart, which the manager resolves by looking.
  (void)append(line_of(Record{.done = done}), false);
  it->second.done = std::move(done);
}

void Journal::mark_acknowledged(const std::string& id) {
  auto it = entries_.find(id);
  if (it == entries_.end() || it->second.acknowledged) return;
  it->second.acknowledged = true;
  --open_;
  acknowledged_.push_back(id);
  while (acknowledged_.size() > settings_.remembered_max) {
    entries_.erase(acknowledged_.front());
    acknowledged_.pop_front();
  }
}

void Journal::acknowledge(const std::string& id) {
  mark_acknowledged(id);
  // Not written means that the result is sent once more after a restart.
  (void)append(line_of(Record{.acknowledged = id}), false);
  compact_when_large();
}

void Journal::compact_when_large() {
  // Twice what cannot be thrown away: a journal full of live entries is not rewritten each time.
  if (bytes_ <= settings_.compact_bytes || bytes_ <= 2 * bytes_after_compaction_) return;
  std::string content = line_of(Record{.term = term_});
  auto keep = [&content](const Entry& entry) {
    content += line_of(Record{.begin = entry.operation, .done = entry.done});
  };
  for (const auto& [id, entry] : entries_)
    if (!entry.acknowledged) keep(entry);
  for (const std::string& id : acknowledged_) {
    keep(entries_.at(id));
    content += line_of(Record{.acknowledged = id});
  }
  // The old file is still whole when this fails, and the next write tries again.
  if (!medium_.replace(content)) return;
  bytes_ = bytes_after_compaction_ = content.size();
}

const Journal::Entry* Journal::find(const std::string& id) const {
  auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : &it->second;
}

}  // namespace chorok::agent
