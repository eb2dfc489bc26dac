// Consoles and files of one simulated host. It takes its tickets at the manager itself, where a
// real agent would dial.
#pragma once

#include <string>

#include "agent/core.h"
#include "manager/tickets.h"
#include "net/async.h"
#include "ports/hypervisor.h"
#include "sim/fake_world.h"

namespace chorok::simulation {

class Streams final : public agent::Streams {
 public:
  Streams(const net::Executor& executor, sim::FakeWorld& world, sim::HostIndex index,
          ports::Hypervisor& hypervisor, manager::Tickets& tickets, std::string host);

  void open(model::StreamRequest request, Done<Result<>> done) override;
  void receive(model::FileRequest request, std::string root,
               Done<Result<model::FileInfo>> done) override;
  void list(model::FileRequest request, std::string root,
            Done<Result<model::FileList>> done) override;
  void remove(model::FileRequest request, std::string root, Done<Result<>> done) override;

 private:
  Result<> join(const std::string& ticket, std::unique_ptr<ports::ConsoleStream> guest);
  net::Async<model::FileInfo> fetch(model::FileRequest request, std::string root);

  net::Executor executor_;
  sim::FakeWorld& world_;
  sim::HostIndex index_;
  ports::Hypervisor& hypervisor_;
  manager::Tickets& tickets_;
  std::string host_;
};

}  // namespace chorok::simulation
