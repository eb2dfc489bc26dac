// Energy accounts: what each host drew, in one unbroken line of accounts, and who used it. Each
// account is divided by policy/energy_share among the VMs that ran in it; what no VM used is
// "unused". Accounts are taken with the telemetry of a host, so that VMs and host are of the same
// time; of a host that tells nothing (off, lost) by absent().
//
// Every account is in the history once: it is written with the cursor that it ended at, and who
// restores goes on from there. That VMs and unused make the host within 0.1 % is checked on what is
// about to be written.
//
// Lives on the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "manager/engine.h"
#include "manager/host_meter.h"
#include "ports/history.h"

namespace chorok::manager {

struct Consumption;

// Kept with HostCursor.
struct EnergyCursor {
  Time until{};       // accounted up to here; epoch: never
  double joules = 0;  // ever
  HostMeter::Cursor meter;
  static const Type& type();
};

struct EnergyAccountsSettings {
  Duration gap = std::chrono::minutes(1);  // readings further apart are an estimate between
  Duration off_every = std::chrono::seconds(30);
  Duration silent = std::chrono::minutes(4);  // connected, and tells nothing
  Duration lost = std::chrono::minutes(10);   // its agent may come back and tell
};

// One account of one host.
struct EnergyAccount {
  std::string host;
  Time from{};
  Time to{};
  Drawn drawn;
  double idle = 0;    // J of it without load
  double unused = 0;  // J of it that no VM used
  double standby = 0;
  double saved = 0;
  bool off = false;         // the host was, all that time
  std::vector<double> vms;  // J, in the consumption's order
};

// What its VMs used and what nobody did, in J.
double parts_of(const EnergyAccount& account);
// The invariant: the parts are what the host drew, within 0.1 % (or a thousandth of a joule).
bool adds_up(const EnergyAccount& account);

class EnergyAccounts {
 public:
  explicit EnergyAccounts(const Engine& engine, EnergyAccountsSettings settings = {});

  // A BMC's meter was read.
  void read(const std::string& host, const model::PowerReading& reading);
  // What a host's telemetry makes: usually one account, one more before it after a gap. Writes each
  // VM's joules into the consumption.
  std::vector<EnergyAccount> account(Consumption& consumption);
  // Of hosts that have told nothing for too long.
  std::vector<EnergyAccount> absent();
  // What is not accounted yet, of [from, to).
  Drawn pending(const std::string& host, Time from, Time to) const;

  EnergyCursor cursor(const std::string& host) const;
  void restore(const std::string& host, const EnergyCursor& cursor);
  // For the history; with the cluster that the host is in.
  std::vector<ports::HistoryUse> uses(const EnergyAccount& account) const;

  struct HostNow {
    Time at{};
    Duration interval{};
    double watts = 0;
    double vms = 0;  // of them
    double unused = 0;
    double error = 0;   // fraction
    double idle = 0;    // watts without load
    double joules = 0;  // ever
    double saved = 0;   // since this process began; less where switching it off cost more
    bool off = false;
    bool estimated = false;
    model::WattSource source{};
    model::MeterMethod method{};
  };
  struct VmNow {
    Time at{};
    std::string host;
    double watts = 0;
    double joules = 0;  // since this process began
  };
  const HostNow* host(const std::string& id) const;
  // Its BMC's newest reading, of the last minute; none: there is no meter, or it does not answer.
  std::optional<WattsLine::Reading> metered(const std::string& id) const;
  // Its curve as its meters have shown it; none: they have not, yet.
  std::optional<model::PowerCurve> learned_curve(const std::string& id) const;
  const VmNow* vm(const std::string& uuid) const;
  // Accounts whose parts did not make the whole.
  std::int64_t violations() const { return violations_; }
  void on_violation(std::function<void(const std::string& host, const std::string& words)> fn) {
    violated_ = std::move(fn);
  }
  void forget_host(const std::string& id) { hosts_.erase(id); }

 private:
  struct HostState {
    HostMeter meter;
    Time until{};
    Time seen{};  // when it told last, or was restored
    double joules = 0;
    double saved = 0;
    HostNow now;
    bool is_off = false;  // when it was looked at last
    bool complained = false;
  };
  HostState& state_of(const model::Host& host);
  EnergyAccount take(const model::Host& host, HostState& state, const HostMeter::Span& span);
  void divide(const model::Host& host, const Consumption& consumption,
              EnergyAccount& account) const;
  void note(HostState& state, const EnergyAccount& account, const Consumption* consumption);
  void check(HostState& state, const model::Host& host, const EnergyAccount& account);

  const Engine& engine_;
  EnergyAccountsSettings settings_;
  Log log_{"energy"};
  Time began_;
  Time swept_{};
  std::map<std::string, HostState, std::less<>> hosts_;
  std::unordered_map<std::string, VmNow> vms_;  // by UUID
  std::int64_t violations_ = 0;
  std::function<void(const std::string&, const std::string&)> violated_;
};

// What is known of a host's power without a meter.
HostMeter::Curve curve_of(const model::Host& host);
// Off, or on its way there or back, because a cluster wanted it so.
bool is_rested(const model::Host& host);

}  // namespace chorok::manager
