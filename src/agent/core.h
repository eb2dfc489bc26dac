// The agent without its sockets: what it observes, which operations it takes, what it says. It runs
// on a Loop and the ports, so the production program and the simulator run this same code.
//
// Connections come and go (attach); operations do not notice. What the core must not forget is in
// the journal: a core made from the journal of one that was killed reports what that one had begun
// as `unknown`, and begins nothing again.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <set>
#include <span>
#include <string>

#include "agent/departure.h"
#include "agent/entitlements.h"
#include "agent/executor.h"
#include "agent/journal.h"
#include "agent/observer.h"
#include "agent/telemetry.h"
#include "base/log.h"
#include "ports/channel.h"

namespace chorok::agent {

struct AgentIdentity {
  std::string host;  // id
  std::string boot_id;
  std::string version;
  std::string address;  // for migration streams; empty: as the hypervisor says
};

// What goes over connections of its own, so that bulk never looks like death. `root` is the folder
// of the datastore that the request names.
class Streams {
 public:
  virtual ~Streams() = default;
  virtual void open(model::StreamRequest request, Done<Result<>> done) = 0;
  virtual void receive(model::FileRequest request, std::string root,
                       Done<Result<model::FileInfo>> done) = 0;
  virtual void list(model::FileRequest request, std::string root,
                    Done<Result<model::FileList>> done) = 0;
  virtual void remove(model::FileRequest request, std::string root, Done<Result<>> done) = 0;
};

// qemu+tls://ADDRESS/system?pkipath=PKI, or qemu+tcp without TLS.
TargetUri libvirt_target_uri(std::string pki_path);

struct CoreSettings {
  Duration beat = std::chrono::seconds(2);
  Duration call_timeout = std::chrono::seconds(10);  // for an answer of the manager
  Duration done_retry = std::chrono::seconds(2);     // when it could not store a result
  Duration inventory_timeout = std::chrono::seconds(5);
  Duration settle = std::chrono::seconds(1);          // for a job that was stopped to be over
  Duration settle_timeout = std::chrono::minutes(1);  // for libvirt to be there at all
  std::size_t queued_calls_max = 64;                  // that come before our greeting is through
  TargetUri target_uri = libvirt_target_uri("/etc/chorok/pki");
  ObserverSettings observer;
  TelemetrySettings telemetry;
  EntitlementsSettings entitlements;
  DepartureSettings departure;
};

// Lives on the loop's thread, and dies before the ports and the journal. Destroying it is what a
// kill is: guests run on, and so does the call to the hypervisor that is under way.
class AgentCore {
 public:
  // `streams` may be null: consoles and files are then refused.
  AgentCore(Loop& loop, ports::Hypervisor& hypervisor, ports::Storage& storage, Journal& journal,
            AgentIdentity identity, Streams* streams = nullptr, CoreSettings settings = {});
  ~AgentCore();
  AgentCore(const AgentCore&) = delete;
  AgentCore& operator=(const AgentCore&) = delete;

  // A new connection to the leader; the one before it is closed.
  void attach(std::shared_ptr<ports::Channel> channel);
  // Closes the connection; says nothing to on_detached.
  void detach(std::string reason);
  // The agent's process is about to end: what no manager has taken is on the disk on return, or the
  // log says why not. Closes the connection, too.
  void stop(std::string reason);
  // Called when a connection is over, whoever ended it.
  void on_detached(std::function<void(Error)> fn) { detached_ = std::move(fn); }
  void on_welcome(std::function<void(const model::Welcome&)> fn) { welcome_ = std::move(fn); }

  // What a manager may call; a link over the network refuses the rest.
  static std::span<const std::string_view> methods();

  bool connected() const;  // and welcomed
  bool idle() const { return executor_.idle(); }
  const model::AgentConfig& config() const { return *config_; }

 private:
  struct Call {
    std::string method;
    std::string params;
    ports::Channel::Reply reply;
  };
  struct Session {
    std::shared_ptr<ports::Channel> channel;
    bool welcomed = false;
    std::deque<Call> queued;
    std::set<std::string> sending;  // results under way to the manager
  };
  using SessionPtr = std::shared_ptr<Session>;
  using Serve = void (AgentCore::*)(const std::string& params, ports::Channel::Reply reply);
  struct Method {
    std::string_view name;
    Serve serve;
  };
  static const Method kMethods[];

  // session
  Flow<Result<>> greet(SessionPtr session);
  Flow<Result<model::Welcome>> say_hello(SessionPtr session);
  Flow<Result<>> learn_inventory();
  void welcomed(const SessionPtr& session, model::Welcome welcome);
  void drop(const SessionPtr& session, Error why);
  void beat();
  void take_call(const SessionPtr& session, Call call);
  void serve(Call call);

  // operations
  void take_up_interrupted();
  Flow<Result<>> settle(std::string uuid);
  void report_interrupted(const std::string& id);
  void op_done(model::OpDone done);
  void send_results();
  void send_done(const std::string& id);
  void answered(const SessionPtr& session, const std::string& id, Result<std::string> answer);
  void set_config(model::AgentConfig config);

  void serve_op_start(const std::string& params, ports::Channel::Reply reply);
  void serve_op_cancel(const std::string& params, ports::Channel::Reply reply);
  void serve_enforce(const std::string& params, ports::Channel::Reply reply);
  void serve_config(const std::string& params, ports::Channel::Reply reply);
  void serve_host_standby(const std::string& params, ports::Channel::Reply reply);
  void serve_host_prepare(const std::string& params, ports::Channel::Reply reply);
  void serve_vm_check(const std::string& params, ports::Channel::Reply reply);
  void serve_vm_dirty_rate(const std::string& params, ports::Channel::Reply reply);
  void serve_cpu_baseline(const std::string& params, ports::Channel::Reply reply);
  void serve_stream_open(const std::string& params, ports::Channel::Reply reply);
  void serve_file_receive(const std::string& params, ports::Channel::Reply reply);
  void serve_file_list(const std::string& params, ports::Channel::Reply reply);
  void serve_file_remove(const std::string& params, ports::Channel::Reply reply);
  Result<std::string> datastore_root(const std::string& ref) const;
  OpContext op_context() const;

  void hypervisor_changed(const std::string& uuid, bool connected);
  void look_at_inventory_again();

  Loop& loop_;
  const Time started_ = loop_.now();
  ports::Hypervisor& hypervisor_;
  ports::Storage& storage_;
  Journal& journal_;
  AgentIdentity identity_;
  Streams* streams_;
  CoreSettings settings_;
  Log log_{"agent"};
  std::shared_ptr<const model::AgentConfig> config_;
  std::string host_name_;
  model::HostInventory inventory_;
  bool inventory_known_ = false;
  bool hypervisor_connected_ = true;
  std::function<void(Error)> detached_;
  std::function<void(const model::Welcome&)> welcome_;
  SessionPtr session_;
  TimerId beat_timer_ = 0;
  Executor executor_;
  Observer observer_;
  Telemetry telemetry_;
  Entitlements entitlements_;
  Departure departure_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  FlowRoot greeting_;
  std::list<FlowRoot> settling_;
};

}  // namespace chorok::agent
