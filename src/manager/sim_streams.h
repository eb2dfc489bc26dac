// Consoles and files of one simulated host. It takes its tickets at the manager itself, where a
// real agent would dial. Part of chorok-sim.
#pragma once

#include <memory>
#include <string>

#include "agent/streams.h"
#include "manager/tickets.h"
#include "net/asio_loop.h"
#include "ports/hypervisor.h"
#include "sim/fake_world.h"

namespace chorok::manager {

std::unique_ptr<agent::Streams> make_sim_streams(const net::Executor& executor,
                                                 sim::FakeWorld& world, sim::HostIndex index,
                                                 ports::Hypervisor& hypervisor, Tickets& tickets,
                                                 std::string host);

}  // namespace chorok::manager
