#include "control/host_watch.h"

#include <fmt/format.h>

#include <algorithm>

namespace chorok::control {

namespace {

using Event = LoopEvent::Kind;
using model::HostPower;
using model::SnapshotHost;

std::string span(Duration duration) {
  return fmt::format("{:.0f} s", seconds(duration));
}

// One look, with what it changes.
class Look {
 public:
  Look(Index index, const SnapshotHost& about, const HostSeen& seen, Time now,
       const WatchSettings& settings, HostWatch& watch)
      : index_(index), about_(about), seen_(seen), now_(now), settings_(settings), watch_(watch) {}

  WatchStep run() {
    const bool heard = seen_.connected || seen_.answers;
    watch_.heard = std::max(watch_.heard, heard ? now_ : seen_.heard);
    switch (watch_.phase) {
      case HostPhase::kUnknown:
        first();
        break;
      case HostPhase::kUp:
        if (!seen_.connected) {
          enter(HostPhase::kSilent, now_ + settings_.silent_after);
          silent();
        }
        break;
      case HostPhase::kSilent:
        silent();
        break;
      case HostPhase::kFencing:
        fencing();
        break;
      case HostPhase::kFailed:
        failed();
        break;
      case HostPhase::kDown:
        if (seen_.connected)
          back(seen_.by_link ? "woke by its timer, or was switched on by somebody else"
                             : "was switched on by somebody else");
        break;
      case HostPhase::kWaking:
        waking();
        break;
      case HostPhase::kStopping:
        stopping();
        break;
    }
    return std::move(out_);
  }

 private:
  void enter(HostPhase phase, Time until = Time{}) {
    watch_.phase = phase;
    watch_.since = now_;
    watch_.until = until;
    watch_.tries = 0;
    watch_.told = false;
    if (phase == HostPhase::kUp) {
      watch_.off_by = model::HostOffBy::kNobody;
      watch_.off_user.clear();
    }
    if (until != Time{}) wait(until);
  }
  void wait(Time until) { out_.wake = std::min(out_.wake, until); }
  void event(Event kind, std::string text) {
    out_.events.push_back({.kind = kind, .host = index_, .text = std::move(text)});
  }
  void order(Command::Kind kind, std::string reason) {
    out_.command = Command{.kind = kind, .host = index_, .reason = std::move(reason)};
  }
  void rest(std::string why) {
    watch_.rest_until = now_ + settings_.rest;
    watch_.rest_why = std::move(why);
  }

  void first() {
    if (seen_.connected) return enter(HostPhase::kUp);
    if (seen_.bmc == BmcSays::kOff) return enter(HostPhase::kDown);
    // It may be running VMs from before this loop began.
    watch_.heard = now_;
    enter(HostPhase::kSilent, now_ + settings_.silent_after);
  }

  void back(std::string how) {
    event(Event::kHostBack, fmt::format("{} answers: it {}", about_.name, how));
    enter(HostPhase::kUp);
  }

  void silent() {
    if (seen_.connected) {
      if (watch_.told) event(Event::kHostBack, fmt::format("{} answers again", about_.name));
      return enter(HostPhase::kUp);
    }
    if (now_ < watch_.until) return wait(watch_.until);
    if (!watch_.told) {
      watch_.told = true;
      event(Event::kHostSilent, seen_.answers
                                    ? fmt::format("libvirt on {} has not answered for {}",
                                                  about_.name, span(now_ - watch_.since))
                                    : fmt::format("{} has not answered for {}", about_.name,
                                                  span(now_ - watch_.heard)));
    }
    if (seen_.answers) return;  // the host lives, and so may its VMs
    if (is_off()) return fail("its BMC says that it is off");
    if (!settings_.restart || !may_fence()) return;
    enter(HostPhase::kFencing, now_ + settings_.fence_again);
    watch_.tries = 1;
    fence();
    if (settings_.leases) wait(lease_end());
  }

  bool is_off() const { return seen_.bmc == BmcSays::kOff && seen_.bmc_proven; }

  // Whether it may be switched off now. Why not is said once.
  bool may_fence() {
    const Time due = std::max(std::max(watch_.since, watch_.heard) + settings_.fence_after,
                              settings_.fence_not_before);
    if (now_ < due) {
      wait(due);
      return false;
    }
    if (!settings_.leases && !seen_.bmc_proven)
      return hold("it has no BMC that has shown to be its own");
    if (!seen_.others_heard)
      return hold("most hosts are silent: it may be the manager that is cut off");
    return true;
  }
  bool hold(std::string_view why) {
    if (watch_.tries == 0)
      event(Event::kFenceFailed,
            fmt::format("whether VMs run on {} is not known, so they are not started elsewhere: {}",
                        about_.name, why));
    watch_.tries = 1;
    return false;
  }

  Time lease_end() const { return watch_.heard + settings_.lease; }

  void fence() {
    order(Command::Kind::kFence,
          fmt::format("{} does not answer, and its VMs are to start elsewhere", about_.name));
  }

  void fencing() {
    if (is_off() && !seen_.answers) return fail("it was switched off");
    if (seen_.connected || seen_.answers) {
      // It answers, so whatever was ordered has not happened, or not yet.
      if (now_ < watch_.until) return wait(watch_.until);
      return back("was not to be switched off by its BMC, and its VMs run");
    }
    if (settings_.leases && now_ >= lease_end())
      return fail("its agent's lease has ended, so it has stopped them");
    if (settings_.leases) wait(lease_end());
    const Time again = std::max(watch_.until, settings_.fence_not_before);
    if (now_ < again) return wait(again);
    if (watch_.tries == 1)
      event(Event::kFenceFailed,
            fmt::format("{} could not be switched off yet; without that, its VMs wait until {}",
                        about_.name,
                        settings_.leases ? "its lease has ended" : "its BMC says that it is off"));
    ++watch_.tries;
    watch_.until = now_ + fence_pace();
    wait(watch_.until);
    fence();
  }

  // Where a lease ends it by itself there is no need to hold back.
  Duration fence_pace() const {
    if (settings_.leases) return settings_.fence_again;
    const int doubled = std::min(watch_.tries - 1, 10);
    return std::min<Duration>(settings_.fence_again * (1 << doubled), settings_.fence_pace_max);
  }

  void fail(const std::string& evidence) {
    enter(HostPhase::kFailed);
    watch_.failed_at = now_;
    out_.lost_vms = true;
    event(Event::kHostFailed,
          fmt::format("{} has failed; its VMs do not run: {}", about_.name, evidence));
  }

  void failed() {
    // Also when it came and went between two looks: what it runs is not known any more.
    if (seen_.connected || watch_.heard > watch_.since) return back("is there again");
    if (seen_.bmc != BmcSays::kOff) return;
    const Time rested = watch_.failed_at + settings_.failure_window;
    if (now_ < rested) return wait(rested);
    enter(HostPhase::kDown);
  }

  void waking() {
    if (seen_.connected) {
      if (watch_.tries == 1) watch_.time_on = now_ - watch_.since;
      watch_.rest_why.clear();
      event(Event::kHostAwake, fmt::format("{} answers {} after it was switched on", about_.name,
                                           span(now_ - watch_.since)));
      return enter(HostPhase::kUp);
    }
    if (now_ < watch_.until) return wait(watch_.until);
    if (watch_.tries < settings_.tries) {
      ++watch_.tries;
      watch_.until = now_ + patience(about_.time_on);
      wait(watch_.until);
      order(Command::Kind::kPowerOn, fmt::format("{} does not answer yet; once more", about_.name));
      out_.command->again = true;
      return;
    }
    rest(fmt::format("did not come on when it was switched on {} times", watch_.tries));
    event(Event::kWakeFailed, fmt::format("{} {}; it is left alone for {}", about_.name,
                                          watch_.rest_why, span(settings_.rest)));
    enter(HostPhase::kDown);
  }

  // Where nobody else can say it, an agent that was told to and is gone for a while: one that only
  // dials again is back by then. If it was the network alone, a host without VMs draws power that
  // nobody counts, and answers again.
  bool is_asleep() {
    if (seen_.connected) return false;
    if (seen_.bmc == BmcSays::kOff) return true;
    if (!seen_.by_link || seen_.answers) return false;
    const Time quiet = std::max(watch_.heard, watch_.since) + settings_.silent_after;
    if (now_ < quiet) wait(quiet);
    return now_ >= quiet;
  }

  void stopping() {
    if (is_asleep()) {
      if (watch_.tries == 1) watch_.time_off = now_ - watch_.since;
      watch_.rest_why.clear();
      event(Event::kHostAsleep, fmt::format("{} is off", about_.name));
      return enter(HostPhase::kDown);
    }
    if (now_ < watch_.until) return wait(watch_.until);
    if (watch_.tries < settings_.tries) {
      ++watch_.tries;
      watch_.until = now_ + patience(about_.time_off);
      wait(watch_.until);
      order(Command::Kind::kPowerOff, fmt::format("{} is still there; once more", about_.name));
      out_.command->again = true;
      return;
    }
    rest(fmt::format("did not go off when it was switched off {} times", watch_.tries));
    event(Event::kStopFailed, fmt::format("{} {}; it is left alone for {}", about_.name,
                                          watch_.rest_why, span(settings_.rest)));
    enter(seen_.connected ? HostPhase::kUp : HostPhase::kDown);
  }

  Duration patience(Duration usual) const { return 2 * usual + settings_.margin; }

  Index index_;
  const SnapshotHost& about_;
  HostSeen seen_;
  Time now_;
  const WatchSettings& settings_;
  HostWatch& watch_;
  WatchStep out_;
};

}  // namespace

WatchStep look(Index index, const SnapshotHost& about, const HostSeen& seen, Time now,
               const WatchSettings& settings, HostWatch& watch) {
  return Look(index, about, seen, now, settings, watch).run();
}

std::optional<Command> switch_host(Index index, const SnapshotHost& about, bool on, Time now,
                                   const WatchSettings& settings, HostWatch& watch) {
  const HostPhase from = on ? HostPhase::kDown : HostPhase::kUp;
  if (watch.phase != from || now < watch.rest_until) return std::nullopt;
  watch.phase = on ? HostPhase::kWaking : HostPhase::kStopping;
  watch.since = now;
  watch.tries = 1;
  if (!on) {
    watch.off_by = model::HostOffBy::kNobody;  // whoever orders it says who
    watch.off_user.clear();
  }
  watch.until = now + 2 * (on ? about.time_on : about.time_off) + settings.margin;
  return Command{.kind = on ? Command::Kind::kPowerOn : Command::Kind::kPowerOff, .host = index};
}

void mark(const HostWatch& watch, Time now, const WatchSettings& settings, SnapshotHost& host) {
  using model::HostLink;
  switch (watch.phase) {
    case HostPhase::kUp:
      host.power = HostPower::kOn;
      host.link = HostLink::kConnected;
      break;
    case HostPhase::kSilent:
    case HostPhase::kFencing:
    case HostPhase::kFailed:
    case HostPhase::kUnknown:
      host.power = HostPower::kUnknown;
      host.link = HostLink::kLost;
      host.keep_off = fmt::format("has not answered for {}", span(now - watch.heard));
      break;
    case HostPhase::kDown:
      if (host.power != HostPower::kStandby) host.power = HostPower::kOff;
      if (watch.off_by == model::HostOffBy::kPerson)
        host.keep_off =
            fmt::format("{} has switched it off (chorok host power-on)", watch.off_user);
      break;
    case HostPhase::kWaking:
      host.power = HostPower::kWaking;
      break;
    case HostPhase::kStopping:
      host.power = HostPower::kUnknown;
      break;
  }
  if (now < watch.rest_until &&
      (watch.phase == HostPhase::kDown || watch.phase == HostPhase::kUp)) {
    std::string& keep = watch.phase == HostPhase::kDown ? host.keep_off : host.keep_on;
    if (keep.empty()) keep = watch.rest_why;
  }
  if (failed_lately(watch, now, settings)) host.recent_failures = std::max(host.recent_failures, 1);
}

bool failed_lately(const HostWatch& watch, Time now, const WatchSettings& settings) {
  return watch.failed_at != Time{} && now - watch.failed_at < settings.failure_window;
}

bool is_asleep(const HostWatch& watch) {
  if (watch.off_by == model::HostOffBy::kNobody || !watch.rest_why.empty()) return false;
  if (watch.phase == HostPhase::kDown || watch.phase == HostPhase::kStopping) return true;
  return watch.phase == HostPhase::kWaking && watch.tries == 1;
}

}  // namespace chorok::control
