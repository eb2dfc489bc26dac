#include "control/alarms.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace chorok::control {

namespace {

using model::AlarmSeverity;
using model::HostLink;
using model::HostPhase;
using model::HostPower;

// Agents renew with a third of the life left: long before either.
constexpr Duration kCertificateSoon = std::chrono::days(14);
constexpr Duration kCertificateNow = std::chrono::days(3);
constexpr Duration kCaSoon = std::chrono::days(90);
constexpr Duration kCaNow = std::chrono::days(14);
constexpr double kFull = 0.90, kVeryFull = 0.95, kRoomAgain = 0.88;
constexpr std::int64_t kFailuresMany = 5;  // of a webhook, over half a minute
constexpr std::size_t kNamesMax = 8;

std::string days_left(Duration left) {
  if (left < Duration{}) return "has ended";
  return fmt::format("ends in {:.1f} days", seconds(left) / 86400);
}

class Looking {
 public:
  explicit Looking(const AlarmView& view) : view_(view) {}

  std::vector<Condition> run() {
    for (const model::Host* host : view_.hosts) look_at(*host);
    for (const model::Datastore* store : view_.datastores) look_at(*store);
    for (const model::Webhook* hook : view_.webhooks)
      if (hook->enabled && hook->failures >= kFailuresMany)
        say("webhook.failing", "webhook", hook->meta,
            fmt::format("{} deliveries in a row have failed: {}", hook->failures, hook->failure));
    for (const Shortage& each : view_.shortages)
      out_.push_back(
          {each.kind, AlarmSeverity::kWarning, "cluster", each.cluster, each.name, each.text});
    look_at_ca();
    return std::move(out_);
  }

 private:
  void say(std::string_view kind, std::string_view subject_kind, const model::Meta& subject,
           std::string text, AlarmSeverity severity = AlarmSeverity::kInfo) {
    out_.push_back({kind, std::max(severity, find_alarm_kind(kind)->severity),
                    std::string(subject_kind), subject.id, subject.name, std::move(text)});
  }

  void look_at(const model::Host& host) {
    const model::HostWatch& watch = host.watch;
    const bool is_failed = watch.phase == HostPhase::kFailed;
    if (is_failed)
      say("host.failed", "host", host.meta, "it does not answer, and its VMs do not run there");
    if (host.link == HostLink::kLost && !is_failed && is_to_be_on(host))
      say("host.lost", "host", host.meta, "its agent is not connected");
    if (watch.phase == HostPhase::kWaking && watch.tries > 1)
      say("host.wake_late", "host", host.meta, "it was switched on twice and does not answer yet");
    if (watch.test.standing == model::WakeStanding::kFailed &&
        host.dpm != model::HostDpm::kExcluded)
      say("host.wake_test_failed", "host", host.meta, "its wake test failed: " + watch.test.why);
    if (watch.phase == HostPhase::kStopping && watch.tries > 1)
      say("host.stop_late", "host", host.meta, "it was switched off twice and is still there");
    if (host.link == HostLink::kConnected && !host.libvirt_message.empty())
      say("host.libvirt", "host", host.meta, "libvirt: " + host.libvirt_message);
    if (host.certificate_expires == Time{}) return;
    const Duration left = host.certificate_expires - view_.now;
    if (left < kCertificateSoon)
      say("host.certificate", "host", host.meta, "its certificate " + days_left(left),
          left < kCertificateNow ? AlarmSeverity::kCritical : AlarmSeverity::kWarning);
  }

  // One that sleeps, or is on its way, is not missed.
  static bool is_to_be_on(const model::Host& host) {
    if (host.power == HostPower::kOff || host.power == HostPower::kStandby ||
        host.power == HostPower::kWaking)
      return false;
    return host.watch.phase != HostPhase::kDown && host.watch.phase != HostPhase::kStopping &&
           host.watch.phase != HostPhase::kWaking;
  }

  void look_at(const model::Datastore& store) {
    std::vector<std::string> unreached;
    std::size_t reached = 0;
    double used_most = 0;
    std::string where;
    for (const model::Host* host : view_.hosts) {
      if (host->link != HostLink::kConnected) continue;
      const auto reach =
          std::ranges::find(host->datastores, store.meta.id, &model::DatastoreReach::datastore);
      if (reach == host->datastores.end()) continue;
      if (!reach->reachable) {
        unreached.push_back(host->meta.name);
        continue;
      }
      ++reached;
      if (reach->capacity.value <= 0) continue;
      const double used =
          1 - (static_cast<double>(reach->free.value) / static_cast<double>(reach->capacity.value));
      if (used < used_most) continue;
      used_most = used;
      where = host->meta.name;
    }
    // What is not shared is on some hosts and not on others, and may be so.
    if (!unreached.empty() && (store.shared || reached == 0)) {
      const std::size_t more = unreached.size() - std::min(unreached.size(), kNamesMax);
      unreached.resize(std::min(unreached.size(), kNamesMax));
      say("datastore.unreachable", "datastore", store.meta,
          fmt::format("not reached by {}{}", fmt::join(unreached, ", "),
                      more == 0 ? "" : fmt::format(" and {} more", more)));
    }
    const bool was_full = view_.is_up && view_.is_up("datastore.full", store.meta.id);
    if (used_most < (was_full ? kRoomAgain : kFull)) return;
    say("datastore.full", "datastore", store.meta,
        fmt::format("{:.0f} % used{}", used_most * 100, store.shared ? "" : ", on " + where),
        used_most >= kVeryFull ? AlarmSeverity::kCritical : AlarmSeverity::kWarning);
  }

  void look_at_ca() {
    if (view_.ca_expires == Time{}) return;
    const Duration left = view_.ca_expires - view_.now;
    if (left >= kCaSoon) return;
    out_.push_back({"manager.ca",
                    left < kCaNow ? AlarmSeverity::kCritical : AlarmSeverity::kWarning, "manager",
                    "manager", "manager", "the CA's certificate " + days_left(left)});
  }

  const AlarmView& view_;
  std::vector<Condition> out_;
};

}  // namespace

std::vector<Condition> conditions(const AlarmView& view) {
  return Looking(view).run();
}

}  // namespace chorok::control
