// What a cluster's newest round leaves to people, and what they decide.
#include <fmt/format.h>

#include "base/json.h"
#include "manager/api_core.h"
#include "manager/cluster_driver.h"

namespace chorok::manager {
namespace {

using model::Role;

Result<> may(const Call& call, Role needed) {
  if (call.caller.role_on("") >= needed) return {};
  return fail(Code::kPermissionDenied,
              fmt::format("this needs the role '{}' on everything", name_of(needed)));
}

Result<ClusterDriver*> driver_of(Call& call) {
  const auto object = TRY(find_object(call, *model::find_resource_kind("cluster"), call.ref()));
  const auto& cluster = *static_cast<const model::Cluster*>(object.get());
  ClusterDriver* driver =
      call.core.settings.drivers ? call.core.settings.drivers(cluster.meta.id) : nullptr;
  if (driver == nullptr) return fail(Code::kUnavailable, "its loops have not begun yet; ask again");
  return driver;
}

Result<RecommendationRequest> request_of(const Call& call) {
  return json::decode<RecommendationRequest>(call.request.body.empty() ? "{}" : call.request.body);
}

net::Response list_of(const ClusterDriver& driver) {
  const RecommendationList list = driver.recommendations().list();
  return object_response(RecommendationList::type(), &list);
}

net::Response dry_response(const Result<std::vector<std::string>>& ids, std::string_view what) {
  if (ids)
    return dry_run_response(
        {.message = fmt::format("{} would be {}: {}", ids->size(), what, fmt::join(*ids, ", "))});
  return dry_run_response({.ok = false,
                           .message = "it would be refused",
                           .problems = {{std::string(to_string(ids.error().code)),
                                         ids.error().message, ids.error().field}}});
}

}  // namespace

net::Async<net::Response> get_recommendations(Call& call) {
  const ClusterDriver* driver = CO_TRY(driver_of(call));
  CO_TRY(may(call, Role::kViewer));
  co_return list_of(*driver);
}

net::Async<net::Response> apply_recommendations(Call& call) {
  ClusterDriver* driver = CO_TRY(driver_of(call));
  CO_TRY(may(call, Role::kOperator));
  const RecommendationRequest request = CO_TRY(request_of(call));
  // Hosts are the administrator's.
  if (driver->recommendations().has_power(request)) CO_TRY(may(call, Role::kAdmin));
  if (call.conditions.dry_run)
    co_return dry_response(driver->recommendations().check(request), "applied");
  CO_TRY(driver->recommendations().apply(request, call.caller.user_name));
  co_return list_of(*driver);
}

net::Async<net::Response> ignore_recommendations(Call& call) {
  ClusterDriver* driver = CO_TRY(driver_of(call));
  CO_TRY(may(call, Role::kOperator));
  const RecommendationRequest request = CO_TRY(request_of(call));
  const auto ignored =
      driver->recommendations().ignore(request, call.caller.user_name, call.conditions.dry_run);
  if (call.conditions.dry_run) co_return dry_response(ignored, "ignored");
  if (!ignored) co_return Unexpected(ignored.error());
  co_return list_of(*driver);
}

}  // namespace chorok::manager
