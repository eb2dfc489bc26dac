#include "manager/link_speed.h"

#include <algorithm>
#include <chrono>

namespace chorok::manager {

namespace {

constexpr double kLeastMib = 256;    // below it what a migration takes at any speed counts too much
constexpr double kLimitShare = 0.9;  // from this part of its limit on it was the limit that held it
constexpr Duration kOldest = std::chrono::days(30);

}  // namespace

void LinkSpeed::see(const model::MigrationStats& migration, Time now) {
  const double copied = static_cast<double>(migration.transferred.value) / (1 << 20);
  const double time = std::chrono::duration<double>(migration.total).count();
  if (migration.kind != "live" || copied < kLeastMib || time <= 0) return;
  if (now - migration.finished > kOldest) return;
  const double speed = copied / time;
  const auto limit = static_cast<double>(migration.limit_mib_s);
  if (limit > 0 && speed > kLimitShare * limit) return;
  seen_[migration.from].push_back(speed);
  seen_[migration.to].push_back(speed);
}

double LinkSpeed::of(std::string_view host_name) {
  const auto found = seen_.find(host_name);
  if (found == seen_.end()) return 0;
  std::vector<double>& speeds = found->second;
  const auto middle = speeds.begin() + static_cast<std::ptrdiff_t>(speeds.size() / 2);
  std::ranges::nth_element(speeds, middle);
  return *middle;
}

}  // namespace chorok::manager
