// What a host's BMC says when it is asked now: whether it answers at all, before a life depends on
// it.
#include <fmt/format.h>

#include <utility>

#include "base/expiring.h"
#include "manager/api_core.h"
#include "manager/host_bmc.h"
#include "manager/host_switching.h"
#include "ports/power_switch.h"

namespace chorok::manager {
namespace {

// Beyond the patience of every driver. A switch whose record has changed meanwhile never answers.
constexpr Duration kAnswerMax = std::chrono::seconds(60);

}  // namespace

const Type& HostBmc::type() {
  static const Type kType =
      describe<HostBmc>("HostBmc", "What a host's BMC says when it is asked.")
          .field("chassis", &HostBmc::chassis, "Unknown where it answers and does not know.")
          .field("can", &HostBmc::can, "What it can do, as it says.");
  return kType;
}

net::Async<net::Response> get_host_bmc(Call& call) {
  const auto object = CO_TRY(find_object(call, *model::find_resource_kind("host"), call.ref()));
  const auto host = std::static_pointer_cast<const model::Host>(object);
  if (call.caller.role_on("") < model::Role::kOperator)
    co_return fail(Code::kPermissionDenied, "this needs the role 'operator' on everything");
  ports::PowerSwitch* power =
      call.core.settings.switches != nullptr ? call.core.settings.switches->find(*host) : nullptr;
  if (power == nullptr)
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("host {} has no BMC that can be asked; say what it is: chorok host "
                               "bmc {} --driver NAME …",
                               host->meta.name, host->meta.name));
  HostBmc bmc;
  Loop& loop = call.core.engine.loop();
  using Chassis = Result<model::ChassisPower>;
  bmc.chassis = CO_TRY(co_await until_done<Chassis>([&](Done<Chassis> done) {
    power->status(expiring<model::ChassisPower>(loop, kAnswerMax, "its BMC", std::move(done)));
  }));
  // Its record may have changed meanwhile, and its switch with that.
  const auto now = call.core.engine.inventory().hosts().find(host->meta.id);
  power = now == nullptr ? nullptr : call.core.settings.switches->find(*now);
  if (power != nullptr) {
    using Can = Result<model::PowerCapabilities>;
    bmc.can = CO_TRY(co_await until_done<Can>([&](Done<Can> done) {
      power->capabilities(
          expiring<model::PowerCapabilities>(loop, kAnswerMax, "its BMC", std::move(done)));
    }));
  }
  co_return object_response(HostBmc::type(), &bmc);
}

}  // namespace chorok::manager
