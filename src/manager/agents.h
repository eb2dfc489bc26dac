// The manager's side of the agent protocol (model/protocol.h): one session a connected host. Sends
// operations once their intent is durable, again after every reconnection until their result is in
// the store, and turns what agents report into records. Free of I/O: a session is a ports::Channel.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/log.h"
#include "manager/engine.h"
#include "manager/reconciler.h"
#include "manager/world.h"
#include "ports/channel.h"

namespace chorok::manager {

struct AgentsSettings {
  Duration sample_interval = std::chrono::seconds(10);  // of telemetry; 0: none
  // Agents beat every 2 s; three may be late before the link counts as lost.
  Duration lost_after = std::chrono::seconds(7);
  Duration call_timeout = std::chrono::seconds(10);
  // It measures once more and writes to its disk before it answers.
  Duration standby_timeout = std::chrono::seconds(40);
};

class Agents : public Commander {
 public:
  Agents(Engine& engine, World& world, AgentsSettings settings = {});
  ~Agents() override;
  // Before the first session; the reconciler needs the commander and this needs the reconciler.
  void connect(Reconciler& reconciler) { reconciler_ = &reconciler; }

  // Who counts what agents measure, and says when it is counted.
  using TakeTelemetry = std::function<void(const std::string& host,
                                           const model::TelemetryBatch& batch, Done<Result<>>)>;
  void on_telemetry(TakeTelemetry take) { take_telemetry_ = std::move(take); }

  // A connection whose certificate says it is `host`. An older one of the same host is closed.
  void attach(const std::string& host, std::shared_ptr<ports::Channel> channel);
  // The host was removed from the inventory.
  void drop(const std::string& host);
  bool connected(const std::string& host) const;
  // How often it has been, in this manager's life.
  std::uint64_t connections(const std::string& host) const;
  // Asks the agent itself: vm.check, cpu.baseline, stream.open, file.*
  void call(const std::string& host, std::string method, std::string params, Duration timeout,
            ports::Channel::Reply reply);
  // "host.standby", in this manager's term. An agent that is too old says kUnsupported.
  void put_to_standby(const std::string& host, model::StandbyRequest request, Done<Result<>> done);
  // "host.prepare", likewise.
  void prepare(const std::string& host, model::PrepareRequest request, Duration limit,
               Done<Result<>> done);
  // Datastores, networks or the cluster's settings changed: every agent is told.
  void config_changed();
  void config_changed(const std::string& host);  // for it alone

  void send(const model::Operation& operation) override;
  void cancel(const std::string& host, const std::string& operation) override;

 private:
  struct Session {
    std::shared_ptr<ports::Channel> channel;
    bool welcomed = false;
    Time heard{};
  };

  void handle(const std::string& host, Session* session, std::string method, std::string params,
              ports::Channel::Reply reply);
  Result<std::string> hello(const std::string& host, Session& session, const std::string& params);
  void note_restart(Changes& changes, const model::Host& host, const model::Hello& hello);
  Result<> observe(const std::string& host, const std::string& params);
  void telemetry(const std::string& host, const std::string& params, ports::Channel::Reply reply);
  Result<> progress(const std::string& host, const std::string& params);
  void op_done(const std::string& host, const std::string& params, ports::Channel::Reply reply);
  void lost(const std::string& host, const std::string& why);
  void set_link(const std::string& host, model::HostLink link, const std::string& why);
  void resend(const std::string& host);
  void check_beats(Time due);
  model::AgentConfig config(const std::string& host) const;

  Engine& engine_;
  World& world_;
  AgentsSettings settings_;
  Reconciler* reconciler_ = nullptr;
  TakeTelemetry take_telemetry_;
  Log log_{"agents"};
  std::map<std::string, std::shared_ptr<Session>, std::less<>> sessions_;
  std::map<std::string, std::uint64_t, std::less<>> connections_;
  std::map<std::string, Time, std::less<>> agents_started_;  // of those that have connected
  TimerId beat_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
