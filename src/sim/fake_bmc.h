// A BMC that does not exist: the power switch and the meter of one simulated host, with what goes
// wrong with real ones. It outlives its host's power, as they do.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/loop.h"
#include "ports/power_meter.h"
#include "ports/power_orders.h"
#include "ports/power_switch.h"
#include "sim/faults.h"

namespace chorok::sim {

struct BmcSettings {
  std::string host;  // as FaultPlan knows it
  bool on = true;
  Duration answers_in = std::chrono::milliseconds(80);  // ipmitool over a LAN: 60 to 100 ms
  Duration turns_in = std::chrono::seconds(1);          // from a command to the status that says so
  // How long the switch waits for an answer, and for a status that says what was asked for.
  Duration answer_limit = std::chrono::seconds(20);
  Duration confirm_limit = std::chrono::seconds(30);
  Watts standby{10};    // drawn without power
  double error = 0.05;  // what the meter says of itself
};

// Each can be set and taken back at any moment.
struct BmcFaults {
  bool unreachable = false;    // nothing answers
  bool answers_lost = false;   // commands are carried out, and no answer comes
  bool commands_lost = false;  // they are not, and no answer comes either
  bool stuck_on = false;       // takes commands, and the host stays on
  bool stuck_off = false;
  bool wake_fails = false;        // the chassis has power and nothing boots
  bool ignores_shutdown = false;  // the operating system does not hear the button
  bool no_meter = false;
  double watts_factor = 1;  // a meter that is wrong without knowing it
  double slowness = 1;
};

// The host that the BMC sits in. Empty functions: a chassis with nothing in it.
struct BmcMachine {
  std::function<void()> boot;         // it has power again
  std::function<void()> cut;          // it has none any more
  std::function<void()> ask_to_stop;  // its own power then goes by stopped()
  std::function<Watts()> draws;       // while it has power
};

class FakeBmc final : public ports::PowerSwitch, public ports::PowerMeter {
 public:
  FakeBmc(Loop& loop, BmcMachine machine, BmcSettings settings = {}, FaultPlan* plan = nullptr);

  void capabilities(Done<Result<model::PowerCapabilities>> done) override;
  void status(Done<Result<model::ChassisPower>> done) override;
  void act(model::PowerAction action, ports::PowerOrder order, Done<Result<>> done) override;
  void read(Done<Result<model::PowerReading>> done) override;

  BmcFaults& faults() { return faults_; }
  bool has_power() const { return on_; }
  void stopped();                       // the machine has switched itself off
  void push_on();                       // a person has pushed the button
  int turns() const { return turns_; }  // how often the chassis has changed, for tests

 private:
  void perform(model::PowerAction action, Done<Result<>> done);
  void cycle(const Decision& decision, Done<Result<>> done);
  void turn(bool on, const Decision& decision, Done<Result<>> done);
  void ask_to_stop(const Decision& decision, Done<Result<>> done);
  void set(bool on);
  void count_energy();
  Watts drawn() const;
  Decision decide(const char* op);
  bool silent(const Decision& decision) const;
  // What happens later, if this still lives then.
  void later(Duration delay, Work work);
  Duration answer_time(const Decision& decision) const;

  Loop& loop_;
  BmcMachine machine_;
  BmcSettings settings_;
  FaultPlan* plan_;
  BmcFaults faults_;
  bool on_;
  int turns_ = 0;
  Joules energy_{};
  Time energy_since_;
  Time energy_at_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  ports::PowerOrders orders_;
};

}  // namespace chorok::sim
