// chorok-sim: reads the options, makes the CA and runs a Simulation.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "manager/http_options.h"
#include "simulation/simulation.h"

namespace chorok::simulation {
namespace {

using manager::OptionSpec;

constexpr OptionSpec kOptions[] = {
    {"hosts", "N", "simulated hosts; default 3"},
    {"vms", "N", "VMs to create and start; default 6"},
    {"records", "N", "VMs that are only in the inventory, switched off; default 0"},
    {"listen", "ADDR:PORT", "default 127.0.0.1:8443"},
    {"state", "DIR", "for the CA and the admin's socket; default a temporary folder"},
    {"time-scale", "N", "policies' windows are so many times shorter; default 1"},
    {"admin-password", "WORD", "of the user admin; default chorok-sim"},
    {"apart", "", "hosts in a process of their own, which dials over TLS; without consoles"},
    {"disk", "", "records and history in files in the state folder, as chorok-manager has them"},
    {"verbose", "", "log everything"},
    {"help", "", "this"},
};

Result<int> dispatch(std::span<const std::string_view> args) {
  const manager::Options options = TRY(manager::Options::parse(args, kOptions));
  if (options.has("help") || !options.rest().empty()) {
    fmt::print("usage: chorok-sim [OPTIONS]\n\n{}", manager::help_of(kOptions));
    return options.has("help") ? 0 : 2;
  }
  log_to_stderr(options.has("verbose") ? LogLevel::kDebug : LogLevel::kWarn);
  Plan plan;
  plan.hosts = TRY(options.number("hosts", 3, 1, 10'000));
  plan.vms = TRY(options.number("vms", 6, 0, 100'000));
  plan.records = TRY(options.number("records", 0, 0, 200'000));
  plan.time_scale = static_cast<double>(TRY(options.number("time-scale", 1, 1, 1000)));
  plan.listen = TRY(manager::parse_listen(options.get("listen", "127.0.0.1:8443")));
  plan.password = options.get("admin-password", "chorok-sim");
  plan.apart = options.has("apart");
  plan.on_disk = options.has("disk");
  if (plan.apart && plan.listen.port == 0)
    return fail(Code::kInvalid, "--apart needs a port to dial: give --listen one");
  const bool is_temporary = !options.has("state");
  plan.state.path = options.get("state");
  if (is_temporary) {
    std::error_code none;
    const std::filesystem::path folder = std::filesystem::temp_directory_path(none);  // TMPDIR
    std::string temporary = (folder / "chorok-sim-XXXXXX").string();
    if (none || ::mkdtemp(temporary.data()) == nullptr)
      return fail(Code::kExhausted,
                  "no temporary folder can be made; set TMPDIR to one that you may write to, or "
                  "give --state DIR");
    plan.state.path = temporary;
  }
  TRY(plan.state.make());
  auto pki = manager::Pki::create(plan.state.pki(), std::chrono::system_clock::now());
  if (!pki && pki.error().code == Code::kAlreadyExists) pki = manager::Pki::open(plan.state.pki());
  if (!pki) return Unexpected(pki.error());
  const std::string folder = plan.state.path;
  if (plan.apart && ::fork() == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    const ApartSettings apart{
        .socket = plan.apart_socket(),
        .identities = plan.apart_identities(),
        .manager = fmt::format("https://{}:{}", plan.listen.address, plan.listen.port),
        .hosts = plan.hosts,
        .time_scale = plan.time_scale};
    return run_hosts_apart(apart);
  }
  const int code = Simulation(std::move(plan), *pki).run();
  if (is_temporary) {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  return code;
}

}  // namespace
}  // namespace chorok::simulation

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  chorok::manager::tune_allocator();
  std::vector<std::string_view> args(argv + 1, argv + argc);
  auto result = chorok::simulation::dispatch(args);
  if (result) return *result;
  fmt::print(stderr, "error: {}\n", result.error().message);
  return 1;
}
