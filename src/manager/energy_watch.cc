#include "manager/energy_watch.h"

#include <algorithm>

namespace chorok::manager {
namespace {

constexpr std::int32_t kDoublingsMax = 10;

}  // namespace

EnergyWatch::EnergyWatch(Loop& loop, const Engine& engine, EnergyAccounts& accounts,
                         PowerMeters* meters, Take take, EnergyWatchSettings settings)
    : loop_(loop),
      engine_(engine),
      accounts_(accounts),
      meters_(meters),
      take_(std::move(take)),
      settings_(settings) {
  timer_ = loop_.after(settings_.every, [this] { tick(); });
}

EnergyWatch::~EnergyWatch() {
  *alive_ = false;
  loop_.cancel(timer_);
}

std::string EnergyWatch::problem(const std::string& host) const {
  auto it = watched_.find(host);
  return it == watched_.end() ? std::string() : it->second.problem;
}

void EnergyWatch::tick() {
  timer_ = loop_.after(settings_.every, [this] { tick(); });
  const auto& hosts = engine_.inventory().hosts();
  std::erase_if(watched_, [&](const auto& entry) { return hosts.find(entry.first) == nullptr; });
  if (meters_ != nullptr) {
    const auto least = from_seconds(static_cast<double>(watched_.size()) / settings_.reads_max);
    for (const auto& [id, host] : hosts.all())
      if (!host->bmc.driver.empty()) ask(*host, std::max(settings_.every, least));
  }
  if (auto accounts = accounts_.absent(); !accounts.empty()) take_(accounts);
}

void EnergyWatch::ask(const model::Host& host, Duration every) {
  // Half an interval of slack: ticks are not to be missed by a moment.
  const Time now = loop_.now();
  Meter& watched = watched_[host.meta.id];
  if (watched.asking || now + settings_.every / 2 < watched.next) return;
  ports::PowerMeter* meter = meters_->find(host);
  if (meter == nullptr) {
    watched_.erase(host.meta.id);
    return;
  }
  watched.asking = true;
  watched.next = now + every;
  meter->read([this, alive = alive_, id = host.meta.id, every](Result<model::PowerReading> said) {
    if (*alive) answered(id, every, said);
  });
}

void EnergyWatch::answered(const std::string& id, Duration every,
                           const Result<model::PowerReading>& said) {
  auto it = watched_.find(id);
  if (it == watched_.end()) return;
  Meter& watched = it->second;
  watched.asking = false;
  if (said) {
    if (!watched.problem.empty()) log_.info("host {}: its meter is read again", id);
    watched.problem.clear();
    watched.failures = 0;
    return accounts_.read(id, *said);
  }
  // One that only stumbled is asked again at once.
  if (watched.problem.empty()) log_.warn("host {}: its meter: {}", id, said.error().message);
  watched.problem = said.error().message;
  const std::int32_t doublings = std::min(watched.failures++, kDoublingsMax);
  watched.next = loop_.now() + std::min<Duration>(settings_.backoff_max, every * (1 << doublings));
}

}  // namespace chorok::manager
