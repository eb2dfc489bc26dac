#include "sim/fake_daemon.h"

#include <fmt/format.h>

namespace chorok::sim {
namespace {

// What a client waits before it learns that something went wrong at once.
constexpr Duration kTurnaround = std::chrono::milliseconds(2);
constexpr Duration kEventLatency = std::chrono::milliseconds(3);

Error injected(Code code, const Call& call, std::string_view what) {
  return Error{code, fmt::format("{}: {} (injected)", call.op(), what), {}};
}

}  // namespace

void FakeDaemon::submit(std::unique_ptr<Call> call) {
  if (!up_) {
    call->answer_error(
        {Code::kUnavailable,
         fmt::format("{}: cannot reach libvirtd on {}", call->op(), host_.settings().name),
         {}});
    return;
  }
  call->id = ++last_id_;
  std::string lane = call->uuid().empty() ? fmt::format("#{}", call->id) : call->uuid();
  Queue& queue = lanes_[lane];
  queue.push_back(std::move(call));
  if (queue.size() == 1) start_front(lane);
}

void FakeDaemon::start_front(const std::string& lane) {
  Call& call = *lanes_.at(lane).front();
  call.decision = world_.faults().decide(call.op(), host_.settings().name);
  switch (call.decision.fault) {
    case Fault::kErrorBefore:
      return strike(lane, injected(Code::kFailedPrecondition, call, "operation failed"));
    case Fault::kUnknownBefore:
      return strike(lane, injected(Code::kUnknown, call, "the connection broke"));
    case Fault::kDisconnect:
      call.timer = world_.later(kTurnaround, [this] { world_.restart_libvirtd(host_.index()); });
      break;
    default:
      break;
  }
  call.timer = world_.later(Duration{}, [this, lane] { work(lane); });
}

// Ends the call at the head of its lane with an error, and nothing of it happens.
void FakeDaemon::strike(const std::string& lane, Error error) {
  lanes_.at(lane).front()->timer = world_.later(
      kTurnaround,
      [this, lane, error = std::move(error)] { take_front(lane)->answer_error(error); });
}

void FakeDaemon::work(const std::string& lane) {
  Call& call = *lanes_.at(lane).front();
  call.begun = true;
  const std::uint64_t id = call.id;
  Result<Duration> takes = call.begin();
  if (!takes) {
    call.begun = false;
    return strike(lane, std::move(takes.error()));
  }
  if (*takes == kOwnPace) {
    call.own_pace = true;
    return;
  }
  Duration duration = from_seconds(seconds(*takes) * call.decision.slowness);
  call.timer = world_.later(duration, [this, lane, id] {
    CHOROK_ASSERT(lanes_.at(lane).front()->id == id);
    lanes_.at(lane).front()->apply();
    complete_front(lane);
  });
}

void FakeDaemon::complete_front(const std::string& lane) {
  std::unique_ptr<Call> call = take_front(lane);
  switch (call->decision.fault) {
    case Fault::kUnknownAfter:
      return call->answer_error(injected(Code::kUnknown, *call, "the connection broke"));
    case Fault::kErrorAfter:
      return call->answer_error(
          injected(Code::kFailedPrecondition, *call, "an internal error occurred"));
    case Fault::kLostAnswer: {
      Duration patience = world_.faults().rates().answer_lost_after;
      world_.later(patience, [call = std::move(call)] {
        call->answer_error(injected(Code::kTimeout, *call, "no answer came"));
      });
      return;
    }
    default:
      return call->answer_result();
  }
}

std::unique_ptr<Call> FakeDaemon::take_front(const std::string& lane_name) {
  const std::string lane = lane_name;  // the name may live in the call
  Queue& queue = lanes_.at(lane);
  std::unique_ptr<Call> call = std::move(queue.front());
  queue.pop_front();
  if (queue.empty())
    lanes_.erase(lane);
  else
    start_front(lane);
  return call;
}

void FakeDaemon::finished(std::uint64_t call_id) {
  for (auto& [lane, queue] : lanes_)
    if (queue.front()->id == call_id) {
      queue.front()->apply();
      return complete_front(lane);
    }
}

void FakeDaemon::tell(const std::string& uuid, bool connected) {
  std::erase_if(connections_, [](const auto& each) { return !each->alive; });
  for (const auto& connection : connections_)
    world_.later(kEventLatency, [connection, uuid, connected] {
      if (connection->alive && connection->changed) connection->changed(uuid, connected);
    });
}

void FakeDaemon::changed(const std::string& uuid) {
  if (up_) tell(uuid, true);
}

void FakeDaemon::die(bool with_host) {
  if (!up_) return;
  up_ = false;
  auto lanes = std::exchange(lanes_, {});
  for (auto& [lane, queue] : lanes) {
    Call& front = *queue.front();
    world_.loop().cancel(front.timer);
    bool happens = front.begun && !front.own_pace && !with_host;
    if (happens && world_.random().chance(0.5)) front.apply();
    for (auto& call : queue)
      call->answer_error(
          {Code::kUnknown, fmt::format("{}: the connection to libvirtd broke", call->op()), {}});
  }
  tell("", false);
}

void FakeDaemon::come_up() {
  if (up_) return;
  up_ = true;
  host_.reap_half_started();
  tell("", true);
}

}  // namespace chorok::sim
