#include "manager/agent_switch.h"

#include <fmt/format.h>

#include <utility>

namespace chorok::manager {

using model::ChassisPower;
using model::PowerAction;

namespace {

constexpr const char* kNoWitness =
    "only its agent's link says whether it is there, so that it cannot be fenced, and HA restarts "
    "nothing of it when it falls silent";

template <class T>
void post(Loop& loop, const std::shared_ptr<bool>& alive, Done<T> done, T answer) {
  loop.post([alive, done = std::move(done), answer = std::move(answer)]() mutable {
    if (*alive) done(std::move(answer));
  });
}

}  // namespace

AgentSwitch::AgentSwitch(Parts parts, AgentSwitchSettings settings)
    : parts_(std::move(parts)),
      settings_(settings),
      orders_(parts_.loop, [this](PowerAction action, Done<Result<>> done) {
        perform(action, std::move(done));
      }) {}

AgentSwitch::~AgentSwitch() {
  *alive_ = false;
  parts_.loop.cancel(timer_);
}

bool AgentSwitch::is_connected() const {
  return parts_.reach.is_connected && parts_.reach.is_connected(parts_.host);
}

std::uint64_t AgentSwitch::connections() const {
  return parts_.reach.connections ? parts_.reach.connections(parts_.host) : 0;
}

void AgentSwitch::capabilities(Done<Result<model::PowerCapabilities>> done) {
  if (parts_.bmc != nullptr) return parts_.bmc->capabilities(std::move(done));
  model::PowerCapabilities can{.on = true,
                               .shutdown = true,
                               .driver = std::string(model::kWakeOnLan),
                               .warnings = {kNoWitness}};
  post<Result<model::PowerCapabilities>>(parts_.loop, alive_, std::move(done), std::move(can));
}

void AgentSwitch::status(Done<Result<ChassisPower>> done) {
  if (parts_.bmc != nullptr) return parts_.bmc->status(std::move(done));
  post<Result<ChassisPower>>(parts_.loop, alive_, std::move(done), ChassisPower::kUnknown);
}

void AgentSwitch::act(PowerAction action, ports::PowerOrder order, Done<Result<>> done) {
  // Packets go on for minutes, and actions wait for each other.
  if (waking_ && order.term >= order_.term && order.operation != order_.operation)
    end_wake(fail(Code::kUnknown, "magic packets were sent, and its agent has not come"));
  if (order.term >= order_.term) order_ = order;
  orders_.submit(action, std::move(order), std::move(done));
}

void AgentSwitch::perform(PowerAction action, Done<Result<>> done) {
  switch (action) {
    case PowerAction::kShutdown:
      return put_to_standby(std::move(done));
    case PowerAction::kOn:
      break;
    case PowerAction::kCycle:
      // What cannot be cut can only be woken.
      if (parts_.bmc == nullptr) break;
      return pass_on(action, std::move(done));
    case PowerAction::kOff:
      if (parts_.bmc != nullptr) return pass_on(action, std::move(done));
      return post<Result<>>(
          parts_.loop, alive_, std::move(done),
          fail(Code::kUnsupported, "nothing but its own agent can switch this host off"));
  }
  if (!parts_.wake) return pass_on(PowerAction::kOn, std::move(done));
  wake_up(std::move(done));
}

// Under an id of its own: what was repeated has been answered here already.
void AgentSwitch::pass_on(PowerAction action, Done<Result<>> done) {
  parts_.bmc->act(
      action,
      {.operation = fmt::format("{}/{}", order_.operation, ++passed_on_), .term = order_.term},
      std::move(done));
}

void AgentSwitch::put_to_standby(Done<Result<>> done) {
  if (!parts_.reach.put_to_standby)
    return post<Result<>>(parts_.loop, alive_, std::move(done),
                          fail(Code::kUnavailable, "no agent can be reached"));
  const model::StandbyRequest request{.how = parts_.spec.standby,
                                      .wake_after = parts_.spec.wake_after};
  parts_.reach.put_to_standby(parts_.host, request,
                              [alive = alive_, done = std::move(done)](Result<> answer) mutable {
                                if (!*alive) return;
                                // It may have been heard, and the answer lost.
                                if (!answer && answer.error().code == Code::kTimeout)
                                  answer = fail(Code::kUnknown, answer.error().message);
                                done(std::move(answer));
                              });
}

void AgentSwitch::wake_up(Done<Result<>> done) {
  waking_ = std::move(done);
  wake_until_ = parts_.loop.now() + settings_.limit;
  connections_before_ = connections();
  // One of the two is enough; which of them wakes it is not known.
  if (parts_.bmc != nullptr) pass_on(PowerAction::kOn, [](const Result<>&) {});
  send_packet();
}

void AgentSwitch::send_packet() {
  timer_ = 0;
  if (is_connected() || connections() != connections_before_)
    return parts_.loop.post([this, alive = alive_] {
      if (*alive) end_wake({});
    });
  if (parts_.loop.now() >= wake_until_)
    return end_wake(fail(Code::kUnknown, fmt::format("magic packets were sent for {:.0f} s, and "
                                                     "its agent has not come",
                                                     seconds(settings_.limit))));
  timer_ = parts_.loop.after(settings_.again, [this] { send_packet(); });
  parts_.wake([this, alive = alive_](const Result<>& sent) {
    // No packet leaves this machine: more of them will not, either.
    if (*alive && !sent && sent.error().code != Code::kUnknown) end_wake(sent);
  });
}

void AgentSwitch::end_wake(Result<> result) {
  parts_.loop.cancel(std::exchange(timer_, 0));
  if (waking_) std::exchange(waking_, nullptr)(std::move(result));
}

}  // namespace chorok::manager
