#include "simulation/machines.h"

#include <utility>

namespace chorok::simulation {

Machines::Machines(net::AsioLoop& loop, manager::Tickets& tickets, Door door,
                   MachineSettings settings)
    : loop_(loop), tickets_(tickets), door_(std::move(door)), settings_(settings), world_(loop) {}

Machines::~Machines() {
  for (auto& machine : machines_) machine->core.reset();
}

void Machines::add(std::string id, sim::HostSettings settings) {
  auto machine = std::make_unique<Machine>();
  machine->id = std::move(id);
  machine->index = world_.add_host(std::move(settings));
  machine->hypervisor = world_.open_hypervisor(machine->index);
  machine->storage = world_.open_storage(machine->index);
  machine->journal = agent::Journal::open(machine->medium).value();
  machine->streams = std::make_unique<Streams>(loop_.executor(), world_, machine->index,
                                               *machine->hypervisor, tickets_, machine->id);
  machine->bmc = make_bmc(*machine);
  boot(*machine);
  by_id_[machine->id] = machine.get();
  machines_.push_back(std::move(machine));
}

ports::PowerSwitch* Machines::bmc(const std::string& id) {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second->bmc.get();
}

// Its agent begins anew with every boot.
void Machines::boot(Machine& machine) {
  const sim::FakeHost& host = world_.host(machine.index);
  agent::AgentIdentity identity{machine.id, host.inventory().boot_id, CHOROK_VERSION,
                                host.settings().address};
  machine.core = std::make_unique<agent::AgentCore>(loop_, *machine.hypervisor, *machine.storage,
                                                    *machine.journal, std::move(identity),
                                                    machine.streams.get());
  machine.core->on_detached([this, &machine](Error) {
    loop_.after(std::chrono::seconds(1), [this, &machine] { dial(machine); });
  });
  dial(machine);
}

void Machines::dial(Machine& machine) {
  if (!door_.knows(machine.id) || machine.core == nullptr) return;
  auto link = sim::MemoryLink::create(loop_, {}, random_.fork(machine.id));
  machine.link = link;
  std::shared_ptr<ports::Channel> here = link->take_a();
  std::shared_ptr<ports::Channel> there = link->take_b();
  door_.attach(machine.id, std::move(here));
  machine.core->attach(std::move(there));
}

// What is being told to the agent at this moment ends first.
void Machines::cut(Machine& machine) {
  loop_.post([this, &machine] {
    machine.core.reset();
    if (machine.link != nullptr) machine.link->cut("the host has no power");
    world_.kill_host(machine.index);
  });
}

void Machines::later(Duration delay, std::function<void()> work) {
  loop_.after(from_seconds(seconds(delay) / settings_.time_scale), std::move(work));
}

std::unique_ptr<sim::FakeBmc> Machines::make_bmc(Machine& machine) {
  const auto boots = [this, &machine] {
    later(settings_.boot, [this, &machine] {
      if (machine.core != nullptr || !machine.bmc->has_power()) return;
      world_.start_host(machine.index);
      boot(machine);
    });
  };
  const auto stops = [this, &machine] {
    later(settings_.shutdown, [this, &machine] {
      cut(machine);
      machine.bmc->stopped();
    });
  };
  sim::BmcMachine parts{.boot = boots,
                        .cut = [this, &machine] { cut(machine); },
                        .ask_to_stop = stops,
                        .draws = [] { return Watts(100); }};
  return std::make_unique<sim::FakeBmc>(
      loop_, std::move(parts),
      sim::BmcSettings{.host = world_.host(machine.index).settings().name});
}

}  // namespace chorok::simulation
