// BMCs for the contracts: tools that are scripts in a folder of their own, and the lab's. Only
// tests include this.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "adapters/power/driven_meter.h"
#include "adapters/power/driven_switch.h"
#include "adapters/power/text.h"
#include "ports/real_loop.h"

namespace chorok::adapters::power {

// A folder that goes with the test.
class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "chorok-power-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string at(const std::string& name) const { return path_ + "/" + name; }
  void write(const std::string& name, const std::string& text, mode_t mode = 0644) const {
    std::filesystem::create_directories(std::filesystem::path(at(name)).parent_path());
    std::ofstream(at(name)) << text;
    chmod(at(name).c_str(), mode);
  }
  std::string read(const std::string& name) const {
    std::ifstream file(at(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Quick enough for a test, slow enough for a machine under load.
inline DrivenOptions test_options(Duration limit = std::chrono::seconds(1)) {
  return {.confirm_limit = limit,
          .confirm_every = std::chrono::milliseconds(50),
          .cycle_pause = std::chrono::milliseconds(10)};
}

// What is common to fixtures: a loop in real time and a few workers.
struct RealFixture {
  ports::RealLoop loop;
  work::WorkerPool pool{4};
  std::unique_ptr<ports::PowerSwitch> power_switch;
  std::unique_ptr<ports::PowerMeter> power_meter;

  ports::PowerSwitch& power() { return *power_switch; }
  ports::PowerMeter& meter() { return *power_meter; }
  bool wait(const std::function<bool()>& done) {
    return loop.run_until(done, std::chrono::seconds(90));
  }
  void use(std::unique_ptr<PowerDriver> driver, DrivenOptions options = test_options()) {
    power_switch = std::make_unique<DrivenSwitch>(loop, pool, std::move(driver), options);
  }
  void use(std::unique_ptr<MeterDriver> driver) {
    power_meter = std::make_unique<DrivenMeter>(loop, pool, std::move(driver));
  }
};

// A chassis as files, which scripts in the same folder act on: `state` (on, off), `turns` (a line a
// change), `watts`; `dead` and `stuck` when they exist.
struct ChassisFiles {
  Folder folder;

  ChassisFiles() {
    folder.write("state", "on\n");
    folder.write("watts", "120\n");
    folder.write("turns", "");
  }
  bool has_power() { return folder.read("state") == "on\n"; }
  int turns() { return static_cast<int>(lines(folder.read("turns")).size()); }
  void unplug() { folder.write("dead", ""); }
  void sticks() { folder.write("stuck", ""); }
  void load(double busy) {
    folder.write("watts", std::to_string(static_cast<int>(120 + 230 * busy)) + "\n");
  }
  // For scripts: `turn on|off`.
  static constexpr const char* kTurn = R"sh(
d=$(dirname "$0")
turn() {
  [ ! -e "$d/stuck" ] || return 0
  [ "$(cat "$d/state")" != "$1" ] || return 0
  echo "$1" >"$d/state"
  echo "$1" >>"$d/turns"
}
)sh";
};

// A host of a lab that runs: CHOROK_LAB_BMC is the path of lab/lab, and its settings are in the
// environment. lab/bmc_test.sh calls these tests.
class LabHost {
 public:
  explicit LabHost(std::string name) : name_(std::move(name)) { heal(); }
  ~LabHost() { heal(); }
  LabHost(const LabHost&) = delete;
  LabHost& operator=(const LabHost&) = delete;

  static std::string missing() {
    return lab_path() == nullptr ? "needs a lab's BMCs: ./dev test bmc" : "";
  }
  // Address, user, password file, cipher suite, fingerprint where it speaks Redfish.
  std::vector<std::string> facts() const {
    std::vector<std::string> found;
    for (std::string_view line : lines(run("bmc " + name_))) found.emplace_back(line);
    found.resize(5);
    return found;
  }
  std::string password() const {
    std::ifstream file(facts()[2]);
    std::string word;
    std::getline(file, word);
    return word;
  }
  bool has_power() const { return run("running " + name_) == "on\n"; }
  int turns() const { return std::atoi(run("bmc " + name_ + " turns").c_str()) - turns_before_; }
  void unplug() const { run("bmc " + name_ + " stop"); }
  void sticks() const { run("quirk " + name_ + " stuck_on"); }
  void quirk(const std::string& words) const { run("quirk " + name_ + " " + words); }
  // The meter looks once a second and says the mean of that second.
  void load(double busy) const {
    run("exec " + name_ + " pkill -f chorok-test-load");
    if (busy > 0)
      run("exec " + name_ +
          " sh -c 'timeout 60 sh -c \"while :; do :; done\" chorok-test-load >/dev/null 2>&1 &'");
    run("exec " + name_ + " sleep 4");
  }

 private:
  static const char* lab_path() { return std::getenv("CHOROK_LAB_BMC"); }
  std::string run(const std::string& words) const {
    std::string said;
    FILE* pipe = popen((std::string(lab_path()) + " " + words + " 2>/dev/null").c_str(), "r");
    std::array<char, 4096> chunk{};
    while (std::size_t got = fread(chunk.data(), 1, chunk.size(), pipe))
      said.append(chunk.data(), got);
    pclose(pipe);
    return said;
  }
  void heal() {
    run("quirk " + name_);
    run("bmc " + name_ + " start");
    run("start " + name_);
    turns_before_ = 0;
    turns_before_ = turns();
  }

  std::string name_;
  int turns_before_ = 0;
};

}  // namespace chorok::adapters::power
