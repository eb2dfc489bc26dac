#include "simulation/machines.h"

#include <fmt/format.h>

#include <utility>

namespace chorok::simulation {

std::string host_id(long i) {
  return fmt::format("host-{:06}", i + 1);
}
std::string host_name(long i) {
  return fmt::format("host{}", i + 1);
}
std::string host_address(long i) {
  return fmt::format("10.{}.{}.{}", i / 62500, i / 250 % 250, i % 250 + 1);
}

Machines::Machines(net::AsioLoop& loop, manager::Tickets* tickets, MakeWay make_way,
                   MachineSettings settings)
    : loop_(loop),
      tickets_(tickets),
      make_way_(std::move(make_way)),
      settings_(settings),
      world_(loop) {}

Machines::~Machines() {
  for (auto& machine : machines_) {
    machine->way.reset();
    machine->core.reset();
  }
}

void Machines::add_alike(long hosts) {
  world_.files().add_datastore({std::string(kShared), true, Mib{1 << 26}, {}});
  world_.files().add_datastore({std::string(kLocal), false, Mib{1 << 22}, {}});
  for (long i = 0; i < hosts; ++i) {
    sim::HostSettings settings;
    settings.name = host_name(i);
    settings.address = host_address(i);
    add(host_id(i), std::move(settings));
  }
}

void Machines::add(std::string id, sim::HostSettings settings) {
  auto machine = std::make_unique<Machine>();
  machine->id = std::move(id);
  machine->index = world_.add_host(std::move(settings));
  machine->hypervisor = world_.open_hypervisor(machine->index);
  machine->storage = world_.open_storage(machine->index);
  machine->journal = agent::Journal::open(machine->medium).value();
  if (tickets_ != nullptr)
    machine->streams = std::make_unique<Streams>(loop_.executor(), world_, machine->index,
                                                 *machine->hypervisor, *tickets_, machine->id);
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
  machine.way = make_way_(machine.id, *machine.core);
}

// What is being told to the agent at this moment ends first.
void Machines::cut(Machine& machine) {
  loop_.post([this, &machine] {
    machine.way.reset();
    machine.core.reset();
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
