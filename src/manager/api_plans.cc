// What a cluster's loops have decided, and why. Explaining a VM looks at every host once.
#include "manager/api_core.h"
#include "manager/plan_view.h"

namespace chorok::manager {
namespace {

// It shows VMs of all folders.
Result<> may_see_all(const Call& call) {
  if (call.caller.role_on("") >= model::Role::kViewer) return {};
  return fail(Code::kPermissionDenied, "this needs the role 'viewer' on everything");
}

Result<const ClusterDriver*> driver_of(const Call& call, const std::string& cluster) {
  const ClusterDriver* driver =
      call.core.settings.drivers ? call.core.settings.drivers(cluster) : nullptr;
  if (driver == nullptr) return fail(Code::kUnavailable, "its loops have not begun yet; ask again");
  return driver;
}

net::Async<net::Response> why(Call& call, const std::string& cluster, std::string name) {
  const auto& clusters = call.core.engine.inventory().clusters();
  const auto record = clusters.find(cluster);
  if (record == nullptr) co_return fail(Code::kNotFound, "it belongs to no cluster");
  const ClusterDriver* driver = CO_TRY(driver_of(call, cluster));
  const LiveWhy answer = CO_TRY(live_why(driver->plans(), record->meta.name, name));
  co_return object_response(LiveWhy::type(), &answer);
}

}  // namespace

net::Async<net::Response> get_cluster_plan(Call& call) {
  const auto object = CO_TRY(find_object(call, *model::find_resource_kind("cluster"), call.ref()));
  CO_TRY(may_see_all(call));
  const auto& cluster = *static_cast<const model::Cluster*>(object.get());
  const ClusterDriver* driver = CO_TRY(driver_of(call, cluster.meta.id));
  const LivePlan plan = live_plan(*driver, cluster.meta.name);
  co_return object_response(LivePlan::type(), &plan);
}

net::Async<net::Response> get_host_why(Call& call) {
  const auto object = CO_TRY(find_object(call, *model::find_resource_kind("host"), call.ref()));
  CO_TRY(may_see_all(call));
  const auto& host = *static_cast<const model::Host*>(object.get());
  const std::string cluster = call.core.engine.inventory().cluster_of(host).meta.id;
  co_return co_await why(call, cluster, host.meta.name);
}

net::Async<net::Response> get_vm_why(Call& call) {
  const auto object = CO_TRY(find_object(call, *model::find_resource_kind("vm"), call.ref()));
  CO_TRY(may_see_all(call));
  const auto& vm = *static_cast<const model::Vm*>(object.get());
  const Inventory& inventory = call.core.engine.inventory();
  const auto host = inventory.hosts().find(vm.host);
  const std::string cluster =
      host != nullptr ? inventory.cluster_of(*host).meta.id : inventory.default_cluster().meta.id;
  co_return co_await why(call, cluster, vm.meta.name);
}

}  // namespace chorok::manager
