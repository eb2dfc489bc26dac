// A PowerSwitch over a PowerDriver: looks before it sends, sends once, and then asks for the status
// until it says what was wanted. No thread waits meanwhile.
#pragma once

#include <memory>

#include "adapters/power/driver.h"
#include "adapters/work/blocking.h"
#include "ports/power_orders.h"

namespace chorok::adapters::power {

struct DrivenOptions {
  // A chassis switches within seconds; some boards take half a minute to admit it.
  Duration confirm_limit = std::chrono::seconds(60);
  Duration confirm_every = std::chrono::seconds(1);
  // Power supplies that are switched on at once after they were switched off stay off: the
  // specification's default for a power cycle is a second or more.
  Duration cycle_pause = std::chrono::seconds(2);
};

// Lives on the loop's thread and is destroyed there. `pool` outlives it; a call takes a worker for
// as long as the BMC takes to answer.
class DrivenSwitch final : public ports::PowerSwitch {
 public:
  DrivenSwitch(Loop& loop, work::WorkerPool& pool, std::unique_ptr<PowerDriver> driver,
               DrivenOptions options = {});
  ~DrivenSwitch() override;

  void capabilities(Done<Result<model::PowerCapabilities>> done) override;
  void status(Done<Result<model::ChassisPower>> done) override;
  void act(model::PowerAction action, ports::PowerOrder order, Done<Result<>> done) override;

 private:
  struct Turn;

  void perform(model::PowerAction action, Done<Result<>> done);
  void turn(bool on, Done<Result<>> done);
  void send(std::shared_ptr<Turn> turn);
  void confirm(std::shared_ptr<Turn> turn);
  void look_again(std::shared_ptr<Turn> turn, Result<model::ChassisPower> now);
  void soft_off(Done<Result<>> done);
  void command(PowerDriver::Command command, Done<Result<>> done);

  Loop& loop_;
  DrivenOptions options_;
  std::shared_ptr<PowerDriver> driver_;
  work::Blocking blocking_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ports::PowerOrders orders_;
};

}  // namespace chorok::adapters::power
