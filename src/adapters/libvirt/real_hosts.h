// Two hosts of a lab for tests: this program runs inside the first (real_test.sh), and reaches the
// second by the network.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "adapters/libvirt/libvirt_hypervisor.h"
#include "ports/real_loop.h"

namespace chorok::adapters::libvirt {

inline constexpr const char* kFolder = "/srv/chorok/shared";

inline std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

inline std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

struct RealHosts {
  RealHosts() {
    hosts_[0] = open("qemu:///system");
    hosts_[1] = open(fmt::format("qemu+tcp://{}/system", variable("CHOROK_TEST_TARGET")));
  }

  static std::string missing() {
    if (variable("CHOROK_TEST_TARGET").empty())
      return "needs two libvirt hosts: run src/adapters/libvirt/real_test.sh (as root)";
    return {};
  }
  // A connection of its own to the first host, as another agent there would have.
  std::unique_ptr<LibvirtHypervisor> another() { return open("qemu:///system"); }
  ports::Hypervisor& hypervisor(int host) { return *hosts_[static_cast<std::size_t>(host)]; }
  bool wait(const std::function<bool()>& done) {
    return loop_.run_until(done, std::chrono::seconds(60));
  }
  void pass(Duration time) {
    loop_.run_until([] { return false; }, time);
  }

  model::DomainSpec domain(const std::string& name) {
    model::DomainSpec spec;
    spec.uuid = first_line("/proc/sys/kernel/random/uuid");
    spec.name = fmt::format("test-{}-{}-{}", name, getpid(), ++made_);
    spec.vm = "vm-" + spec.name;
    spec.generation = 7;
    spec.spec.memory = Mib(128);
    spec.spec.vnc = false;
    spec.kernel = fmt::format("{}/vmlinuz", kFolder);
    spec.initrd = fmt::format("{}/initrd", kFolder);
    spec.spec.boot.cmdline = "console=ttyS0 quiet no_timer_check chorok.ticks=1";
    model::DomainDisk disk;
    disk.spec.name = "root";
    disk.path = disk_path(spec.name);
    make_disk(disk.path);
    spec.disks.push_back(disk);
    model::DomainNic nic;
    nic.spec.name = "eth0";
    nic.spec.mac = fmt::format("52:54:00:{:02x}:{:02x}:{:02x}", getpid() >> 8 & 0xff,
                               getpid() & 0xff, made_ & 0xff);
    nic.bridge = "br0";
    spec.nics.push_back(nic);
    return spec;
  }
  std::string disk_path(const std::string& name) {
    std::filesystem::create_directories(fmt::format("{}/contract", kFolder));
    return fmt::format("{}/contract/{}.qcow2", kFolder, name);
  }
  void make_disk(const std::string& path) {
    std::string command = fmt::format("qemu-img create -q -f qcow2 {} 64M", path);
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  ports::MigrateRequest to(int) {
    ports::MigrateRequest request;
    request.target_address = variable("CHOROK_TEST_TARGET");
    request.target_uri = fmt::format("qemu+tcp://{}/system", request.target_address);
    request.settings.tls = false;
    return request;
  }
  ports::MigrateRequest nowhere() {
    ports::MigrateRequest request = to(1);
    request.target_uri = "qemu+tcp://127.0.0.1:1/system";
    return request;
  }
  void kill_daemon(int) {
    // The lab's keeper of daemons starts it again.
    std::ifstream file("/run/libvirtd.pid");
    pid_t pid = 0;
    file >> pid;
    ASSERT_GT(pid, 0);
    kill(pid, SIGKILL);
  }

 private:
  std::unique_ptr<LibvirtHypervisor> open(std::string uri) {
    LibvirtOptions options;
    options.uri = std::move(uri);
    options.progress_interval = std::chrono::milliseconds(100);
    options.simulated_cores = 0.5;
    auto opened = LibvirtHypervisor::create(loop_, std::move(options));
    EXPECT_TRUE(opened) << opened.error().message;
    return std::move(*opened);
  }

  ports::RealLoop loop_;
  std::array<std::unique_ptr<LibvirtHypervisor>, 2> hosts_;
  static inline int made_ = 0;
};

}  // namespace chorok::adapters::libvirt
