// A child process whose output is read as it comes. No shell, no inherited descriptors, killed with
// its process group when its time is over or when it is told to stop. Secrets go to its standard
// input: arguments and environment can be seen from outside.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

namespace chorok::adapters::work {

// Set from any thread to end children that run now and refuse new ones.
class StopFlag {
 public:
  StopFlag();
  ~StopFlag();
  StopFlag(const StopFlag&) = delete;
  StopFlag& operator=(const StopFlag&) = delete;
  void set();
  bool is_set() const { return set_; }
  int descriptor() const { return event_; }  // readable once set

 private:
  std::atomic<bool> set_ = false;
  int event_ = -1;
};

struct ProcessLimits {
  Duration silence{};                  // killed after so long without a byte of output
  Duration total{};                    // killed after so long in any case; 0: no such bound
  std::size_t max_output = 256 << 10;  // of each stream; more is dropped
};

struct ProcessResult {
  int exit_code = 0;
  std::string output;
  std::string errors;
};

// Blocks until the child has ended. kTimeout: killed because its time was over; kCancelled:
// stopped; kUnavailable: could not be started. `on_output` sees stdout as it comes; `input` is what
// the child reads, from memory that no other process can open.
Result<ProcessResult> run_process(const std::vector<std::string>& arguments,
                                  const ProcessLimits& limits, const StopFlag& stop,
                                  const std::function<void(std::string_view)>& on_output = {},
                                  std::string_view input = {});

}  // namespace chorok::adapters::work
