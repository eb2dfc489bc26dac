// For tests: what is on the disk, and outlives managers. Sums only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ports/history.h"

namespace chorok::manager {

class MemoryHistory final : public ports::History {
 public:
  explicit MemoryHistory(Loop& loop) : loop_(loop) {}

  void append(std::vector<ports::HistoryBatch> batches, Done<Result<>> done) override {
    Result<> answer;
    if (full) answer = fail(Code::kExhausted, "no space left");
    // The disk has it a moment before anybody is told; a manager may die in between.
    if (answer)
      for (ports::HistoryBatch& each : batches) {
        for (const ports::HistoryUse& use : each.uses) {
          for (std::size_t i = 0; i < ports::kMeasures; ++i)
            sums[use.series].values[i] += use.amounts.values[i];
          times[use.series] += each.to - each.from;
        }
        if (!each.cursor.empty()) kept[each.source] = std::move(each.cursor);
      }
    loop_.after(std::chrono::milliseconds(200),
                [done = std::move(done), answer]() mutable { done(std::move(answer)); });
  }
  void range(ports::HistoryQuery, Done<Result<std::vector<ports::HistoryPoint>>> done) override {
    done({});
  }
  void totals(std::string, Time, Time,
              Done<Result<std::map<std::string, ports::HistoryPoint>>> done) override {
    done({});
  }
  void cursors(Done<Result<std::map<std::string, std::string>>> done) override {
    loop_.post([this, done = std::move(done)]() mutable { done(kept); });
  }
  double sum(const std::string& series, auto measure) { return sums[series][measure]; }

  bool full = false;
  std::map<std::string, std::string> kept;
  std::map<std::string, ports::HistoryAmounts> sums;
  std::map<std::string, Duration> times;

 private:
  Loop& loop_;
};

}  // namespace chorok::manager
