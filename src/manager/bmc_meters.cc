#include "manager/bmc_meters.h"

#include "adapters/power/driven_meter.h"
#include "manager/bmc_options.h"

namespace chorok::manager {

namespace {

namespace power = adapters::power;

// Readings at a time. BMCs that do not answer take a thread until their time is over, and are asked
// rarely then.
constexpr std::size_t kThreads = 8;

// Null: there is none that can be read.
Result<std::unique_ptr<power::MeterDriver>> driver_of(const model::BmcSpec& spec,
                                                      const std::string& password) {
  if (spec.driver == "ipmi") return power::make_ipmi_meter(ipmi_options(spec, password));
  if (spec.driver == "redfish")
    return adapters::redfish::make_redfish_meter(redfish_options(spec, password));
  return std::unique_ptr<power::MeterDriver>();
}

}  // namespace

BmcMeters::BmcMeters(Loop& loop, Unseal unseal)
    : loop_(loop), unseal_(std::move(unseal)), pool_(kThreads) {}

BmcMeters::~BmcMeters() = default;

ports::PowerMeter* BmcMeters::find(const model::Host& host) {
  if (host.bmc.driver.empty()) {
    made_.erase(host.meta.id);
    return nullptr;
  }
  const auto known = made_.find(host.meta.id);
  if (known != made_.end() && known->second.of == host.bmc) return known->second.meter.get();
  Made made{.of = host.bmc, .meter = nullptr};
  Result<std::string> password = std::string();
  if (!host.bmc.sealed.empty()) password = unseal_(host.bmc.sealed, bmc_place(host.meta.id));
  auto driver = password
                    ? driver_of(host.bmc, *password)
                    : Result<std::unique_ptr<power::MeterDriver>>(Unexpected(password.error()));
  if (!driver)
    log_.error("host {}: its meter is not used: {}", host.meta.name, driver.error().message);
  else if (*driver != nullptr)
    made.meter = std::make_unique<power::DrivenMeter>(loop_, pool_, std::move(*driver));
  return (made_[host.meta.id] = std::move(made)).meter.get();
}

}  // namespace chorok::manager
