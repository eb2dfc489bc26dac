// The whole manager over hosts that are not there. Engine, controllers, agents' core and API are
// those of the real programs; below them are sim's fake hosts, between them links in memory. Needs
// no root, keeps nothing, and says `simulated` wherever it is asked.
#pragma once

#include <memory>
#include <string>

#include "adapters/memory/memory_store.h"
#include "adapters/sqlite/sqlite_history.h"
#include "adapters/sqlite/sqlite_store.h"
#include "manager/http_options.h"
#include "manager/http_service.h"
#include "manager/state_dir.h"
#include "simulation/hosts_apart.h"
#include "simulation/machines.h"

namespace chorok::simulation {

struct Plan {
  long hosts = 3;
  long vms = 6;      // created and started
  long records = 0;  // VMs that are only in the inventory, switched off
  double time_scale = 1;
  manager::ListenAddress listen;
  manager::StateDir state;
  std::string password;  // of the user admin
  bool apart = false;    // hosts are a process of their own
  bool on_disk = false;  // records and history, as in production; otherwise in memory
  std::string apart_socket() const { return state.path + "/hosts.sock"; }
  std::string apart_identities() const { return state.path + "/hosts"; }
};

class Simulation : public manager::PowerSwitches {
 public:
  // The PKI outlives it.
  Simulation(Plan plan, const manager::Pki& pki);

  // Until SIGTERM or SIGINT; the program's exit code.
  int run();

  ports::PowerSwitch* find(const model::Host& host) override;

 private:
  net::awaitable<void> start();
  net::Async<> open();
  Result<> open_files();
  void make_service();
  net::Async<> commit(manager::Changes changes);
  net::Async<> make_inventory();
  net::Async<> make_hosts();
  net::Async<> make_records();
  void make_machines();
  net::awaitable<void> make_vms();
  void make_vm(long i);
  net::awaitable<void> until(std::function<bool()> condition);
  model::Meta named(std::string id, std::string name) const;
  model::Vm make_record(long i) const;
  long hosts_ready();
  long tasks_open();

  Plan plan_;
  const manager::Pki& pki_;
  net::AsioLoop loop_;
  std::unique_ptr<ports::Store> store_;
  std::unique_ptr<sqlite::SqliteHistory> history_;
  std::unique_ptr<manager::Service> service_;
  std::unique_ptr<Machines> machines_;
  ApartBmcs bmcs_;
  manager::Caller caller_;  // who creates the VMs
  long creating_ = 0;
  int exit_code_ = 0;
};

}  // namespace chorok::simulation
