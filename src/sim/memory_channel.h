// A ports::Channel through memory: two ends on one loop, messages in order after a latency, as over
// one TCP connection. What a network does to such a connection can be done to a MemoryLink: cut it
// (both ends hear of it), stall it (nobody hears anything; messages wait and arrive when it goes
// on, as TCP retransmits them) or lose single messages (a peer that takes them and never answers).
#pragma once

#include <memory>
#include <utility>

#include "ports/channel.h"
#include "sim/random.h"

namespace chorok::sim {

struct LinkSettings {
  Duration latency_min = std::chrono::microseconds(200);
  Duration latency_max = std::chrono::milliseconds(2);
  double lost_message = 0;                       // a call, reply or notification vanishes
  double slow_message = 0;                       // takes up to slow_max, and those behind it wait
  Duration slow_max = std::chrono::seconds(20);  // above the timeouts of most calls
  double overtaking = 0;  // a notification passes calls before it, as link::RpcChannel allows
  double cut = 0;         // a message is the last: the connection is gone
  Duration close_after = std::chrono::seconds(1);  // until the ends hear of a cut
};

class MemoryLink {
 public:
  // The ends go on without the link, which is only a hand on them; the loop must outlive all of
  // them. Destroying an end closes it; what that end still waited for is then never answered (its
  // owner is gone), the other end's calls are answered kUnavailable.
  static std::shared_ptr<MemoryLink> create(Loop& loop, LinkSettings settings, Random random);
  ~MemoryLink();

  // Each can be taken once.
  std::unique_ptr<ports::Channel> take_a();
  std::unique_ptr<ports::Channel> take_b();

  // The connection is gone at once, with what was on its way; both ends hear of it after `after`.
  void cut(std::string reason, Duration after = {});
  void stall(bool on);
  bool open() const;
  LinkSettings& settings();

 private:
  class State;
  class End;
  explicit MemoryLink(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace chorok::sim
