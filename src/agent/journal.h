// What an agent must not forget when it is killed: the highest leader term it has accepted, and the
// operations it began until the manager has their results. All else is read back from libvirt.
//
// An append-only file, one record a line with a checksum of its own. A begin (and a higher term) is
// on the disk before the world is touched; a result only needs to survive the agent, not the
// machine: after a crash of the machine an operation without a result is `unknown`, which is true.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/protocol.h"

namespace chorok::agent {

// Where the journal's bytes are.
class JournalMedium {
 public:
  virtual ~JournalMedium() = default;
  virtual Result<std::string> read() = 0;
  // All or nothing. With `durable` it survives the machine, without only the process.
  virtual Result<> append(std::string_view bytes, bool durable) = 0;
  // In one step: a reader sees the old content or the new.
  virtual Result<> replace(std::string_view content) = 0;
};

// One file. Refuses to open what another agent has open (kConflict): two agents on one host would
// each believe they alone act on it.
Result<std::unique_ptr<JournalMedium>> open_journal_file(const std::string& path);

// For tests and the simulator: outlives the agent as a disk does.
class MemoryMedium final : public JournalMedium {
 public:
  Result<std::string> read() override { return content; }
  Result<> append(std::string_view bytes, bool durable) override;
  Result<> replace(std::string_view bytes) override;

  std::string content;
  bool full = false;  // every write fails with kExhausted
};

struct JournalSettings {
  std::size_t compact_bytes = 256 * 1024;  // a journal at rest stays below it
  std::size_t open_max = 256;              // operations begun and not acknowledged
  // Acknowledged operations whose results are still known, for a leader that asks again after it
  // lost its own answer.
  std::size_t remembered_max = 64;
};

// Lives on the loop's thread. The medium outlives it.
class Journal {
 public:
  struct Entry {
    model::Operation operation;
    std::optional<model::OpDone> done;
    bool acknowledged = false;
  };
  using Entries = std::map<std::string, Entry>;

  // Skips lines whose checksum is wrong: a torn tail after a crash.
  static Result<std::unique_ptr<Journal>> open(JournalMedium& medium,
                                               JournalSettings settings = {});

  std::uint64_t term() const { return term_; }
  // Durable on return. kConflict when a higher one was accepted.
  Result<> accept_term(std::uint64_t term);
  // Durable on return. kExhausted when the disk is full or too many are open; nothing may be done
  // then.
  Result<> begin(const model::Operation& operation);
  // Keeps the result in memory even when it cannot be written.
  void finish(model::OpDone done);
  void acknowledge(const std::string& id);
  // On return all of it survives the machine, too: its power is about to go.
  Result<> sync() { return medium_.append({}, true); }

  const Entry* find(const std::string& id) const;
  const Entries& entries() const { return entries_; }
  std::size_t damaged_lines() const { return damaged_lines_; }

 private:
  Journal(JournalMedium& medium, JournalSettings settings) : medium_(medium), settings_(settings) {}
  void replay(std::string_view content);
  bool replay_line(std::string_view line);
  void mark_acknowledged(const std::string& id);
  void compact_when_large();
  Result<> append(std::string line, bool durable);

  JournalMedium& medium_;
  JournalSettings settings_;
  std::uint64_t term_ = 0;
  Entries entries_;
  std::deque<std::string> acknowledged_;  // oldest first
  std::size_t open_ = 0;
  std::size_t bytes_ = 0;
  std::size_t bytes_after_compaction_ = 0;
  std::size_t damaged_lines_ = 0;
};

}  // namespace chorok::agent
