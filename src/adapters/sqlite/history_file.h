// The tables of a history, used by one thread. Three tiers:
//   fine    a row an interval of a source, as it came; hours
//   minute  a row a series and hour, sixty buckets; days
//   hour    a row a series and day, twenty-four buckets; years
// Fine rows are turned into the other two once their hour is over; what comes later than that is
// added to them at once. So a series' minutes are written once and not sixty times.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "adapters/sqlite/db.h"
#include "adapters/sqlite/history_codec.h"
#include "adapters/sqlite/sqlite_history.h"

namespace chorok::sqlite {

class HistoryFile {
 public:
  // A damaged file is put aside (PATH.damaged) and a new one begun.
  static Result<std::unique_ptr<HistoryFile>> open(const HistorySettings& settings);

  // All of them or none.
  Result<> append(const std::vector<const ports::HistoryBatch*>& batches, Time now);
  Result<std::vector<ports::HistoryPoint>> range(const ports::HistoryQuery& query);
  Result<std::map<std::string, ports::HistoryPoint>> totals(const std::string& prefix, Time from,
                                                            Time to);
  Result<std::map<std::string, std::string>> cursors();
  // Turns the hours that are over into buckets and drops what is too old or too much.
  Result<> tidy(Time now);
  bool tidy_due(Time now) const;

 private:
  // Buckets of one series that are being added to, by table and chunk.
  struct Key {
    bool hours = false;
    std::uint32_t series = 0;
    std::int64_t chunk = 0;
    auto operator<=>(const Key&) const = default;
  };
  using Added = std::map<Key, SlotRow>;

  HistoryFile(HistorySettings settings, std::unique_ptr<Db> db)
      : settings_(std::move(settings)), db_(std::move(db)) {}
  Result<> prepare();
  Result<> append_in_transaction(const std::vector<const ports::HistoryBatch*>& batches, Time now);
  Result<std::uint32_t> series_id(const std::string& name, bool make);
  Result<std::uint32_t> source_id(const std::string& name);
  Result<> note_source(std::uint32_t series, std::uint32_t source);
  Result<> note_label(std::uint32_t series, const std::string& label);
  static void add_use(Added& added, const FineUse& use, Time from, Time to);
  Result<> write_added(const Added& added);
  Result<> compact_hour(Time until);
  Result<> drop_old(Time now);
  Result<> add_fine(std::uint32_t series, const ports::HistoryQuery& query, Time from,
                    std::map<std::int64_t, Slot>& steps);
  Result<> add_slots(bool hours, std::uint32_t series, const ports::HistoryQuery& query, Time from,
                     Time until, std::map<std::int64_t, Slot>& steps);

  HistorySettings settings_;
  std::unique_ptr<Db> db_;
  std::unordered_map<std::string, std::uint32_t> series_;
  std::unordered_map<std::string, std::uint32_t> sources_;
  std::set<std::pair<std::uint32_t, std::uint32_t>> pairs_;  // series, source
  std::unordered_map<std::uint32_t, std::size_t> labels_;    // hashes of those on the disk
  Time compacted_{};  // fine rows that end up to here are in the buckets
  Time minutes_from_{};
};

}  // namespace chorok::sqlite
