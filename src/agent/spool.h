// Samples that the manager has not taken yet, oldest first. While it takes them at once nothing is
// written to disk; what waits longer is, so that it outlives the agent (not the machine: a crash
// loses what was never sent, one that goes to standby does not). Bounded: when it is full, two old
// samples become one. Counters only grow, so that costs resolution and no consumption.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "agent/journal.h"
#include "base/log.h"
#include "model/telemetry.h"

namespace chorok::agent {

struct SpoolSettings {
  std::size_t samples_max = 720;        // two hours at one in ten seconds
  std::size_t bytes_max = 4 << 20;      // as JSON, in memory and on disk
  std::size_t message_max = 200 << 10;  // of samples in one message; messages end at 256 KiB
};

// `later` with what only `earlier` knows: VMs that ended between them.
model::HostSample merge_samples(const model::HostSample& earlier, model::HostSample later);

// Lives on the loop's thread.
class Spool {
 public:
  // `medium` may be null: then all is lost with the agent.
  explicit Spool(JournalMedium* medium, SpoolSettings settings = {});

  void add(const model::HostSample& sample);
  // On return what waits survives the machine, too. kExhausted: the disk is full.
  Result<> keep();
  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }

  // The oldest as a JSON array, and up to where.
  struct Batch {
    std::string samples;
    std::string boot_id;
    std::uint64_t sequence = 0;  // of the last
  };
  Batch batch() const;
  // The manager has these.
  void acknowledge(const Batch& batch);

 private:
  struct Waiting {
    std::string boot_id;
    std::uint64_t sequence = 0;
    std::string json;
  };
  void load();
  void push(const model::HostSample& sample);
  void thin();
  void write_new();
  void rewrite();
  void written(const Result<>& result);

  JournalMedium* medium_;
  SpoolSettings settings_;
  Log log_{"telemetry"};
  std::deque<Waiting> waiting_;
  std::size_t bytes_ = 0;
  std::size_t unwritten_ = 0;  // at the end of waiting_
  bool on_disk_ = false;
  bool disk_failed_ = false;
};

}  // namespace chorok::agent
