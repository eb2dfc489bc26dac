// A host's way off, on the manager's word: to standby by its own agent, or prepared for its power
// to be taken from outside, by a BMC that knows nothing of guests. Either way the agent sees to it
// that nothing is lost: no guest runs there (not Chorok's, nor anybody's), no operation is under
// way, and what waits to be told is on the disk; from then on it begins nothing.
//
// One that is prepared waits for the end of its power, and for so long only as it was told: then,
// or when the manager says so, it takes operations again.
//
// A suspended host comes back as the agent that it was, hours later by the clock and a moment later
// by its timers. Its connection was closed before it slept: what had been sent to it meanwhile
// would otherwise be read, and obeyed, when it wakes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/journal.h"
#include "agent/telemetry.h"
#include "base/log.h"
#include "ports/channel.h"
#include "ports/host_standby.h"
#include "ports/hypervisor.h"

namespace chorok::agent {

struct DepartureSettings {
  ports::HostStandby* host = nullptr;  // null: this host cannot go; outlives the agent's core
  Duration list_timeout = std::chrono::seconds(10);
  Duration farewell = std::chrono::milliseconds(200);  // for the answer to leave
  // A system that was asked to shut down and is still there then was not.
  Duration patience = std::chrono::minutes(5);
  // However long the manager wants it to be prepared: one that dies meanwhile takes nothing back.
  Duration hold_max = std::chrono::minutes(10);
};

// Lives on the loop's thread, within the agent's core.
class Departure {
 public:
  struct Parts {
    Loop& loop;
    ports::Hypervisor& hypervisor;
    Journal& journal;
    Telemetry& telemetry;
    std::function<bool()> idle;                    // no operation is under way
    std::function<void(std::string why)> hang_up;  // closes the connection
  };

  Departure(Parts parts, DepartureSettings settings);
  ~Departure();
  Departure(const Departure&) = delete;
  Departure& operator=(const Departure&) = delete;

  // Answers {} right before it goes; the same again while it does.
  void ask(const model::StandbyRequest& request, ports::Channel::Reply reply);
  // Answers {} when its power may be taken.
  void prepare(const model::PrepareRequest& request, ports::Channel::Reply reply);
  // Nothing may begin here.
  bool under_way() const { return stage_ != Stage::kStays; }
  // Nor connect.
  bool asleep() const { return stage_ == Stage::kSleeps; }

 private:
  enum class Stage : std::uint8_t { kStays, kPrepares, kReady, kGoes, kSleeps };
  struct Ask {
    std::optional<model::StandbyRequest> standby;  // none: its power is taken from outside
    Duration hold{};
    ports::Channel::Reply reply;
  };

  bool goes() const { return stage_ == Stage::kGoes || stage_ == Stage::kSleeps; }
  void begin(Ask ask);
  void release();
  void listed(const Result<std::vector<model::Instance>>& instances);
  void flushed(const Result<>& flushed);
  void end(const Result<>& prepared);
  void be_ready(Duration hold);
  void leave(const model::StandbyRequest& request);
  void go(const model::StandbyRequest& request);
  void came_back();
  void stay(std::string_view why);

  Parts parts_;
  DepartureSettings settings_;
  Log log_{"standby"};
  Stage stage_ = Stage::kStays;
  std::vector<Ask> asks_;  // while it prepares: all are answered together
  TimerId patience_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::agent
