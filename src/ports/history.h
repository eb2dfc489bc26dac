// Series of what was used, append-only, in buckets that are coarser the older they are and bounded
// in all. Not the store: losing it loses the past, not the cluster.
//
// Amounts are integrals over time (MHz seconds, MiB seconds, bytes, joules), so that a total is
// right at any resolution, and a mean is a total by the time it was measured over.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"

namespace chorok::ports {

enum class Measure : std::uint8_t {
  kCpu,       // MHz s
  kReady,     // MHz s wanted and not got
  kMemory,    // MiB s
  kActive,    // MiB s
  kConsumed,  // MiB s
  kDisk,      // bytes
  kNet,       // bytes
  kEnergy,    // J
};
inline constexpr std::size_t kMeasures = 8;

// What the amounts of "energy/…" series are: joules, all.
enum class EnergyMeasure : std::uint8_t {
  kTotal,
  kIdle,       // of it, what the host draws without load
  kUnused,     // of it, what no VM used
  kMeasured,   // of it, by an instrument
  kEstimated,  // of it, where nothing was known: a gap between readings
  kError,      // the band around it
  kStandby,    // of it, drawn by hosts that were off
  kSaved,      // less than the same host idling; not a part of the total, and may be negative
};

struct HistoryAmounts {
  std::array<double, kMeasures> values{};
  double& operator[](EnergyMeasure m) { return values[static_cast<std::size_t>(m)]; }
  double operator[](EnergyMeasure m) const { return values[static_cast<std::size_t>(m)]; }
  double& operator[](Measure m) { return values[static_cast<std::size_t>(m)]; }
  double operator[](Measure m) const { return values[static_cast<std::size_t>(m)]; }
};

// What a series used from `from` to `to`: spread evenly over that time.
struct HistoryUse {
  std::string series;  // "vm/UUID", "host/ID", "energy/host/ID"; at most 128 bytes
  HistoryAmounts amounts;
  // What people call it by then, for when it is gone; at most 256 bytes. Empty: as before.
  std::string label{};
};
// One interval of one source.
struct HistoryBatch {
  std::string source;
  Time from{};
  Time to{};
  std::vector<HistoryUse> uses;
  std::string cursor;  // of the source after this, kept with it; empty: the one before stays
};

struct HistoryPoint {
  Time at{};            // where the step begins
  Duration measured{};  // within the step
  double cpu_peak = 0;  // MHz of the highest interval in it
  HistoryAmounts amounts;
  std::string label{};  // of totals only: the last that was given
};
struct HistoryQuery {
  std::string series;
  Time from{};
  Time to{};
  Duration step{};  // at least a second, at most 10,000 of them
};

class History {
 public:
  virtual ~History() = default;

  // All or nothing; done when it survives the process. Errors (kExhausted: the disk is full) mean
  // that nothing was kept; append it again.
  virtual void append(std::vector<HistoryBatch> batches, Done<Result<>> done) = 0;
  // Steps in which something was measured, oldest first. Where only coarser buckets are left, a
  // point stands where its bucket begins.
  virtual void range(HistoryQuery query, Done<Result<std::vector<HistoryPoint>>> done) = 0;
  // Of all series whose names begin so, what they used in all of [from, to): one point each.
  virtual void totals(std::string prefix, Time from, Time to,
                      Done<Result<std::map<std::string, HistoryPoint>>> done) = 0;
  // The newest cursor of each source.
  virtual void cursors(Done<Result<std::map<std::string, std::string>>> done) = 0;
};

}  // namespace chorok::ports
