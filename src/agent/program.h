// What the agent program does when it runs: builds the core on libvirt, qemu-img, the journal and
// the network, and keeps it going until a signal.
#pragma once

#include <memory>
#include <string>

#include "agent/core.h"
#include "agent/dialer.h"
#include "agent/settings.h"
#include "agent/streams.h"
#include "net/asio_loop.h"

namespace chorok::agent {

// Everything above the two adapters. Guests never notice that it stops.
class Program {
 public:
  // `meters`: the host's own. `standby`: how it goes to standby; null: it cannot. They outlive it.
  Program(net::AsioLoop& loop, ports::Hypervisor& hypervisor, ports::Storage& storage,
          AgentSettings settings, std::string config_folder,
          std::vector<ports::PowerMeter*> meters = {}, ports::HostStandby* standby = nullptr);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  Result<> start();
  // Says goodbye to the manager; guests and operations under way go on.
  void stop();

 private:
  net::awaitable<void> keep_certificate();
  net::Async<> renew_certificate();
  void write_status(bool connected, const std::string& words);

  net::AsioLoop& loop_;
  ports::Hypervisor& hypervisor_;
  ports::Storage& storage_;
  AgentSettings settings_;
  std::string config_folder_;
  std::vector<ports::PowerMeter*> meters_;
  ports::HostStandby* standby_;
  Log log_{"agent"};
  std::unique_ptr<JournalMedium> medium_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<JournalMedium> spool_;         // of telemetry
  std::unique_ptr<JournalMedium> entitlements_;  // what VMs are to get
  ManagerLink link_;
  std::unique_ptr<NetStreams> streams_;
  std::unique_ptr<AgentCore> core_;
  std::unique_ptr<Dialer> dialer_;
};

// Tells systemd; does nothing where NOTIFY_SOCKET is not set.
void notify_systemd(std::string_view state);
// The kernel's, new at each boot.
std::string boot_id();

}  // namespace chorok::agent
