// Runs one cluster's loops (control/cluster_loop.h) on living hosts: shows them the records, turns
// what they order into tasks and power actions, keeps their plans. Free of I/O: a BMC is a
// ports::PowerSwitch.
//
// Moves become tasks like those of people, by the user "chorok", with their reason. Before a host
// is switched, that it is to be is in its record; whoever leads next goes on from there.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/log.h"
#include "control/cluster_loop.h"
#include "manager/host_switching.h"
#include "manager/intents.h"
#include "manager/live_fleet.h"
#include "manager/placer.h"
#include "manager/plan_record.h"
#include "manager/recommendations.h"
#include "model/bmc.h"

namespace chorok::manager {

struct DriverSettings {
  // Agents keep no leases, so that a BMC is the only witness (docs/design/012-cluster-loops.md). An
  // agent's restart, or a manager's, is not to cost a host its guests: hence the patience.
  control::LoopSettings loop = {
      .watch = {.fence_after = std::chrono::seconds(60), .leases = false}};
  // The policy's windows and the watch's patience are so many times shorter, for demonstrations.
  double time_scale = 1;
  Duration settle = std::chrono::milliseconds(200);  // changes within it make one turn
  // More of it where a turn costs more: a look at 20,000 VMs takes some 40 ms, every second at
  // most.
  Duration settle_per_vm = std::chrono::microseconds(40);
  Duration ask_bmc = std::chrono::seconds(2);        // while something is waited for
  Duration ask_sleeping = std::chrono::seconds(60);  // a host that is off
  // A host that is up: whether its BMC is its own.
  Duration ask_awake = std::chrono::minutes(10);
  Duration ask_unproven = std::chrono::seconds(30);  // also for how long it must contradict
  std::size_t plans_max = 120;                       // two hours of rounds …
  std::size_t plans_vms_max = 40'000;  // … with so many VMs in all: 16 MiB; the newest stays
  // Where rounds are seen and planned, so that the loop's thread answers meanwhile. Empty: within
  // the turn.
  Offload offload = {};
  // Told of every round of every cluster, when it has been taken.
  std::function<void(const std::string& cluster, const PlanRecord&)> on_round = {};
  // What a host's BMC has read last, for its wake test; empty: there are no meters.
  std::function<std::optional<WattsLine::Reading>(const std::string& host)> draws = {};
  // Its curve as its meters have shown it; empty: nobody measures.
  std::function<std::optional<model::PowerCurve>(const std::string& host)> curve = {};
  // Asked to prepare before a host is switched off; empty: nobody is.
  AgentReach agents = {};
  // An agent measures once more and writes to its disk; one that hangs holds nothing up for longer.
  Duration prepare_limit = std::chrono::seconds(15);
};

class ClusterDriver : public ClusterEyes {
 public:
  ClusterDriver(Engine& engine, World& world, PowerSwitches& switches, const VmLoads* loads,
                std::string cluster, DriverSettings settings = {});
  ~ClusterDriver() override;

  // Something has changed that the loops look at. A turn follows.
  void look_soon();
  void plan_soon();

  // For placing a VM between rounds.
  const VmLoads* loads() const override { return fleet_.loads(); }
  void complete(ClusterSnapshot& made) const override;

  const std::string& cluster() const { return cluster_; }
  const std::deque<PlanRecord>& plans() const { return plans_; }
  const control::ClusterLoop& loop() const { return loop_; }
  const LiveFleet& fleet() const { return fleet_; }
  Recommendations& recommendations() { return recommendations_; }
  const Recommendations& recommendations() const { return recommendations_; }
  // With every round, when it has been taken.
  void on_round(std::function<void(const PlanRecord&)> listener) {
    on_round_ = std::move(listener);
  }

 private:
  struct Bmc {
    model::BmcSpec spec{};
    BmcAnswer answer{};
    bool asking = false;
    int unanswered = 0;  // in a row
    Time asked{};
    Time contradicts{};  // since then it says "off" of a host that answers
  };

  void changed(const Notice& notice);
  void remember_intents();
  // Null where it is not of this cluster.
  template <class T>
  const T* ours(const T* record) const {
    if (record == nullptr) return nullptr;
    return engine_.inventory().cluster_of(*record).meta.id == cluster_ ? record : nullptr;
  }
  void turn();
  void look();
  void find_bmcs();
  void remember(bool others);
  void wake_at(Time at);
  Time settled() const;
  void go_by_schedule(const model::Cluster& cluster);
  void carry_out(const control::Turn& turn);
  void commit(ChangeBatches changes, Done<Result<>> done);
  void add_task(Changes& changes, const control::Command& command);
  void add_event(Changes& changes, const control::LoopEvent& event);
  void add_watches(ChangeBatches& changes);
  void ask_bmcs();
  void ask_bmc(const std::string& host);
  void note_answer(const std::string& host, Bmc& bmc, const Result<model::ChassisPower>& answer);
  void keep_plan();
  void bmc_changed(const model::Host& host);
  Duration pace_of(const Bmc& bmc, const control::HostWatch& watch) const;
  void bmc_said(const std::string& host, Bmc& bmc, control::BmcSays says);
  void judge_bmc(const model::Host& host, Bmc& bmc);

  Engine& engine_;
  World& world_;
  PowerSwitches& switches_;
  std::string cluster_;
  DriverSettings settings_;
  Log log_{"cluster"};
  LiveFleet fleet_;
  HostSwitching switching_;
  Intents intents_;
  control::ClusterLoop loop_;
  bool restored_ = false;
  bool members_changed_ = true;  // perhaps, since the last look
  // Hosts and VMs whose records have changed since the look that is being made began.
  std::set<std::string, std::less<>> hosts_meanwhile_;
  std::set<std::string, std::less<>> vms_meanwhile_;
  std::map<std::string, Bmc, std::less<>> bmcs_;
  std::deque<PlanRecord> plans_;
  Recommendations recommendations_;
  std::int64_t rounds_ = 0;
  std::chrono::steady_clock::time_point look_began_;
  std::chrono::steady_clock::time_point round_began_;  // with its look
  std::function<void(const PlanRecord&)> on_round_;
  std::optional<std::string> band_;  // of the schedule, that holds; empty: none does
  TimerId timer_ = 0;
  Time timer_at_ = Time::max();
  bool soon_ = false;
  std::uint64_t watcher_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
