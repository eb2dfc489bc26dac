// Every round of the clusters' loops as files, for whoever wants to see later what was decided, and
// whether the same snapshot is answered in the same way: TIME.snapshot.json is what was seen,
// TIME.plan.json what was answered, TIME in milliseconds since the epoch. `chorok plan all -f` on
// the one gives the other.
#pragma once

#include <deque>
#include <filesystem>

#include "manager/cluster_driver.h"

namespace chorok::manager {

class RoundFolder {
 public:
  // Of more rounds than `most` the oldest are removed.
  explicit RoundFolder(std::filesystem::path folder, std::size_t most = 10'000)
      : folder_(std::move(folder)), most_(most) {}

  // Writes on the calling thread. What cannot be written is logged, and the round goes on.
  void keep(const PlanRecord& record);

 private:
  bool write(const std::string& name, const std::string& text);

  std::filesystem::path folder_;
  std::size_t most_;
  std::deque<std::string> kept_;
  Log log_{"rounds"};
};

}  // namespace chorok::manager
