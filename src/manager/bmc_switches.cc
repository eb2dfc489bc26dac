#include "manager/bmc_switches.h"

#include <fmt/format.h>

#include "adapters/power/driven_switch.h"
#include "adapters/power/fence.h"
#include "adapters/power/hook.h"
#include "adapters/power/ipmi.h"
#include "adapters/redfish/redfish.h"

namespace chorok::manager {

namespace {

namespace power = adapters::power;

// Calls to BMCs at a time: each waits for a network and for seconds.
constexpr std::size_t kThreads = 16;

Result<std::unique_ptr<power::PowerDriver>> driver_of(const model::BmcSpec& spec,
                                                      const std::string& password) {
  if (spec.driver == "ipmi") {
    power::IpmiOptions options{.address = spec.address,
                               .user = spec.user,
                               .password = password,
                               .cipher_suite = spec.cipher_suite};
    if (spec.port != 0) options.port = spec.port;
    return power::make_ipmi_switch(std::move(options));
  }
  if (spec.driver == "redfish") {
    adapters::redfish::RedfishOptions options{.address = spec.address,
                                              .user = spec.user,
                                              .password = password,
                                              .fingerprint = spec.fingerprint};
    if (spec.port != 0) options.port = spec.port;
    return adapters::redfish::make_redfish_switch(std::move(options));
  }
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
          "'{}' is no driver; there are ipmi, redfish, hook and fence agents (fence_apc, …)",
          spec.driver.substr(0, 40)),
      "/bmc/driver");
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
  if (spec.address.empty()) return fail(Code::kInvalid, "where is it?", "/bmc/address");
  TRY(driver_of(spec, spec.password));
  return {};
}

ports::PowerSwitch* BmcSwitches::find(const model::Host& host) {
  if (host.bmc.driver.empty()) {
    made_.erase(host.meta.id);
    return nullptr;
  }
  const auto known = made_.find(host.meta.id);
  if (known != made_.end() && known->second.of == host.bmc) return known->second.power.get();
  Made made{.of = host.bmc, .power = nullptr};
  Result<std::string> password = std::string();
  if (!host.bmc.sealed.empty()) password = unseal_(host.bmc.sealed, bmc_place(host.meta.id));
  auto driver = password
                    ? driver_of(host.bmc, *password)
                    : Result<std::unique_ptr<power::PowerDriver>>(Unexpected(password.error()));
  if (driver)
    made.power = std::make_unique<power::DrivenSwitch>(loop_, pool_, std::move(*driver));
  else
    log_.error("host {}: its BMC is not used: {}", host.meta.name, driver.error().message);
  return (made_[host.meta.id] = std::move(made)).power.get();
}

}  // namespace chorok::manager
