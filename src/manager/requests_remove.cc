// Removing what people have made.
#include "control/steps.h"
#include "manager/accounts.h"
#include "manager/references.h"
#include "manager/requests.h"
#include "manager/requests_internal.h"

namespace chorok::manager {

using model::Role;

void Requests::remove(const Caller& caller, std::string_view kind, std::string_view ref,
                      model::TaskArgs args, Conditions conditions, Answered done) {
  const Inventory& inventory = engine_.inventory();
  if (kind == "vm") return remove_vm(caller, ref, std::move(args), conditions, std::move(done));
  if (kind == "pool") return remove_pool(caller, ref, args.force, conditions, std::move(done));
  auto used = [&](const auto& record) -> Result<> {
    if (!referred_to(inventory, record.meta.id, record.meta.name)) return {};
    return fail(Code::kFailedPrecondition, "VMs use it; move or delete them first");
  };
  if (kind == "datastore")
    return remove_plain<model::Datastore>(caller, ref, conditions, used, std::move(done));
  if (kind == "network")
    return remove_plain<model::Network>(caller, ref, conditions, used, std::move(done));
  auto last_admin = [&](const model::User& user) -> Result<> {
    if (user.meta.id == caller.user)
      return fail(Code::kFailedPrecondition, "nobody deletes the account they use");
    return {};
  };
  if (kind == "user")
    return remove_plain<model::User>(caller, ref, conditions, last_admin, std::move(done));
  if (kind == "token") return remove_token(caller, ref, conditions, std::move(done));
  auto host_may = [&](const model::Host& host) { return host_may_go(host, args.force); };
  if (kind == "host")
    return remove_plain<model::Host>(caller, ref, conditions, host_may, std::move(done));
  auto cluster_may = [&](const model::Cluster& cluster) { return cluster_may_go(cluster); };
  if (kind == "cluster")
    return remove_plain<model::Cluster>(caller, ref, conditions, cluster_may, std::move(done));
  auto any_time = [](const auto&) -> Result<> { return {}; };
  if (kind == "rule")
    return remove_plain<model::Rule>(caller, ref, conditions, any_time, std::move(done));
  if (kind == "webhook")
    return remove_plain<model::Webhook>(caller, ref, conditions, any_time, std::move(done));
  done(fail(Code::kUnsupported, fmt::format("a {} cannot be deleted", kind)));
}

template <class T, class Check>
void Requests::remove_plain(const Caller& caller, std::string_view ref, Conditions conditions,
                            Check check, Answered done) {
  constexpr std::string_view kKind = Record<T>::kKind;
  auto current = engine_.inventory().table<T>().resolve(ref);
  if (current == nullptr) return done(missing(kKind, ref));
  if (caller.role_on(current->meta.folder) < Role::kAdmin)
    return done(denied(Role::kAdmin, "deleting this"));
  if (auto same = check_revision(conditions, current->meta.revision); !same)
    return done(Unexpected(same.error()));
  if (auto free_to_go = check(*current); !free_to_go) {
    if (conditions.dry_run)
      return done(
          dry_answer(false, "it stays", {{"failed_precondition", free_to_go.error().message, ""}}));
    return done(Unexpected(free_to_go.error()));
  }
  if (conditions.dry_run) return done(dry_answer(true, "it would be deleted"));
  Changes changes;
  std::string id = current->meta.id;
  changes.erase<T>(id);
  if constexpr (std::is_same_v<T, model::User>) {
    for (const auto& [token_id, token] : engine_.inventory().tokens().all())
      if (token->user == id && changes.items().size() < 90) changes.erase<model::Token>(token_id);
  }
  if constexpr (std::is_same_v<T, model::Host>)
    forget_host(engine_, changes, id, current->meta.name);
  model::Event event;
  event.kind = fmt::format("{}.deleted", kKind);
  event.subject_kind = kKind;
  event.subject = id;
  event.subject_name = current->meta.name;
  event.message = fmt::format("deleted by {}", caller.user_name);
  event.user = caller.user_name;
  engine_.add_event(changes, std::move(event));
  engine_.commit(std::move(changes),
                 [this, alive = alive_, id, done = std::move(done)](Result<> stored) mutable {
                   if (!*alive) return;
                   if (!stored) return done(Unexpected(stored.error()));
                   told_of<T>(id, true);
                   done(Answer{});
                 });
}

void Requests::remove_vm(const Caller& caller, std::string_view ref, model::TaskArgs args,
                         Conditions conditions, Answered done) {
  auto vm = engine_.inventory().vms().resolve(ref);
  if (vm == nullptr || caller.role_on(vm->meta.folder) < Role::kViewer)
    return done(missing("vm", ref));
  if (caller.role_on(vm->meta.folder) < Role::kOperator)
    return done(denied(Role::kOperator, "deleting it"));
  if (auto same = check_revision(conditions, vm->meta.revision); !same)
    return done(Unexpected(same.error()));
  if (const auto made = creation_that_waits(*vm); !made.empty())
    return done(fail(Code::kFailedPrecondition, made));
  model::Task task;
  task.kind = "vm.delete";
  task.target_kind = "vm";
  task.target = vm->meta.id;
  task.target_name = vm->meta.name;
  task.args = std::move(args);
  plan_and_submit(caller, *vm, std::move(task), conditions, std::move(done));
}

void Requests::remove_token(const Caller& caller, std::string_view ref, Conditions conditions,
                            Answered done) {
  auto token = engine_.inventory().tokens().find(ref);
  bool own = token != nullptr && token->user == caller.user;
  if (token == nullptr || (!own && caller.role_on("") < Role::kAdmin))
    return done(missing("token", ref));
  if (conditions.dry_run) return done(dry_answer(true, "it would be revoked"));
  Changes changes;
  changes.erase<model::Token>(token->meta.id);
  engine_.commit(std::move(changes), [done = std::move(done)](Result<> stored) mutable {
    if (!stored) return done(Unexpected(stored.error()));
    done(Answer{});
  });
}

}  // namespace chorok::manager
