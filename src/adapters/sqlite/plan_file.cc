#include "adapters/sqlite/plan_file.h"

#include <fmt/format.h>

#include "adapters/sqlite/pack.h"
#include "adapters/sqlite/side_file.h"
#include "base/log.h"
#include "model/snapshot_text.h"

namespace chorok::sqlite {
namespace {

const Log kLog("plans");

constexpr int kVersion = 1;
constexpr int kApplication = 0x4368506C;  // "ChPl"
constexpr std::size_t kUnpackedMax = 256 << 20;
constexpr int kDroppedAtOnce = 32;
constexpr std::int64_t kDecisionOverhead = 64;  // of a row and its index

constexpr const char* kSchema = R"(
  CREATE TABLE round(id INTEGER PRIMARY KEY, cluster TEXT NOT NULL, at INTEGER NOT NULL,
                     number INTEGER NOT NULL, plan BLOB NOT NULL, snapshot BLOB,
                     UNIQUE (cluster, at)) STRICT;
  CREATE INDEX round_at ON round(at);
  CREATE INDEX round_seen ON round(at) WHERE snapshot IS NOT NULL;
  CREATE TABLE decision(id INTEGER PRIMARY KEY, round INTEGER NOT NULL, cluster TEXT NOT NULL,
                        name TEXT NOT NULL, at INTEGER NOT NULL, text TEXT NOT NULL) STRICT;
  CREATE INDEX decision_of ON decision(cluster, name, at);
  CREATE INDEX decision_in ON decision(round);
)";

std::int64_t ns(Time at) {
  return at.time_since_epoch().count();
}

}  // namespace

Result<std::unique_ptr<PlanFile>> PlanFile::open(const PlanLogSettings& settings) {
  auto db = open_side_file({.path = settings.path,
                            .application = kApplication,
                            .version = kVersion,
                            .schema = kSchema,
                            .probe = "SELECT count(*) FROM round"},
                           kLog);
  if (!db) return Unexpected(db.error());
  std::unique_ptr<PlanFile> file(new PlanFile(settings, std::move(*db)));
  TRY(file->count());
  return file;
}

Result<> PlanFile::count() {
  snapshot_bytes_ = TRY(db_->integer("SELECT ifnull(sum(length(snapshot)), 0) FROM round"));
  other_bytes_ = TRY(db_->integer("SELECT ifnull(sum(length(plan)), 0) FROM round"));
  other_bytes_ += TRY(db_->integer(fmt::format(
      "SELECT ifnull(sum(length(name) + length(text) + {}), 0) FROM decision", kDecisionOverhead)));
  return {};
}

Result<> PlanFile::append(const ports::LoggedRound& round) {
  TRY(db_->run("BEGIN IMMEDIATE"));
  Result<> done = write(round);
  if (done) done = drop_old(round.at);
  if (done) done = db_->run("COMMIT");
  if (done) return db_->run("PRAGMA incremental_vacuum(256)");
  db_->roll_back();
  (void)count();
  return done;
}

Result<> PlanFile::write(const ports::LoggedRound& round) {
  const std::string plan = TRY(pack(round.plan));
  std::string snapshot;
  if (round.snapshot != nullptr) snapshot = TRY(pack(TRY(model::write_snapshot(*round.snapshot))));
  Statement insert = TRY(db_->prepare(
      "INSERT OR REPLACE INTO round(cluster, at, number, plan, snapshot) VALUES (?, ?, ?, ?, ?)"));
  insert.bind(1, std::string_view(round.cluster))
      .bind(2, ns(round.at))
      .bind(3, round.number)
      .bind_blob(4, plan);
  if (snapshot.empty())
    insert.bind_null(5);
  else
    insert.bind_blob(5, snapshot);
  TRY(insert.run());
  snapshot_bytes_ += static_cast<std::int64_t>(snapshot.size());
  other_bytes_ += static_cast<std::int64_t>(plan.size());
  const std::int64_t id = TRY(db_->integer("SELECT last_insert_rowid()"));
  Statement decide = TRY(
      db_->prepare("INSERT INTO decision(round, cluster, name, at, text) VALUES (?, ?, ?, ?, ?)"));
  for (const ports::LoggedDecision& each : round.decisions) {
    TRY(decide.bind(1, id)
            .bind(2, std::string_view(round.cluster))
            .bind(3, std::string_view(each.name))
            .bind(4, ns(round.at))
            .bind(5, std::string_view(each.text))
            .run());
    other_bytes_ +=
        static_cast<std::int64_t>(each.name.size() + each.text.size()) + kDecisionOverhead;
  }
  return {};
}

// What was seen is the bulk, and goes first; what was decided is kept longer.
Result<> PlanFile::drop_old(Time now) {
  TRY(drop_rounds(fmt::format("at < {}", ns(now - settings_.age_max))));
  while (snapshot_bytes_ > settings_.bytes_max / 4 * 3) TRY(drop_snapshots());
  while (other_bytes_ > settings_.bytes_max / 4)
    TRY(drop_rounds(
        fmt::format("id IN (SELECT id FROM round ORDER BY at LIMIT {})", kDroppedAtOnce)));
  return {};
}

Result<> PlanFile::drop_snapshots() {
  constexpr const char* kOldest =
      "SELECT id FROM round WHERE snapshot IS NOT NULL ORDER BY at LIMIT {}";
  const std::string which = fmt::format(fmt::runtime(kOldest), kDroppedAtOnce);
  TRY(db_->run(fmt::format("UPDATE round SET snapshot = NULL WHERE id IN ({})", which)));
  snapshot_bytes_ = TRY(db_->integer("SELECT ifnull(sum(length(snapshot)), 0) FROM round"));
  return {};
}

Result<> PlanFile::drop_rounds(const std::string& condition) {
  TRY(db_->run(fmt::format("DELETE FROM decision WHERE round IN (SELECT id FROM round WHERE {})",
                           condition)));
  const std::int64_t before = TRY(db_->integer("SELECT total_changes()"));
  TRY(db_->run(fmt::format("DELETE FROM round WHERE {}", condition)));
  if (TRY(db_->integer("SELECT total_changes()")) != before) TRY(count());
  return {};
}

Result<ports::LoggedRound> PlanFile::find(const std::string& cluster, Time at) {
  Statement read =
      TRY(db_->prepare("SELECT at, number, plan, snapshot FROM round WHERE cluster = ? AND at <= ? "
                       "ORDER BY at DESC LIMIT 1"));
  if (!TRY(read.bind(1, std::string_view(cluster)).bind(2, ns(at)).step()))
    return fail(Code::kNotFound, "no round of then is kept");
  ports::LoggedRound round{
      .cluster = cluster, .at = Time(Duration(read.integer(0))), .number = read.integer(1)};
  round.plan = TRY(unpack(read.text(2), kUnpackedMax));
  if (read.is_null(3)) return round;
  const std::string text = TRY(unpack(read.text(3), kUnpackedMax));
  round.snapshot = std::make_shared<const model::Snapshot>(TRY(model::read_snapshot(text)));
  return round;
}

Result<std::vector<ports::PastDecision>> PlanFile::decisions(const std::string& cluster,
                                                             const std::string& name, Time at,
                                                             std::size_t limit) {
  Statement read = TRY(
      db_->prepare("SELECT decision.at, round.number, text FROM decision JOIN round ON round.id = "
                   "decision.round WHERE decision.cluster = ? AND name = ? AND decision.at <= ? "
                   "ORDER BY decision.at DESC, decision.id LIMIT ?"));
  read.bind(1, std::string_view(cluster))
      .bind(2, std::string_view(name))
      .bind(3, ns(at))
      .bind(4, static_cast<std::int64_t>(limit));
  std::vector<ports::PastDecision> out;
  while (TRY(read.step()))
    out.push_back(
        {.at = Time(Duration(read.integer(0))), .round = read.integer(1), .text = read.text(2)});
  return out;
}

}  // namespace chorok::sqlite
