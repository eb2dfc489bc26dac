#include "sim/memory_channel.h"

#include <array>
#include <deque>
#include <map>

namespace chorok::sim {
namespace {

struct Message {
  enum class Kind : std::uint8_t { kCall, kNotify, kReply } kind = Kind::kCall;
  std::uint64_t id = 0;
  std::string method;
  std::string body;
  Error error;
  bool failed = false;
};

struct Pending {
  ports::Channel::Reply reply;
  TimerId timer = 0;
};

}  // namespace

// Both ends' side of things lives here, so that messages on their way never point at an end that
// is gone.
class MemoryLink::State : public std::enable_shared_from_this<State> {
 public:
  struct Side {
    bool taken = false;
    bool alive = false;  // its Channel exists
    bool heard_close = false;
    ports::Channel::Handler handler;
    std::function<void(Error)> closed;
    std::map<std::uint64_t, Pending> pending;
    std::uint64_t last_id = 0;
    Time arrives{};               // of the last message sent to this side: order is kept
    Time notified{};              // of the last notification
    std::deque<Message> held;     // arrived while stalled
    std::deque<Message> unheard;  // arrived before on_call
  };

  State(Loop& loop, LinkSettings link, Random chance)
      : settings(link), loop_(loop), random_(chance) {}

  void call(int from, std::string method, std::string params, Duration timeout,
            ports::Channel::Reply reply);
  void send(int from, Message message);
  void cut(Error why, Duration after);
  void hear_close(int side, const Error& why);
  void set_stalled(bool on);
  void set_handler(int side, ports::Channel::Handler handler);

  LinkSettings settings;
  std::array<Side, 2> sides;
  bool open = true;

 private:
  void arrive(int to, Message message);
  void deliver(int to, Message message);
  void serve(int to, Message message);
  void answer(int side, std::uint64_t id, Result<std::string> result);
  Duration latency();

  Loop& loop_;
  Random random_;
  bool stalled_ = false;
};

class MemoryLink::End final : public ports::Channel {
 public:
  End(std::shared_ptr<State> state, int side) : state_(std::move(state)), side_(side) {
    state_->sides[side_].taken = state_->sides[side_].alive = true;
  }
  ~End() override {
    State::Side& side = state_->sides[side_];
    side.alive = false;
    side.handler = nullptr;
    side.closed = nullptr;
    state_->cut(Error{Code::kUnavailable, "the other end closed the connection", {}}, {});
  }
  void call(std::string method, std::string params, Duration timeout, Reply reply) override {
    state_->call(side_, std::move(method), std::move(params), timeout, std::move(reply));
  }
  void notify(std::string method, std::string params) override {
    state_->send(side_, {Message::Kind::kNotify, 0, std::move(method), std::move(params), {}});
  }
  void on_call(Handler handler) override { state_->set_handler(side_, std::move(handler)); }
  void on_close(std::function<void(Error)> closed) override {
    state_->sides[side_].closed = std::move(closed);
  }
  void close(std::string reason) override {
    state_->cut(Error{Code::kUnavailable, std::move(reason), {}}, {});
  }

 private:
  std::shared_ptr<State> state_;
  int side_;
};

void MemoryLink::State::call(int from, std::string method, std::string params, Duration timeout,
                             ports::Channel::Reply reply) {
  if (!open) {
    loop_.post([reply = std::move(reply)]() mutable {
      reply(fail(Code::kUnavailable, "the connection is closed"));
    });
    return;
  }
  Side& side = sides[from];
  std::uint64_t id = ++side.last_id;
  TimerId timer = loop_.after(timeout, [self = shared_from_this(), from, id, method] {
    self->answer(from, id, fail(Code::kTimeout, method + ": no answer in time"));
  });
  side.pending.emplace(id, Pending{std::move(reply), timer});
  send(from, {Message::Kind::kCall, id, std::move(method), std::move(params), {}});
}

Duration MemoryLink::State::latency() {
  Duration least = random_.between(settings.latency_min, settings.latency_max);
  return random_.chance(settings.slow_message) ? random_.between(least, settings.slow_max) : least;
}

void MemoryLink::State::send(int from, Message message) {
  if (!open) return;
  int to = 1 - from;
  bool last = random_.chance(settings.cut);
  if (!random_.chance(settings.lost_message)) {
    const bool notification = message.kind == Message::Kind::kNotify;
    const bool overtakes = notification && random_.chance(settings.overtaking);
    Time due =
        std::max(overtakes ? sides[to].notified : sides[to].arrives, loop_.now() + latency());
    sides[to].arrives = std::max(sides[to].arrives, due);
    if (notification) sides[to].notified = due;
    loop_.after(due - loop_.now(),
                [self = shared_from_this(), to, message = std::move(message)]() mutable {
                  self->arrive(to, std::move(message));
                });
  }
  if (last)
    cut(Error{Code::kUnavailable, "the connection broke", {}},
        random_.between(Duration{}, settings.close_after));
}

void MemoryLink::State::arrive(int to, Message message) {
  if (!open) return;
  if (stalled_ || !sides[to].held.empty())
    sides[to].held.push_back(std::move(message));
  else
    deliver(to, std::move(message));
}

void MemoryLink::State::deliver(int to, Message message) {
  if (!sides[to].alive) return;
  if (message.kind == Message::Kind::kReply) {
    if (message.failed)
      answer(to, message.id, Unexpected(std::move(message.error)));
    else
      answer(to, message.id, std::move(message.body));
  } else if (sides[to].handler && sides[to].unheard.empty()) {
    serve(to, std::move(message));
  } else {
    sides[to].unheard.push_back(std::move(message));
  }
}

void MemoryLink::State::serve(int to, Message message) {
  ports::Channel::Handler handler = sides[to].handler;  // it may replace itself
  ports::Channel::Reply reply = [self = shared_from_this(), to, id = message.id,
                                 kind = message.kind](Result<std::string> result) {
    if (kind == Message::Kind::kNotify) return;
    Message back{Message::Kind::kReply, id, {}, {}, {}};
    back.failed = !result.has_value();
    if (result)
      back.body = std::move(*result);
    else
      back.error = std::move(result.error());
    self->send(to, std::move(back));
  };
  handler(std::move(message.method), std::move(message.body), std::move(reply));
}

void MemoryLink::State::answer(int side, std::uint64_t id, Result<std::string> result) {
  auto found = sides[side].pending.find(id);
  if (found == sides[side].pending.end()) return;  // timed out before
  Pending pending = std::move(found->second);
  sides[side].pending.erase(found);
  loop_.cancel(pending.timer);
  if (sides[side].alive) pending.reply(std::move(result));
}

void MemoryLink::State::cut(Error why, Duration after) {
  if (!open) return;
  open = false;
  for (int side = 0; side < 2; ++side) {
    sides[side].held.clear();
    sides[side].unheard.clear();
    loop_.after(after, [self = shared_from_this(), side, why] { self->hear_close(side, why); });
  }
}

void MemoryLink::State::hear_close(int index, const Error& why) {
  Side& side = sides[index];
  if (side.heard_close) return;
  side.heard_close = true;
  auto pending = std::exchange(side.pending, {});
  for (auto& [id, waiting] : pending) {
    loop_.cancel(waiting.timer);
    if (side.alive) waiting.reply(Unexpected(why));
  }
  auto closed = std::exchange(side.closed, nullptr);
  side.handler = nullptr;
  if (side.alive && closed) closed(why);
}

void MemoryLink::State::set_stalled(bool on) {
  stalled_ = on;
  if (on) return;
  for (int side = 0; side < 2; ++side)
    while (open && !stalled_ && !sides[side].held.empty()) {
      Message message = std::move(sides[side].held.front());
      sides[side].held.pop_front();
      deliver(side, std::move(message));
    }
}

void MemoryLink::State::set_handler(int index, ports::Channel::Handler handler) {
  Side& side = sides[index];
  side.handler = std::move(handler);
  if (side.unheard.empty()) return;
  loop_.post([self = shared_from_this(), index] {
    auto unheard = std::exchange(self->sides[index].unheard, {});
    for (Message& message : unheard) self->deliver(index, std::move(message));
  });
}

std::shared_ptr<MemoryLink> MemoryLink::create(Loop& loop, LinkSettings settings, Random random) {
  return std::shared_ptr<MemoryLink>(
      new MemoryLink(std::make_shared<State>(loop, settings, random)));
}

MemoryLink::~MemoryLink() = default;

std::unique_ptr<ports::Channel> MemoryLink::take_a() {
  CHOROK_ASSERT(!state_->sides[0].taken);
  return std::make_unique<End>(state_, 0);
}
std::unique_ptr<ports::Channel> MemoryLink::take_b() {
  CHOROK_ASSERT(!state_->sides[1].taken);
  return std::make_unique<End>(state_, 1);
}

void MemoryLink::cut(std::string reason, Duration after) {
  state_->cut(Error{Code::kUnavailable, std::move(reason), {}}, after);
}
void MemoryLink::stall(bool on) {
  state_->set_stalled(on);
}
bool MemoryLink::open() const {
  return state_->open;
}
LinkSettings& MemoryLink::settings() {
  return state_->settings;
}

}  // namespace chorok::sim
