// The serial console of a fake guest: a line a second with the time it has worked, and an echo of
// what is typed. It ticks only while somebody listens, and ends with the guest's QEMU.
#pragma once

#include <memory>
#include <string>

#include "ports/hypervisor.h"
#include "sim/fake_world.h"

namespace chorok::sim {

class FakeConsole final : public ports::ConsoleStream {
 public:
  FakeConsole(FakeWorld& world, HostIndex host, std::string uuid, QemuId qemu);
  ~FakeConsole() override;

  void on_data(std::move_only_function<void(std::span<const char>)> callback) override;
  void on_close(std::move_only_function<void(Error)> callback) override;
  void write(std::string bytes) override;

 private:
  struct State {
    FakeWorld& world;
    HostIndex host;
    std::string uuid;
    QemuId qemu;
    bool alive = true;
    std::move_only_function<void(std::span<const char>)> data;
    std::move_only_function<void(Error)> closed;
  };
  static void tick(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;
};

}  // namespace chorok::sim
