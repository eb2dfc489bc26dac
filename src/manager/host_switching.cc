#include "manager/host_switching.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace chorok::manager {

namespace {

using control::Command;
using model::HostPhase;
using model::PowerAction;

// The first time in order, then as if the plug were pulled. A host without VMs loses nothing.
PowerAction action_of(const Command& command, const model::BmcSpec& bmc) {
  switch (command.kind) {
    case Command::Kind::kFence:
      return PowerAction::kOff;
    case Command::Kind::kPowerOff:
      // Where nothing can pull it, its agent is asked once more.
      return command.again && model::has_witness(bmc) ? PowerAction::kOff : PowerAction::kShutdown;
    default:
      return command.again ? PowerAction::kCycle : PowerAction::kOn;
  }
}

// Its agent puts it to standby, and prepares for that by itself.
bool goes_by_agent(const model::BmcSpec& bmc, PowerAction action) {
  return model::sleeps_by_agent(bmc) && action == PowerAction::kShutdown;
}

// Whether the agent's answer stands against it. Guests always do; what cannot be kept for want of
// room on its disk does once.
bool holds_back(Code code, bool again) {
  switch (code) {
    case Code::kTimeout:
    case Code::kUnavailable:
    case Code::kUnknown:
    case Code::kUnsupported:
      return false;
    case Code::kExhausted:
      return !again;
    default:
      return true;
  }
}

}  // namespace

void tell_of_host(Engine& engine, const model::Host& host, std::string kind, std::string message,
                  model::Severity severity) {
  model::Event event;
  event.time = engine.now();
  event.kind = std::move(kind);
  event.severity = severity;
  event.subject_kind = "host";
  event.subject = host.meta.id;
  event.subject_name = host.meta.name;
  event.user = "chorok";
  event.message = std::move(message);
  Changes changes;
  engine.add_event(changes, std::move(event));
  engine.commit(std::move(changes), [](Result<>) {});
}

ports::PowerOrder HostSwitching::new_order() {
  return {.operation = parts_.engine.new_id("op"),
          .term = static_cast<std::int64_t>(parts_.engine.term())};
}

void HostSwitching::carry_out(const Command& command, const std::string& host) {
  const auto record = find(host);
  if (record == nullptr) return;
  // Nobody could say that it is off then, so that nothing would be won and VMs might be lost.
  if (command.kind == Command::Kind::kFence && !model::has_witness(record->bmc)) return;
  const PowerAction action = action_of(command, record->bmc);
  if (!is_prepared_first(command, action, *record)) return act(*record, action);
  // Where it is asked already, what was ordered last is what follows.
  const bool is_asked = preparing_.contains(host);
  Order& order = preparing_[host];
  order.action = action;
  order.again = command.again;
  if (!is_asked) prepare(*record);
}

bool HostSwitching::is_prepared_first(const Command& command, PowerAction action,
                                      const model::Host& host) const {
  if (command.kind != Command::Kind::kPowerOff || goes_by_agent(host.bmc, action) ||
      !parts_.agents.prepare)
    return false;
  if (parts_.agents.is_connected(host.meta.id)) return true;
  // Before the second try its system has often ended it in order.
  log_.info("host {} is switched off: its agent is not connected and cannot prepare for it",
            host.meta.name);
  return false;
}

void HostSwitching::prepare(const model::Host& host) {
  // Until it is given up, and no longer than that where nobody says so.
  const Duration left = std::max(host.watch.until - parts_.engine.now(), Duration{});
  const std::uint64_t ask = ++asks_;
  const auto answered = [this, alive = alive_, id = host.meta.id, ask](const Result<>& answer) {
    if (*alive) prepared(id, ask, answer);
  };
  Order& order = preparing_[host.meta.id];
  order.ask = ask;
  // A connection that ends may take the answer with it.
  order.deadline = parts_.engine.loop().after(parts_.limit, [answered, limit = parts_.limit] {
    answered(fail(Code::kTimeout, fmt::format("no answer in {:.0f} s", seconds(limit))));
  });
  parts_.agents.prepare(host.meta.id, {.hold = left + parts_.limit}, parts_.limit, answered);
}

void HostSwitching::prepared(const std::string& host, std::uint64_t ask, const Result<>& answer) {
  const auto found = preparing_.find(host);
  if (found == preparing_.end() || found->second.ask != ask) return;
  const Order order = found->second;
  preparing_.erase(found);
  parts_.engine.loop().cancel(order.deadline);
  const auto record = find(host);
  if (record == nullptr) return;
  if (record->watch.phase != HostPhase::kStopping) {
    if (record->watch.phase == HostPhase::kUp) give_up(host);
    return;
  }
  if (!answer && holds_back(answer.error().code, order.again))
    return tell_of_host(
        parts_.engine, *record, "host.standby_refused",
        fmt::format("its agent was asked whether its power may go: {}", answer.error().message));
  if (!answer)
    tell_of_host(parts_.engine, *record, "host.not_prepared",
                 fmt::format("its power goes although its agent has not prepared for it: {}",
                             answer.error().message));
  act(*record, order.action);
}

void HostSwitching::give_up(const std::string& host) {
  if (!parts_.agents.prepare || !parts_.agents.is_connected(host)) return;
  parts_.agents.prepare(host, {}, parts_.limit, [](const Result<>&) {});
}

void HostSwitching::act(const model::Host& host, PowerAction action) {
  ports::PowerSwitch* power = parts_.switches.find(host);
  if (power == nullptr) {
    log_.warn("host {} is to be switched and has no BMC any more", host.meta.name);
    return;
  }
  const bool may_pull = !model::sleeps_by_agent(host.bmc);
  power->act(action, new_order(),
             [this, alive = alive_, id = host.meta.id, action, power, may_pull](Result<> result) {
               if (!*alive) return;
               const bool cannot_ask = !result && result.error().code == Code::kUnsupported &&
                                       action == PowerAction::kShutdown && may_pull;
               if (!cannot_ask) return acted(id, action, result);
               // No way to ask its system.
               power->off(new_order(), [this, alive, id](const Result<>& off) {
                 if (*alive) acted(id, PowerAction::kOff, off);
               });
             });
}

void HostSwitching::acted(const std::string& host, PowerAction action, const Result<>& result) {
  parts_.acted(host);
  const auto record = find(host);
  if (result || record == nullptr) return;
  const bool by_agent = model::sleeps_by_agent(record->bmc);
  // That packets were sent is all that can be known of them: the watch says whether it has come.
  if (by_agent && result.error().code == Code::kUnknown) return;
  const bool asked_agent = goes_by_agent(record->bmc, action);
  tell_of_host(parts_.engine, *record, asked_agent ? "host.standby_refused" : "host.bmc_failed",
               fmt::format("its {} was told '{}': {}",
                           asked_agent ? "agent"
                           : by_agent  ? "power switch"
                                       : "BMC",
                           asked_agent ? name_of(record->bmc.standby) : name_of(action),
                           result.error().message));
}

}  // namespace chorok::manager
