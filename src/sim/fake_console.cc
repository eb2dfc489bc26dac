#include "sim/fake_console.h"

#include <fmt/format.h>

namespace chorok::sim {

FakeConsole::FakeConsole(FakeWorld& world, HostIndex host, std::string uuid, QemuId qemu)
    : state_(std::make_shared<State>(State{world, host, std::move(uuid), qemu})) {
  world.later(Duration{}, [state = state_] { tick(state); });
}

FakeConsole::~FakeConsole() {
  state_->alive = false;
}

void FakeConsole::tick(const std::shared_ptr<State>& state) {
  if (!state->alive) return;
  const FakeDomain* domain = state->world.host(state->host).find(state->uuid);
  if (!domain || domain->qemu != state->qemu) {
    state->alive = false;
    if (state->closed) state->closed({Code::kUnavailable, "the guest is gone from this host", {}});
    return;
  }
  if (domain->guest.runs && state->data) {
    std::string line =
        fmt::format("chorok-guest life {} boot {} worked {:.3f}\r\n", domain->guest.life,
                    domain->guest.boots, seconds(domain->guest.counter(state->world.now())));
    state->data(line);
  }
  state->world.later(std::chrono::seconds(1), [state] { tick(state); });
}

void FakeConsole::on_data(std::move_only_function<void(std::span<const char>)> callback) {
  state_->data = std::move(callback);
}
void FakeConsole::on_close(std::move_only_function<void(Error)> callback) {
  state_->closed = std::move(callback);
}
void FakeConsole::write(std::string bytes) {
  state_->world.later(std::chrono::milliseconds(1), [state = state_, bytes = std::move(bytes)] {
    if (state->alive && state->data) state->data(bytes);
  });
}

}  // namespace chorok::sim
