// What every PowerSwitch would otherwise write again: one action at a time, a repeated operation id
// answered with the recorded result, older leaders refused. Lives on the loop's thread, within its
// switch.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "ports/power_switch.h"

namespace chorok::ports {

class PowerOrders {
 public:
  // Carries out one action; called when none other is under way, from a work of the loop or from
  // submit().
  using Perform = std::move_only_function<void(model::PowerAction, Done<Result<>>)>;

  PowerOrders(Loop& loop, Perform perform);

  void submit(model::PowerAction action, PowerOrder order, Done<Result<>> done);

  // An operation is repeated within minutes, by a manager that was started anew; a host's power
  // changes a few times an hour.
  static constexpr std::size_t kRememberedMax = 64;
  // More than this waiting at one host is a caller gone wrong.
  static constexpr std::size_t kWaitingMax = 16;

 private:
  struct Record {
    std::string operation;
    model::PowerAction action;
    std::optional<Result<>> result;
    std::vector<Done<Result<>>> waiting;
  };

  void start_next();
  void finish(Record& record, Result<> result);
  void answer(Done<Result<>> done, Result<> result);
  void forget_oldest();

  Loop& loop_;
  Perform perform_;
  std::int64_t term_ = 0;
  bool busy_ = false;
  std::deque<std::unique_ptr<Record>> records_;  // oldest first; those without a result wait
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::ports
