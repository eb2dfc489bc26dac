#include "adapters/sqlite/history_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "adapters/sqlite/side_file.h"
#include "base/log.h"

namespace chorok::sqlite {
namespace {

const Log kLog("history");

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kGrace = 2 * kMinute;  // for agents that tell a little later
constexpr std::int64_t kPage = 4096;
constexpr int kVersion = 1;
constexpr int kApplication = 0x43684869;  // "ChHi"
constexpr std::size_t kSourcesMax = 1'000'000;
constexpr std::size_t kLabelMax = 256;

// `fine` by source and time: what one VM used is in the rows of the hosts that ran it.
constexpr const char* kSchema = R"(
  CREATE TABLE series(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE source(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cursor BLOB) STRICT;
  CREATE TABLE pair(series INTEGER NOT NULL, source INTEGER NOT NULL,
                    PRIMARY KEY (series, source)) STRICT, WITHOUT ROWID;
  CREATE TABLE fine(id INTEGER PRIMARY KEY, source INTEGER NOT NULL, at INTEGER NOT NULL,
                    data BLOB NOT NULL) STRICT;
  CREATE INDEX fine_of ON fine(source, at);
  CREATE INDEX fine_at ON fine(at);
  CREATE TABLE minute(id INTEGER PRIMARY KEY, series INTEGER NOT NULL, chunk INTEGER NOT NULL,
                      data BLOB NOT NULL, UNIQUE (series, chunk)) STRICT;
  CREATE INDEX minute_at ON minute(chunk);
  CREATE TABLE hour(id INTEGER PRIMARY KEY, series INTEGER NOT NULL, chunk INTEGER NOT NULL,
                    data BLOB NOT NULL, UNIQUE (series, chunk)) STRICT;
  CREATE INDEX hour_at ON hour(chunk);
  CREATE TABLE progress(only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
                        compacted INTEGER NOT NULL) STRICT;
  INSERT INTO progress VALUES (1, 0);
)";
// Came later, and files without it are read as ever.
constexpr const char* kLabels =
    "CREATE TABLE IF NOT EXISTS label(series INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT";

std::int64_t ns(Time at) {
  return at.time_since_epoch().count();
}
std::int64_t floor_to(std::int64_t at, std::int64_t unit) {
  const std::int64_t rest = at % unit;
  return at - (rest < 0 ? rest + unit : rest);
}

// The part of a use that falls into [begin, end).
Slot part_of(const FineUse& use, std::int64_t from, std::int64_t to, std::int64_t begin,
             std::int64_t end) {
  Slot out;
  const double whole = static_cast<double>(to - from) / kSecond;
  const std::int64_t overlap = std::min(to, end) - std::max(from, begin);
  if (whole <= 0 || overlap <= 0) return out;
  out.measured = static_cast<double>(overlap) / kSecond;
  const double share = out.measured / whole;
  for (std::size_t i = 0; i < ports::kMeasures; ++i)
    out.amounts.values[i] = use.amounts.values[i] * share;
  out.cpu_peak = use.amounts[ports::Measure::kCpu] / whole;
  return out;
}

}  // namespace

Result<std::unique_ptr<HistoryFile>> HistoryFile::open(const HistorySettings& settings) {
  auto db = open_side_file({.path = settings.path,
                            .application = kApplication,
                            .version = kVersion,
                            .schema = kSchema,
                            .probe = "SELECT compacted FROM progress"},
                           kLog);
  if (!db) return Unexpected(db.error());
  std::unique_ptr<HistoryFile> file(new HistoryFile(settings, std::move(*db)));
  TRY(file->prepare());
  return file;
}

Result<> HistoryFile::prepare() {
  TRY(db_->run(kLabels));  // a full file of an older version has room for them
  // A tenth more than the bound, so that what is to be dropped can be dropped.
  TRY(db_->integer(
      fmt::format("PRAGMA max_page_count = {}", settings_.bytes_max / kPage * 11 / 10 + 64)));
  compacted_ = Time(Duration(TRY(db_->integer("SELECT compacted FROM progress"))));
  Statement all = TRY(db_->prepare("SELECT series, text FROM label"));
  while (TRY(all.step()))
    labels_[static_cast<std::uint32_t>(all.integer(0))] = std::hash<std::string>()(all.text(1));
  all = TRY(db_->prepare("SELECT id, name FROM series"));
  while (TRY(all.step())) series_[all.text(1)] = static_cast<std::uint32_t>(all.integer(0));
  all = TRY(db_->prepare("SELECT id, name FROM source"));
  while (TRY(all.step())) sources_[all.text(1)] = static_cast<std::uint32_t>(all.integer(0));
  Statement pairs = TRY(db_->prepare("SELECT series, source FROM pair"));
  while (TRY(pairs.step()))
    pairs_.emplace(static_cast<std::uint32_t>(pairs.integer(0)),
                   static_cast<std::uint32_t>(pairs.integer(1)));
  return {};
}

// ---- Writing

Result<> HistoryFile::append(const std::vector<const ports::HistoryBatch*>& batches, Time now) {
  TRY(db_->run("BEGIN IMMEDIATE"));
  Result<> done = append_in_transaction(batches, now);
  if (done) done = db_->run("COMMIT");
  if (done) return {};
  db_->roll_back();
  // Ids that were given out are not there any more.
  series_.clear();
  sources_.clear();
  pairs_.clear();
  labels_.clear();
  (void)prepare();
  return done;
}

Result<> HistoryFile::append_in_transaction(const std::vector<const ports::HistoryBatch*>& batches,
                                            Time now) {
  Statement insert = TRY(db_->prepare("INSERT INTO fine(source, at, data) VALUES (?, ?, ?)"));
  Statement cursor = TRY(db_->prepare("UPDATE source SET cursor = ? WHERE id = ?"));
  Added late;
  // A clock that was set back: nothing is written into what is to come.
  const Time newest = now + std::chrono::hours(1);
  for (const ports::HistoryBatch* batch : batches) {
    const std::uint32_t source = TRY(source_id(batch->source));
    std::vector<FineUse> uses;
    const bool counts = batch->from < batch->to && batch->to <= newest;
    for (const ports::HistoryUse& use : batch->uses) {
      if (!counts) break;
      const std::uint32_t series = TRY(series_id(use.series, true));
      if (series == 0) continue;
      TRY(note_source(series, source));
      TRY(note_label(series, use.label));
      uses.push_back({series, use.amounts});
      if (batch->to <= compacted_) add_use(late, uses.back(), batch->from, batch->to);
    }
    if (!uses.empty()) {
      const std::string data = encode_fine(batch->from, batch->to, uses);
      TRY(insert.bind(1, std::int64_t{source}).bind(2, ns(batch->to)).bind_blob(3, data).run());
    }
    if (batch->cursor.empty()) continue;
    TRY(cursor.bind_blob(1, batch->cursor).bind(2, std::int64_t{source}).run());
  }
  return write_added(late);
}

Result<std::uint32_t> HistoryFile::series_id(const std::string& name, bool make) {
  if (auto it = series_.find(name); it != series_.end()) return it->second;
  if (!make || name.size() > 128 || series_.size() >= kSourcesMax) return 0U;
  Statement insert = TRY(db_->prepare("INSERT INTO series(name) VALUES (?)"));
  TRY(insert.bind(1, std::string_view(name)).run());
  const auto id = static_cast<std::uint32_t>(TRY(db_->integer("SELECT last_insert_rowid()")));
  series_[name] = id;
  return id;
}

Result<std::uint32_t> HistoryFile::source_id(const std::string& name) {
  if (auto it = sources_.find(name); it != sources_.end()) return it->second;
  Statement insert = TRY(db_->prepare("INSERT INTO source(name) VALUES (?)"));
  TRY(insert.bind(1, std::string_view(name)).run());
  const auto id = static_cast<std::uint32_t>(TRY(db_->integer("SELECT last_insert_rowid()")));
  sources_[name] = id;
  return id;
}

Result<> HistoryFile::note_source(std::uint32_t series, std::uint32_t source) {
  if (!pairs_.emplace(series, source).second) return {};
  Statement insert = TRY(db_->prepare("INSERT OR IGNORE INTO pair VALUES (?, ?)"));
  return insert.bind(1, std::int64_t{series}).bind(2, std::int64_t{source}).run();
}

Result<> HistoryFile::note_label(std::uint32_t series, const std::string& label) {
  if (label.empty() || label.size() > kLabelMax) return {};
  const std::size_t hash = std::hash<std::string>()(label);
  const auto [known, is_new] = labels_.try_emplace(series, hash);
  if (!is_new && known->second == hash) return {};
  known->second = hash;
  Statement write = TRY(db_->prepare("INSERT OR REPLACE INTO label(series, text) VALUES (?, ?)"));
  return write.bind(1, std::int64_t{series}).bind(2, std::string_view(label)).run();
}

void HistoryFile::add_use(Added& added, const FineUse& use, Time from, Time to) {
  struct Tier {
    bool hours;
    std::int64_t unit;
    std::size_t count;
  };
  for (const auto [hours, unit, count] : {Tier{false, kMinute, 60}, Tier{true, kHour, 24}}) {
    for (std::int64_t at = floor_to(ns(from), unit); at < ns(to); at += unit) {
      const std::int64_t chunk = floor_to(at, unit * static_cast<std::int64_t>(count));
      auto row = added.try_emplace({hours, use.series, chunk}, SlotRow(count)).first;
      row->second.slots[static_cast<std::size_t>((at - chunk) / unit)].add(
          part_of(use, ns(from), ns(to), at, at + unit));
    }
  }
}

Result<> HistoryFile::write_added(const Added& added) {
  for (const bool hours : {false, true}) {
    const char* table = hours ? "hour" : "minute";
    Statement read =
        TRY(db_->prepare(fmt::format("SELECT data FROM {} WHERE chunk = ? AND series = ?", table)));
    Statement write = TRY(db_->prepare(
        fmt::format("INSERT INTO {}(chunk, series, data) VALUES (?, ?, ?) ON CONFLICT (series, "
                    "chunk) DO UPDATE SET data = excluded.data",
                    table)));
    for (const auto& [key, more] : added) {
      if (key.hours != hours) continue;
      SlotRow row(more.slots.size());
      read.bind(1, key.chunk).bind(2, std::int64_t{key.series});
      if (TRY(read.step()) && !decode_slots(read.text(0), row)) row = SlotRow(more.slots.size());
      read.reset();
      for (std::size_t i = 0; i < row.slots.size(); ++i) row.slots[i].add(more.slots[i]);
      const std::string data = encode_slots(row);
      TRY(write.bind(1, key.chunk).bind(2, std::int64_t{key.series}).bind_blob(3, data).run());
    }
  }
  return {};
}

// ---- Growing old

bool HistoryFile::tidy_due(Time now) const {
  return ns(now) - kGrace >= floor_to(ns(compacted_), kHour) + kHour;
}

Result<> HistoryFile::tidy(Time now) {
  // Not before the first row: an empty hour costs nothing, but a year of them would.
  const std::int64_t until = floor_to(ns(now) - kGrace, kHour);
  for (;;) {
    Statement next = TRY(db_->prepare("SELECT min(at) FROM fine WHERE at > ?"));
    next.bind(1, ns(compacted_));
    const bool there = TRY(next.step()) && !next.is_null(0);
    const std::int64_t first = there ? next.integer(0) : until;
    next.reset();
    if (first > until || ns(compacted_) >= until) break;
    TRY(compact_hour(Time(Duration(std::min(until, floor_to(first - 1, kHour) + kHour)))));
    if (!there) break;
  }
  if (ns(compacted_) < until) TRY(compact_hour(Time(Duration(until))));
  return drop_old(now);
}

// Fine rows after `compacted_` up to `until`; the same transaction moves the mark.
Result<> HistoryFile::compact_hour(Time until) {
  Added added;
  Statement rows = TRY(db_->prepare("SELECT data FROM fine WHERE at > ? AND at <= ?"));
  rows.bind(1, ns(compacted_)).bind(2, ns(until));
  FineRow row;
  while (TRY(rows.step())) {
    if (!decode_fine(rows.text(0), 0, row)) continue;
    for (const FineUse& use : row.uses) add_use(added, use, row.from, row.to);
  }
  rows.reset();
  TRY(db_->run("BEGIN IMMEDIATE"));
  Result<> done = write_added(added);
  if (done) done = db_->run(fmt::format("UPDATE progress SET compacted = {}; COMMIT", ns(until)));
  if (!done) {
    db_->roll_back();
    return done;
  }
  compacted_ = until;
  return {};
}

Result<> HistoryFile::drop_old(Time now) {
  // Whole hours, and none that is not in the buckets yet.
  const std::int64_t fine =
      std::min(floor_to(ns(now - settings_.keep_fine), kHour), ns(compacted_));
  TRY(db_->run(fmt::format(
      "DELETE FROM fine WHERE at <= {}; DELETE FROM minute WHERE chunk < {}; "
      "DELETE FROM hour WHERE chunk < {}",
      fine, ns(now - settings_.keep_minutes) - kHour, ns(now - settings_.keep_hours) - kDay)));
  const std::int64_t most = settings_.bytes_max / kPage;
  auto used = [&]() -> Result<std::int64_t> {
    return TRY(db_->integer("PRAGMA page_count")) - TRY(db_->integer("PRAGMA freelist_count"));
  };
  struct Tier {
    const char* table;
    const char* column;
  };
  bool is_lost = false;
  // Fine rows that are in the buckets are seen twice; then the oldest.
  for (const auto& [table, column] :
       {Tier{"fine", "at"}, Tier{"minute", "chunk"}, Tier{"hour", "chunk"}}) {
    while (TRY(used()) > most) {
      Statement oldest = TRY(db_->prepare(fmt::format("SELECT min({}) FROM {}", column, table)));
      if (!TRY(oldest.step()) || oldest.is_null(0)) break;
      const std::int64_t first = oldest.integer(0);
      oldest.reset();
      const bool is_fine = *table == 'f';
      if (is_fine && first > ns(compacted_)) break;
      const std::int64_t last = is_fine ? floor_to(first - 1, kHour) + kHour : first;
      TRY(db_->run(fmt::format("DELETE FROM {} WHERE {} <= {}", table, column, last)));
      is_lost = *table == 'h';
    }
  }
  if (is_lost)  // what bills are made of
    kLog.warn(
        "the history is as large as it may be ({} MiB): its oldest hours are gone before their "
        "time",
        settings_.bytes_max >> 20);
  return db_->run("PRAGMA incremental_vacuum(2000)");
}

// ---- Reading

Result<std::map<std::string, std::string>> HistoryFile::cursors() {
  std::map<std::string, std::string> out;
  Statement all = TRY(db_->prepare("SELECT name, cursor FROM source WHERE cursor IS NOT NULL"));
  while (TRY(all.step())) out[all.text(0)] = all.text(1);
  return out;
}

// Fine rows where the step wants them and they are still there, and for what is in no bucket yet;
// minutes as far as they go back, hours before that.
Result<std::vector<ports::HistoryPoint>> HistoryFile::range(const ports::HistoryQuery& query) {
  std::vector<ports::HistoryPoint> out;
  const std::uint32_t series = TRY(series_id(query.series, false));
  if (series == 0 || query.step < std::chrono::seconds(1) || query.from >= query.to) return out;
  std::map<std::int64_t, Slot> steps;
  Time fine_from = compacted_;
  if (query.step < std::chrono::minutes(1)) {
    Statement oldest = TRY(db_->prepare("SELECT min(at) FROM fine"));
    if (TRY(oldest.step()) && !oldest.is_null(0))
      fine_from = std::min(compacted_, Time(Duration(floor_to(oldest.integer(0) - 1, kHour))));
  }
  Statement first = TRY(db_->prepare("SELECT min(chunk) FROM minute"));
  Time minutes_from = fine_from;
  if (TRY(first.step()) && !first.is_null(0))
    minutes_from = std::min(fine_from, Time(Duration(first.integer(0))));
  // A day of hours is not cut in two.
  minutes_from = std::min(fine_from, Time(Duration(floor_to(ns(minutes_from) + kHour - 1, kHour))));
  if (query.step >= std::chrono::hours(1))
    minutes_from = std::min(fine_from, Time(Duration(floor_to(ns(fine_from), kHour))));
  TRY(add_slots(true, series, query, query.from, minutes_from, steps));
  TRY(add_slots(false, series, query, minutes_from, fine_from, steps));
  TRY(add_fine(series, query, fine_from, steps));
  for (const auto& [step, slot] : steps)
    out.push_back(
        {query.from + query.step * step, from_seconds(slot.measured), slot.cpu_peak, slot.amounts});
  return out;
}

// By the finest buckets that are there for such a time: where it begins and ends inside of one,
// what it has of that is an estimate.
Result<std::map<std::string, ports::HistoryPoint>> HistoryFile::totals(const std::string& prefix,
                                                                       Time from, Time to) {
  ports::HistoryQuery query{.series = {}, .from = from, .to = to, .step = std::chrono::hours(1)};
  if (to - from <= settings_.keep_minutes) query.step = std::chrono::minutes(1);
  if (to - from <= settings_.keep_fine) query.step = std::chrono::seconds(30);
  std::map<std::string, ports::HistoryPoint> out;
  std::vector<std::string> names;
  for (const auto& [name, id] : series_)
    if (name.starts_with(prefix)) names.push_back(name);
  Statement label = TRY(db_->prepare("SELECT text FROM label WHERE series = ?"));
  for (const std::string& name : names) {
    query.series = name;
    const auto points = TRY(range(query));
    if (points.empty()) continue;
    ports::HistoryPoint& total = out[name];
    total.at = from;
    label.bind(1, std::int64_t{series_.at(name)});
    if (TRY(label.step())) total.label = label.text(0);
    label.reset();
    for (const ports::HistoryPoint& each : points) {
      total.measured += each.measured;
      total.cpu_peak = std::max(total.cpu_peak, each.cpu_peak);
      for (std::size_t i = 0; i < ports::kMeasures; ++i)
        total.amounts.values[i] += each.amounts.values[i];
    }
  }
  return out;
}

Result<> HistoryFile::add_fine(std::uint32_t series, const ports::HistoryQuery& query, Time from,
                               std::map<std::int64_t, Slot>& steps) {
  const std::int64_t begin = std::max(ns(from), ns(query.from));
  Statement rows = TRY(db_->prepare(
      "SELECT data FROM fine WHERE source IN (SELECT source FROM pair WHERE series = ?) "
      "AND at > ?"));
  rows.bind(1, std::int64_t{series}).bind(2, begin);
  const std::int64_t step = query.step.count();
  // Of a row that reaches back beyond: its part before is in a bucket, unless the row itself is in
  // none yet.
  const std::int64_t first =
      from < compacted_ ? std::max(ns(from), ns(query.from)) : ns(query.from);
  FineRow row;
  while (TRY(rows.step())) {
    if (!decode_fine(rows.text(0), series, row)) continue;
    for (const FineUse& use : row.uses) {
      const std::int64_t low = std::max(ns(row.from), first);
      const std::int64_t high = std::min(ns(row.to), ns(query.to));
      for (std::int64_t at = floor_to(low - ns(query.from), step); at + ns(query.from) < high;
           at += step)
        steps[at / step].add(part_of(use, ns(row.from), ns(row.to),
                                     std::max(at + ns(query.from), low),
                                     std::min(at + step + ns(query.from), high)));
    }
  }
  std::erase_if(steps, [](const auto& entry) { return entry.second.measured <= 0; });
  return {};
}

Result<> HistoryFile::add_slots(bool hours, std::uint32_t series, const ports::HistoryQuery& query,
                                Time from, Time until, std::map<std::int64_t, Slot>& steps) {
  const std::int64_t unit = hours ? kHour : kMinute;
  const std::size_t count = hours ? 24 : 60;
  const std::int64_t begin = std::max(ns(from), ns(query.from));
  const std::int64_t end = std::min(ns(until), ns(query.to));
  if (begin >= end) return {};
  Statement rows = TRY(db_->prepare(
      fmt::format("SELECT chunk, data FROM {} WHERE series = ? AND chunk > ? AND chunk < ?",
                  hours ? "hour" : "minute")));
  const std::int64_t chunk_length = unit * static_cast<std::int64_t>(count);
  rows.bind(1, std::int64_t{series}).bind(2, begin - chunk_length).bind(3, end);
  while (TRY(rows.step())) {
    SlotRow row(count);
    if (!decode_slots(rows.text(1), row)) continue;
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t at = rows.integer(0) + unit * static_cast<std::int64_t>(i);
      if (row.slots[i].measured <= 0 || at + unit <= begin || at >= end) continue;
      // It belongs to the step in which it begins; the ends of the query may cut it.
      const std::int64_t low = std::max(at, ns(query.from));
      const std::int64_t high = std::min(at + unit, ns(query.to));
      Slot slot = row.slots[i];
      slot.scale(static_cast<double>(high - low) / static_cast<double>(unit));
      steps[(low - ns(query.from)) / query.step.count()].add(slot);
    }
  }
  return {};
}

}  // namespace chorok::sqlite
