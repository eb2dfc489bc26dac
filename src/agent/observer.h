// What the host looks like now, told to the manager whole. One look at libvirt serves everybody who
// asked before it began; changes that come close together are one look. At rest it does nothing of
// its own: it looks when libvirt says that something changed, and on some of the agent's beats.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "model/protocol.h"
#include "ports/hypervisor.h"
#include "ports/storage.h"

namespace chorok::agent {

struct ObserverSettings {
  Duration coalesce = std::chrono::milliseconds(50);  // changes within it are one observation
  Duration look_timeout = std::chrono::seconds(10);   // a stuck libvirtd must not hold back results
  Duration probe_timeout = std::chrono::seconds(10);  // a datastore that hangs longer is not there
  Duration probe_interval = std::chrono::seconds(60);
  // May be empty: networks are then reported as reachable.
  std::function<model::NetworkReach(const model::Network&)> network_reach;
};

// Lives on the loop's thread.
class Observer {
 public:
  // `send` is given the JSON of a model::Observation.
  using Send = std::function<void(std::string observation)>;

  Observer(Loop& loop, ports::Hypervisor& hypervisor, ports::Storage& storage,
           ObserverSettings settings, Send send);
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // Somebody listens now (a new connection), or nobody any more.
  void begin();
  void end();
  void set_config(std::shared_ptr<const model::AgentConfig> config);
  // Something changed; it is told soon.
  void changed();
  // Looks, tells, then calls `then`. Calls it at once (posted) when nobody listens.
  void observe(Work then);
  void probe_datastores();
  void on_beat();
  // As of the last look; true when there has been none.
  bool vms_run() const { return vms_run_; }

 private:
  using Instances = std::vector<model::Instance>;
  struct Store {
    model::DatastoreReach reach;
    bool known = false;
    bool probing = false;
  };

  void begin_look(bool forced);
  void looked(std::uint64_t look, Result<Instances> instances);
  void tell(const Result<Instances>& instances);
  void probe(const model::Datastore& datastore);
  void probed(const std::string& id, Result<model::DatastoreReach> reach);

  Loop& loop_;
  ports::Hypervisor& hypervisor_;
  ports::Storage& storage_;
  ObserverSettings settings_;
  Send send_;
  std::shared_ptr<const model::AgentConfig> config_;
  std::map<std::string, Store> stores_;  // by id

  bool listening_ = false;
  bool vms_run_ = true;
  bool looking_ = false;
  bool look_again_ = false;
  bool forced_ = false;  // the look that runs is told even when nothing changed
  std::uint64_t look_ = 0;
  std::uint64_t sequence_ = 0;
  std::string last_body_;
  std::vector<Work> served_by_current_;
  std::vector<Work> served_by_next_;
  TimerId coalescing_ = 0;
  Time last_probe_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::agent
