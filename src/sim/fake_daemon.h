// libvirtd of one fake host, as its clients meet it: calls for one domain wait for each other, all
// others run side by side, each takes its time, and any can meet a fault. When the daemon dies,
// every open call is answered kUnknown, and whether its effect happened is left to chance, as with
// a real kill -9.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "sim/fake_world.h"

namespace chorok::sim {

// One client of the daemon. The calls hold it, so that an answer finds out that nobody waits.
struct Connection {
  bool alive = true;
  std::function<void(const std::string& uuid, bool connected)> changed;
};

// A call that paces itself (a migration) answers this from begin(), and ends by finished().
inline constexpr Duration kOwnPace = Duration::max();

class Call {
 public:
  Call(std::string op, std::string uuid) : op_(std::move(op)), uuid_(std::move(uuid)) {}
  virtual ~Call() = default;

  const std::string& op() const { return op_; }
  const std::string& uuid() const { return uuid_; }  // empty: of the host as a whole

  // Checks and first effects; how long it takes until apply().
  virtual Result<Duration> begin() = 0;
  virtual void apply() = 0;
  // Each call gets exactly one of these; the completion runs in a work of its own.
  virtual void answer_result() = 0;
  virtual void answer_error(Error error) = 0;

  std::uint64_t id = 0;
  Decision decision;
  TimerId timer = 0;
  bool begun = false;
  bool own_pace = false;

 private:
  std::string op_;
  std::string uuid_;
};

template <class T>
class TypedCall final : public Call {
 public:
  using Begin = std::move_only_function<Result<Duration>(const Call& self)>;
  using Effect = std::move_only_function<Result<T>()>;

  TypedCall(Loop& loop, std::shared_ptr<Connection> connection, std::string op, std::string uuid,
            Begin begin, Effect effect, Done<Result<T>> done)
      : Call(std::move(op), std::move(uuid)),
        loop_(loop),
        connection_(std::move(connection)),
        begin_(std::move(begin)),
        effect_(std::move(effect)),
        done_(std::move(done)) {}

  Result<Duration> begin() override { return begin_(*this); }
  void apply() override { result_ = effect_(); }
  void answer_result() override { answer(std::move(*result_)); }
  void answer_error(Error error) override { answer(Unexpected(std::move(error))); }

 private:
  void answer(Result<T> result) {
    CHOROK_ASSERT(done_);
    loop_.post([connection = std::move(connection_), done = std::exchange(done_, nullptr),
                result = std::move(result)]() mutable {
      if (connection->alive) done(std::move(result));
    });
  }

  Loop& loop_;
  std::shared_ptr<Connection> connection_;
  Begin begin_;
  Effect effect_;
  Done<Result<T>> done_;
  std::optional<Result<T>> result_;
};

class FakeDaemon {
 public:
  FakeDaemon(FakeWorld& world, FakeHost& host) : world_(world), host_(host) {}

  bool up() const { return up_; }
  void connect(std::shared_ptr<Connection> connection) {
    connections_.push_back(std::move(connection));
  }
  void submit(std::unique_ptr<Call> call);
  // Of a call that paces itself: its effect can tell the result now. Nothing when it is gone.
  void finished(std::uint64_t call_id);
  // Tells the clients that something of the domain changed. Lost while the daemon is down.
  void changed(const std::string& uuid);

  // With the host it runs on: nothing of what was open happens.
  void die(bool with_host);
  void come_up();

 private:
  using Queue = std::deque<std::unique_ptr<Call>>;

  void start_front(const std::string& lane);
  void strike(const std::string& lane, Error error);
  void work(const std::string& lane);
  void complete_front(const std::string& lane);
  std::unique_ptr<Call> take_front(const std::string& lane);
  void tell(const std::string& uuid, bool connected);

  FakeWorld& world_;
  FakeHost& host_;
  bool up_ = true;
  std::uint64_t last_id_ = 0;
  std::map<std::string, Queue> lanes_;  // by UUID; calls of no domain have one each
  std::vector<std::shared_ptr<Connection>> connections_;
};

}  // namespace chorok::sim
