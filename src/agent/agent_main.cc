// chorok-agent: join, run, status, leave.
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "adapters/libvirt/libvirt_hypervisor.h"
#include "adapters/meter/hwmon.h"
#include "adapters/meter/rapl.h"
#include "adapters/power/driven_meter.h"
#include "adapters/power/own_standby.h"
#include "adapters/storage/qemu_img_storage.h"
#include "agent/files.h"
#include "agent/join.h"
#include "agent/program.h"
#include "base/json.h"
#include "crypto/x509.h"

namespace chorok::agent {
namespace {

constexpr const char* kUsage =
    "usage: chorok-agent join URL TOKEN [--name NAME] [--address IP] [--state DIR] [--config DIR]\n"
    "       chorok-agent run [--config DIR] [--verbose]\n"
    "       chorok-agent status [--config DIR]\n"
    "       chorok-agent leave [--config DIR]\n"
    "       chorok-agent --version\n";

// For the close frame to leave; a manager that does not hear it sees the connection end.
constexpr Duration kGoodbye = std::chrono::milliseconds(100);

struct Arguments {
  std::vector<std::string> words;
  std::map<std::string, std::string, std::less<>> options;
  std::string option(std::string_view name, std::string otherwise) const {
    auto it = options.find(name);
    return it == options.end() ? otherwise : it->second;
  }
  std::string config() const { return option("--config", std::string(kConfigFolder)); }
};

Result<Arguments> parse(std::span<char*> argv) {
  static const std::map<std::string, bool, std::less<>> kTakesValue = {
      {"--name", true},     {"--address", true},  {"--state", true}, {"--config", true},
      {"--verbose", false}, {"--version", false}, {"--help", false},
  };
  Arguments arguments;
  for (std::size_t i = 1; i < argv.size(); ++i) {
    std::string word = argv[i];
    if (!word.starts_with("--")) {
      arguments.words.push_back(std::move(word));
      continue;
    }
    std::string value;
    const auto equals = word.find('=');
    const bool is_joined = equals != std::string::npos;
    if (is_joined) {
      value = word.substr(equals + 1);
      word.resize(equals);
    }
    auto known = kTakesValue.find(word);
    if (known == kTakesValue.end())
      return fail(Code::kInvalid, fmt::format("there is no option {}\n{}", word, kUsage));
    if (known->second && !is_joined) {
      if (++i == argv.size())
        return fail(Code::kInvalid, fmt::format("{} needs a value\n{}", word, kUsage));
      value = argv[i];
    }
    arguments.options[word] = std::move(value);
  }
  return arguments;
}

Result<> run_join(const Arguments& arguments) {
  if (arguments.words.size() != 3) return fail(Code::kInvalid, kUsage);
  const AgentSettings settings =
      TRY(join({.url = arguments.words[1],
                .token = arguments.words[2],
                .name = arguments.option("--name", ""),
                .address = arguments.option("--address", ""),
                .state = arguments.option("--state", AgentSettings{}.state),
                .config = arguments.config()}));
  // Another configuration folder is somebody's experiment, not this host's.
  if (arguments.config() == kConfigFolder)
    for (const std::string& place : link_system_pki(arguments.config()))
      fmt::print(stderr, "chorok-agent: {} is there already and was left alone\n", place);
  fmt::print(
      "This host is '{}' ({}) of {} now, and migrates through {}.\n"
      "Start it: systemctl enable --now chorok-agent (or chorok-agent run)\n",
      settings.name, settings.host, settings.url,
      settings.address.empty() ? "an address yet to be set (--address)" : settings.address);
  return {};
}

adapters::libvirt::LibvirtOptions libvirt_options(const AgentSettings& settings,
                                                  const std::string& config) {
  adapters::libvirt::LibvirtOptions options;
  options.uri = settings.libvirt;
  options.address = settings.address;
  options.pki_dir = pki_folder(config);
  options.simulated_cores = settings.simulated_cores;
  if (settings.simulated_memory_mib) options.simulated_memory = Mib(*settings.simulated_memory_mib);
  return options;
}

// The processors' counters and the board's sensors, where there are any. A slice of a machine has
// none of its own.
class OwnMeters {
 public:
  OwnMeters(Loop& loop, const AgentSettings& settings) {
    if (settings.simulated_cores) return;
    add(loop, adapters::meter::make_rapl_meter());
    add(loop, adapters::meter::make_hwmon_meter());
  }
  std::vector<ports::PowerMeter*> all() const {
    std::vector<ports::PowerMeter*> out;
    for (const auto& meter : meters_) out.push_back(meter.get());
    return out;
  }

 private:
  void add(Loop& loop, Result<std::unique_ptr<adapters::power::MeterDriver>> driver) {
    if (!driver) return;
    if (pool_ == nullptr) pool_ = std::make_unique<adapters::work::WorkerPool>(1);
    meters_.push_back(
        std::make_unique<adapters::power::DrivenMeter>(loop, *pool_, std::move(*driver)));
  }

  std::unique_ptr<adapters::work::WorkerPool> pool_;
  std::vector<std::unique_ptr<ports::PowerMeter>> meters_;
};

// The kernel would suspend the machine that a slice is part of, and its system shut that down: a
// slice goes by the hook `poweroff` alone.
adapters::power::OwnStandbyOptions standby_options(const AgentSettings& settings,
                                                   const std::string& config) {
  adapters::power::OwnStandbyOptions options;
  options.hooks.folder = config + "/hooks.d";
  if (!settings.simulated_cores) return options;
  options.suspend.state.clear();
  options.power_off.clear();
  return options;
}

Result<> run_agent(const Arguments& arguments) {
  log_to_stderr(arguments.options.contains("--verbose") ? LogLevel::kDebug : LogLevel::kInfo);
  // One arena a thread is a fifth of the agent's memory, for threads that mostly wait.
  ::mallopt(M_ARENA_MAX, 2);
  ::signal(SIGPIPE, SIG_IGN);
  const std::string config = arguments.config();
  const AgentSettings settings = TRY(load_settings(config));
  net::AsioLoop loop;
  auto hypervisor =
      TRY(adapters::libvirt::LibvirtHypervisor::create(loop, libvirt_options(settings, config)));
  adapters::storage::QemuImgStorage storage(loop);
  const OwnMeters meters(loop, settings);
  adapters::work::WorkerPool standby_pool(1);
  adapters::power::OwnStandby standby(loop, standby_pool, standby_options(settings, config));
  Program program(loop, *hypervisor, storage, settings, config, meters.all(), &standby);
  TRY(program.start());
  loop.on_signals({SIGTERM, SIGINT}, [&](int) {
    notify_systemd("STOPPING=1");
    program.stop();
    loop.after(kGoodbye, [&loop] { loop.stop(); });
  });
  Log("agent").info("chorok-agent {} of host '{}' runs", CHOROK_VERSION, settings.name);
  notify_systemd("READY=1");
  loop.run();
  return {};
}

Result<> run_status(const Arguments& arguments) {
  const std::string config = arguments.config();
  const AgentSettings settings = TRY(load_settings(config));
  fmt::print("host         {} ({})\nmanager      {}\naddress      {}\n", settings.name,
             settings.host, settings.url, settings.address);
  const Pki pki = TRY(load_pki(config));
  const auto certificate = TRY(crypto::certificate_info(pki.certificate));
  fmt::print("certificate  until {}, renewed from {}\n", json::format_time(certificate.not_after),
             json::format_time(certificate.renew_at()));
  // Whoever holds the journal is the agent that runs.
  auto medium = open_journal_file(settings.state + "/journal");
  const bool runs = !medium && medium.error().code == Code::kConflict;
  auto status = read_file(settings.state + "/status");
  fmt::print("agent        {}\n", runs ? "runs" : "does not run");
  if (runs && status) fmt::print("link         {}", *status);
  return {};
}

Result<> run_leave(const Arguments& arguments) {
  const std::string config = arguments.config();
  const AgentSettings settings = TRY(load_settings(config));
  if (auto medium = open_journal_file(settings.state + "/journal");
      !medium && medium.error().code == Code::kConflict)
    return fail(Code::kFailedPrecondition,
                "the agent runs: stop it first (systemctl disable --now chorok-agent)");
  if (config == kConfigFolder) unlink_system_pki(config);
  TRY(remove_pki(config));
  std::error_code ignored;
  for (const char* name : {"/journal", "/journal.lock", "/status", "/telemetry", "/telemetry.lock",
                           "/entitlements", "/entitlements.lock"})
    std::filesystem::remove(settings.state + name, ignored);
  std::filesystem::remove(config + "/agent.toml", ignored);
  fmt::print(
      "This host has left {}; its guests were not touched.\n"
      "Remove it there too: chorok host remove {}\n",
      settings.url, settings.name);
  return {};
}

Result<> dispatch(const Arguments& arguments) {
  if (arguments.options.contains("--version")) {
    fmt::print("chorok-agent {}\n", CHOROK_VERSION);
    return {};
  }
  if (arguments.options.contains("--help")) {
    fmt::print("{}", kUsage);
    return {};
  }
  static const std::map<std::string, Result<> (*)(const Arguments&), std::less<>> kCommands = {
      {"join", run_join}, {"run", run_agent}, {"status", run_status}, {"leave", run_leave}};
  auto command =
      arguments.words.empty() ? kCommands.end() : kCommands.find(arguments.words.front());
  if (command == kCommands.end()) return fail(Code::kInvalid, kUsage);
  return command->second(arguments);
}

int main_result(std::span<char*> argv) {
  auto arguments = parse(argv);
  Result<> done = arguments ? dispatch(*arguments) : Result<>(Unexpected(arguments.error()));
  if (done) return 0;
  fmt::print(stderr, "chorok-agent: {}\n", done.error().message);
  return done.error().code == Code::kInvalid ? 2 : 1;
}

}  // namespace
}  // namespace chorok::agent

int main(int argc, char** argv) {
  const int code = chorok::agent::main_result({argv, static_cast<std::size_t>(argc)});
  std::fflush(nullptr);
  // A thread may hang in a dead file system; nothing is left to do that it could hold up.
  ::_exit(code);
}
