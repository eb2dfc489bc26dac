// A cluster as its policies see it: its snapshot, and where its CPU and memory go. Records are
// turned into a snapshot on the I/O thread (20 to 35 ms for 20,000 VMs); what is made of that, and
// its text, beside it.
#include <fmt/format.h>

#include "base/json.h"
#include "manager/api_core.h"
#include "manager/cluster_use.h"
#include "model/snapshot_text.h"

namespace chorok::manager {
namespace {

using Text = Result<std::string>;
using Writer = std::function<Text(const ClusterSnapshot&, const std::string& id)>;
// Something more from the I/O thread, before the text is written beside it.
using Prepare = std::function<void(const ClusterSnapshot&)>;

net::Async<net::Response> answer_with(Call& call, Writer write, Prepare prepare = nullptr) {
  const model::ResourceKind& kind = *model::find_resource_kind("cluster");
  const auto object = CO_TRY(find_object(call, kind, call.ref()));
  // It shows VMs of all folders.
  if (call.caller.role_on("") < model::Role::kViewer)
    co_return fail(Code::kPermissionDenied, "this needs the role 'viewer' on everything");
  const std::string id = static_cast<const model::Cluster*>(object.get())->meta.id;
  auto made = std::make_shared<const ClusterSnapshot>(call.core.settings.snapshot(id));
  if (prepare) prepare(*made);
  auto text = std::make_shared<Text>();
  CO_TRY(co_await until_done<Result<>>([&](Done<Result<>> done) {
    auto shared = std::make_shared<Done<Result<>>>(std::move(done));
    call.core.settings.offload([write, made, text, id] { *text = write(*made, id); },
                               [shared] { (*shared)(Result<>{}); });
  }));
  co_return net::Response::json(CO_TRY(std::move(*text)));
}

}  // namespace

net::Async<net::Response> get_cluster_snapshot(Call& call) {
  return answer_with(call, [](const ClusterSnapshot& made, const std::string&) {
    return model::write_snapshot(made.snapshot);
  });
}

net::Async<net::Response> get_cluster_use(Call& call) {
  const auto with_vms = call.flag("vms");
  if (!with_vms) co_return Unexpected(with_vms.error());
  // By VM; with the tree down to VMs only.
  auto enforced = std::make_shared<std::vector<std::optional<Enforced>>>();
  const Prepare prepare = [&call, enforced, vms = *with_vms](const ClusterSnapshot& made) {
    if (!vms || !call.core.settings.enforced) return;
    enforced->resize(made.vms.size());
    for (std::size_t v = 0; v < made.vms.size(); ++v)
      (*enforced)[v] = call.core.settings.enforced(made.vms[v]);
  };
  co_return co_await answer_with(
      call,
      [vms = *with_vms, enforced](const ClusterSnapshot& made, const std::string& id) -> Text {
        return json::encode(cluster_use(made, id, vms, *enforced));
      },
      prepare);
}

}  // namespace chorok::manager
