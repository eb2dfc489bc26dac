#include "manager/round_folder.h"

#include <fmt/format.h>

#include <fstream>

#include "base/json.h"
#include "model/snapshot_text.h"
#include "policy/named_plan.h"

namespace chorok::manager {

bool RoundFolder::write(const std::string& name, const std::string& text) {
  std::ofstream file(folder_ / name, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file.good()) return true;
  log_.warn("a round was not recorded: {} cannot be written", (folder_ / name).string());
  return false;
}

void RoundFolder::keep(const PlanRecord& record) {
  const std::string name =
      std::to_string(record.at.time_since_epoch() / std::chrono::milliseconds(1));
  Result<std::string> snapshot = model::write_snapshot(*record.snapshot);
  if (!snapshot) return log_.warn("a round was not recorded: {}", snapshot.error().message);
  if (!write(name + ".snapshot.json", *snapshot)) return;
  if (!write(name + ".plan.json", json::encode(policy::named(*record.plan, *record.snapshot))))
    return;
  kept_.push_back(name);
  if (kept_.size() <= most_) return;
  std::error_code gone;  // somebody was quicker
  for (const char* kind : {".snapshot.json", ".plan.json"})
    std::filesystem::remove(folder_ / (kept_.front() + kind), gone);
  kept_.pop_front();
}

}  // namespace chorok::manager
