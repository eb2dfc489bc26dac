// The controllers' runtime: knows which VMs and hosts are due, shows each controller its view,
// stores what it wants changed, and only then sends commands. Batches what is due in one turn of
// the loop; does nothing when nothing is due.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "control/view.h"
#include "manager/engine.h"
#include "manager/world.h"

namespace chorok::manager {

// Carries commands to agents. Called only after the intent is durable.
class Commander {
 public:
  virtual ~Commander() = default;
  virtual void send(const model::Operation& operation) = 0;
  virtual void cancel(const std::string& host, const std::string& operation) = 0;
};

class Reconciler {
 public:
  Reconciler(Engine& engine, World& world, Commander& commander);
  ~Reconciler();

  void mark_vm(const std::string& id);
  void mark_host(const std::string& id);
  void mark_all();

 private:
  void applied(const Changes& changes);
  void host_died(const std::string& id);
  void schedule();
  void run();
  void reconcile_vm(const std::string& id);
  void reconcile_host(const std::string& id);
  void autostart(const model::Host& host);
  void put_own_task(Changes& changes, const std::string& vm, model::Task task);
  void fail_orphan(const model::Task& task);
  void carry_out(const std::string& vm, control::Outcome outcome);
  void mark(const std::string& id);
  void wake_later(const std::string& id, Duration delay);
  std::shared_ptr<const model::Task> head_task(const std::string& vm) const;

  Engine& engine_;
  World& world_;
  Commander& commander_;
  std::set<std::string> due_vms_;
  std::set<std::string> due_hosts_;
  bool scheduled_ = false;
  struct Wake {
    TimerId timer = 0;
    Time due{};
  };
  std::map<std::string, Wake> wakes_;
  std::map<std::string, std::set<std::string>>
      open_tasks_;                    // by target: ids of tasks that are not finished
  std::set<std::string> cancelling_;  // operations already asked to stop
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
