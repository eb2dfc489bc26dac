#include "manager/bmc_switches.h"

#include <fmt/format.h>

#include "adapters/power/driven_switch.h"
#include "adapters/power/fence.h"
#include "adapters/power/hook.h"
#include "adapters/power/wake.h"
#include "adapters/work/blocking.h"
#include "manager/bmc_options.h"

namespace chorok::manager {

namespace {

namespace power = adapters::power;

// Calls to BMCs at a time: each waits for a network and for seconds.
constexpr std::size_t kThreads = 16;

Result<std::unique_ptr<power::PowerDriver>> driver_of(const model::BmcSpec& spec,
                                                      const std::string& password) {
  if (spec.driver == "ipmi") return power::make_ipmi_switch(ipmi_options(spec, password));
  if (spec.driver == "redfish")
    return adapters::redfish::make_redfish_switch(redfish_options(spec, password));
  if (spec.driver.starts_with("fence_")) {
    power::FenceOptions options{.agent = spec.driver, .options = spec.options};
    options.options["ip"] = spec.address;
    if (spec.port != 0) options.options["ipport"] = std::to_string(spec.port);
    if (!spec.user.empty()) options.options["username"] = spec.user;
    if (!password.empty()) options.options["password"] = password;
    return power::make_fence_switch(std::move(options));
  }
  if (spec.driver == "hook") return power::make_hook_switch({.name = spec.address, .hooks = {}});
  return fail(
      Code::kInvalid,
      fmt::format(
          "'{}' is no driver; there are ipmi, redfish, hook, wol and fence agents (fence_apc, …)",
          spec.driver.substr(0, 40)),
      "/bmc/driver");
}

power::WakeOptions wake_options(const model::BmcSpec& spec, const std::string& password) {
  power::WakeOptions options{.macs = spec.mac, .interface = spec.interface};
  if (!spec.broadcast.empty()) options.broadcast = spec.broadcast;
  // Beside a BMC, port and password are the BMC's.
  if (spec.driver != model::kWakeOnLan) return options;
  if (spec.port != 0) options.port = spec.port;
  options.password = password;
  return options;
}

// Magic packets leave by a thread: a name of an interface is looked up, and a queue may be full.
AgentSwitch::Wake wake_of(Loop& loop, adapters::work::WorkerPool& pool,
                          std::unique_ptr<power::PowerDriver> driver) {
  auto blocking = std::make_shared<adapters::work::Blocking>(loop, pool);
  return [blocking, packets = std::shared_ptr(std::move(driver))](Done<Result<>> done) {
    blocking->run<void>(
        "", [packets] { return packets->send(power::PowerDriver::Command::kOn); }, std::move(done));
  };
}

// What speaks of packets or of the agent where neither is used would be believed to do something.
Result<> check_packets(const model::BmcSpec& spec) {
  const bool suspends = spec.standby == model::Standby::kSuspend;
  if (spec.driver == model::kWakeOnLan && !spec.address.empty())
    return fail(Code::kInvalid,
                "of wol it is empty: packets go to the broadcast address (broadcast)",
                "/bmc/address");
  if (spec.driver != model::kWakeOnLan && !suspends && !spec.mac.empty())
    return fail(Code::kInvalid,
                fmt::format("'{}' switches it on without magic packets; they are for wol, and for "
                            "hosts with standby suspend",
                            spec.driver),
                "/bmc/mac");
  if (!spec.mac.empty() || (spec.broadcast.empty() && spec.interface.empty())) return {};
  return fail(Code::kInvalid, "no packets are sent: which card is to be woken (mac)?",
              spec.broadcast.empty() ? "/bmc/interface" : "/bmc/broadcast");
}

}  // namespace

std::string bmc_place(const std::string& host) {
  return "host/" + host + "/bmc";
}

BmcSwitches::BmcSwitches(Loop& loop, Unseal unseal)
    : loop_(loop), unseal_(std::move(unseal)), pool_(kThreads) {}

BmcSwitches::~BmcSwitches() = default;

Result<> BmcSwitches::check(const model::BmcSpec& spec) {
  if (spec.driver.empty()) return {};
  TRY(check_packets(spec));
  if (spec.driver == model::kWakeOnLan || !spec.mac.empty())
    TRY(power::make_wake_switch(wake_options(spec, spec.password)));
  if (spec.driver == model::kWakeOnLan) return {};
  if (spec.address.empty()) return fail(Code::kInvalid, "where is it?", "/bmc/address");
  TRY(driver_of(spec, spec.password));
  return {};
}

Result<> BmcSwitches::can_reach(const model::BmcSpec& spec) const {
  if (!spec.driver.starts_with("fence_") || power::has_fence_agent(spec.driver)) return {};
  return fail(Code::kInvalid,
              fmt::format("the manager's machine has no {}; Debian's fence-agents packages have "
                          "many",
                          spec.driver),
              "/bmc/driver");
}

Result<std::unique_ptr<ports::PowerSwitch>> BmcSwitches::make(const model::Host& host) {
  const model::BmcSpec& spec = host.bmc;
  const std::string password =
      spec.sealed.empty() ? std::string() : TRY(unseal_(spec.sealed, bmc_place(host.meta.id)));
  std::unique_ptr<ports::PowerSwitch> bmc;
  if (model::has_witness(spec))
    bmc = std::make_unique<power::DrivenSwitch>(loop_, pool_, TRY(driver_of(spec, password)));
  if (!model::sleeps_by_agent(spec)) return bmc;
  AgentSwitch::Wake wake;
  if (!spec.mac.empty())
    wake = wake_of(loop_, pool_, TRY(power::make_wake_switch(wake_options(spec, password))));
  return std::make_unique<AgentSwitch>(AgentSwitch::Parts{.loop = loop_,
                                                          .reach = reach_,
                                                          .host = host.meta.id,
                                                          .spec = spec,
                                                          .wake = std::move(wake),
                                                          .bmc = std::move(bmc)});
}

ports::PowerSwitch* BmcSwitches::find(const model::Host& host) {
  if (host.bmc.driver.empty()) {
    made_.erase(host.meta.id);
    return nullptr;
  }
  const auto known = made_.find(host.meta.id);
  if (known != made_.end() && known->second.of == host.bmc) return known->second.power.get();
  Made made{.of = host.bmc, .power = nullptr};
  auto power = make(host);
  if (power)
    made.power = std::move(*power);
  else
    log_.error("host {}: its BMC is not used: {}", host.meta.name, power.error().message);
  return (made_[host.meta.id] = std::move(made)).power.get();
}

}  // namespace chorok::manager
