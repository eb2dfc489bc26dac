#include <fmt/format.h>

#include <algorithm>

#include "control/steps.h"
#include "manager/accounts.h"
#include "manager/references.h"
#include "manager/requests.h"
#include "manager/requests_internal.h"
#include "manager/validate.h"

namespace chorok::manager {

using model::Role;

std::string Requests::folder_of(std::string_view kind, const void* object) {
  auto meta_folder = [&]<class T>(const T*) { return static_cast<const T*>(object)->meta.folder; };
  if (kind == "vm") return meta_folder(static_cast<const model::Vm*>(nullptr));
  if (kind == "host") return meta_folder(static_cast<const model::Host*>(nullptr));
  if (kind == "datastore") return meta_folder(static_cast<const model::Datastore*>(nullptr));
  if (kind == "network") return meta_folder(static_cast<const model::Network*>(nullptr));
  if (kind == "cluster") return meta_folder(static_cast<const model::Cluster*>(nullptr));
  if (kind == "pool") return meta_folder(static_cast<const model::Pool*>(nullptr));
  if (kind == "rule") return meta_folder(static_cast<const model::Rule*>(nullptr));
  return {};
}

void Requests::create(const Caller& caller, std::string_view kind, std::string body, bool start,
                      Conditions conditions, Answered done) {
  if (kind == "vm") return create_vm(caller, std::move(body), start, conditions, std::move(done));
  auto plain = [&]<class T>(std::type_identity<T>) {
    create_plain<T>(caller, body, conditions, std::move(done));
  };
  if (kind == "datastore") return plain(std::type_identity<model::Datastore>{});
  if (kind == "network") return plain(std::type_identity<model::Network>{});
  if (kind == "cluster") return plain(std::type_identity<model::Cluster>{});
  if (kind == "pool") return plain(std::type_identity<model::Pool>{});
  if (kind == "rule") return plain(std::type_identity<model::Rule>{});
  if (kind == "user") return plain(std::type_identity<model::User>{});
  done(fail(Code::kUnsupported, fmt::format("a {} is not made this way", kind)));
}

template <class T>
void Requests::create_plain(const Caller& caller, const std::string& body, Conditions conditions,
                            Answered done) {
  constexpr std::string_view kKind = Record<T>::kKind;
  auto object = json::decode<T>(body);
  if (!object) return done(Unexpected(object.error()));
  if (caller.role_on(object->meta.folder) < Role::kAdmin)
    return done(denied(Role::kAdmin, "creating this"));
  if (auto named = check_name(object->meta.name, kKind); !named)
    return done(Unexpected(named.error()));
  if (auto is_free = check_name_free(engine_.inventory().table<T>(), object->meta.name); !is_free)
    return done(Unexpected(is_free.error()));
  object->meta.id = engine_.new_id(kKind == "datastore" ? "ds"
                                   : kKind == "network" ? "net"
                                                        : kKind);
  Problems problems = prepare(*object, nullptr);
  if (conditions.dry_run)
    return done(dry_answer(problems.empty(), "it would be created", problems));
  if (!problems.empty()) return done(Unexpected(first_problem(problems)));
  object->meta.created = engine_.now();
  if constexpr (std::is_same_v<T, model::User>) {
    if (object->password.empty()) return done(fail(Code::kInvalid, "is missing", "/password"));
    return hash_and_commit(caller, std::move(*object), "created", std::move(done));
  }
  commit_object(caller, std::move(*object), "created", std::move(done));
}

// What agents work with changed.
template <class T>
void Requests::told_of(const std::string& id, bool removed) {
  constexpr bool kConfig = std::is_same_v<T, model::Datastore> ||
                           std::is_same_v<T, model::Network> || std::is_same_v<T, model::Cluster>;
  if (kConfig) agents_.config_changed();
  if (std::is_same_v<T, model::Host>) removed ? agents_.drop(id) : agents_.config_changed(id);
}

template <class T>
void Requests::commit_object(const Caller& caller, T object, std::string_view verb, Answered done) {
  Changes changes;
  model::Event event;
  event.kind = fmt::format("{}.{}", Record<T>::kKind, verb);
  event.subject_kind = Record<T>::kKind;
  event.subject = object.meta.id;
  event.subject_name = object.meta.name;
  event.message = fmt::format("{} by {}", verb, caller.user_name);
  event.user = caller.user_name;
  std::string id = object.meta.id;
  changes.put(std::move(object));
  engine_.add_event(changes, std::move(event));
  engine_.commit(std::move(changes),
                 [this, alive = alive_, id, done = std::move(done)](Result<> stored) mutable {
                   if (!*alive) return;
                   if (!stored) return done(Unexpected(stored.error()));
                   Answer answer;
                   answer.type = &type_of<T>();
                   answer.object = engine_.inventory().table<T>().find(id);
                   told_of<T>(id, false);
                   done(std::move(answer));
                 });
}

// ---- Changing
// --------------------------------------------------------------------------------------------------------

namespace {

// A name that others refer to by name may not change under them.
bool referred_to(const Inventory& inventory, const std::string& id, const std::string& name) {
  auto is = [&](const std::string& ref) { return ref == id || ref == name; };
  return std::ranges::any_of(inventory.vms().all(), [&](const auto& entry) {
    const model::VmSpec& spec = entry.second->spec;
    return is(spec.boot.datastore) ||
           std::ranges::any_of(spec.disks, [&](const auto& d) { return is(d.datastore); }) ||
           std::ranges::any_of(spec.cdroms, [&](const auto& c) { return is(c.datastore); }) ||
           std::ranges::any_of(spec.nics, [&](const auto& n) { return is(n.network); });
  });
}

// Which top-level fields of a spec differ.
std::vector<std::string> changed_fields(const model::VmSpec& a, const model::VmSpec& b) {
  std::vector<std::string> out;
  for (const Field& field : model::VmSpec::type().fields)
    if (!equal(field.type(), field_at(field, &a), field_at(field, &b)))
      out.emplace_back(field.name);
  return out;
}

}  // namespace

void Requests::patch(const Caller& caller, std::string_view kind, std::string_view ref,
                     std::string body, Conditions conditions, Answered done) {
  if (kind == "vm") return patch_vm(caller, ref, body, conditions, std::move(done));
  if (kind == "datastore")
    return patch_plain<model::Datastore>(caller, ref, body, conditions, std::move(done));
  if (kind == "network")
    return patch_plain<model::Network>(caller, ref, body, conditions, std::move(done));
  if (kind == "host")
    return patch_plain<model::Host>(caller, ref, body, conditions, std::move(done));
  if (kind == "cluster")
    return patch_plain<model::Cluster>(caller, ref, body, conditions, std::move(done));
  if (kind == "pool")
    return patch_plain<model::Pool>(caller, ref, body, conditions, std::move(done));
  if (kind == "rule")
    return patch_plain<model::Rule>(caller, ref, body, conditions, std::move(done));
  if (kind == "user")
    return patch_plain<model::User>(caller, ref, body, conditions, std::move(done));
  done(fail(Code::kUnsupported, fmt::format("a {} cannot be changed", kind)));
}

template <class T>
void Requests::patch_plain(const Caller& caller, std::string_view ref, const std::string& body,
                           Conditions conditions, Answered done) {
  constexpr std::string_view kKind = Record<T>::kKind;
  auto current = engine_.inventory().table<T>().resolve(ref);
  if (current == nullptr) return done(missing(kKind, ref));
  if (caller.role_on(current->meta.folder) < Role::kAdmin)
    return done(denied(Role::kAdmin, "changing this"));
  if (auto same = check_revision(conditions, current->meta.revision); !same)
    return done(Unexpected(same.error()));
  T updated = *current;
  if (auto merged = json::merge(T::type(), &updated, body); !merged)
    return done(Unexpected(merged.error()));
  bool renamed = updated.meta.name != current->meta.name;
  if (auto named = check_name(updated.meta.name, kKind); !named)
    return done(Unexpected(named.error()));
  auto is_free =
      check_name_free(engine_.inventory().table<T>(), updated.meta.name, current->meta.id);
  if (!is_free) return done(Unexpected(is_free.error()));
  constexpr bool kByName = std::is_same_v<T, model::Datastore> || std::is_same_v<T, model::Network>;
  if (kByName && renamed && referred_to(engine_.inventory(), current->meta.id, current->meta.name))
    return done(fail(Code::kFailedPrecondition,
                     "VMs refer to it by this name; it keeps it while they do", "/meta/name"));
  Problems problems = prepare(updated, current.get());
  if (conditions.dry_run)
    return done(dry_answer(problems.empty(), "it would be changed", problems));
  if (!problems.empty()) return done(Unexpected(first_problem(problems)));
  if constexpr (std::is_same_v<T, model::User>) {
    if (!updated.password.empty())
      return hash_and_commit(caller, std::move(updated), "changed", std::move(done));
  }
  commit_object(caller, std::move(updated), "changed", std::move(done));
}

void Requests::hash_and_commit(const Caller& caller, model::User user, std::string_view verb,
                               Answered done) {
  std::string password = std::exchange(user.password, {});
  identities_.hash(std::move(password),
                   [this, alive = alive_, caller, user, verb,
                    done = std::move(done)](Result<std::string> hashed) mutable {
                     if (!*alive) return;
                     if (!hashed)
                       return done(fail(hashed.error().code, hashed.error().message, "/password"));
                     user.password_hash = std::move(*hashed);
                     // Whoever knew the old one may be logged in. API tokens go on: they were not
                     // made with it, and are revoked one by one.
                     if (verb == "changed") user.sessions_since = engine_.now();
                     commit_object(caller, std::move(user), verb, std::move(done));
                   });
}

void Requests::patch_vm(const Caller& caller, std::string_view ref, const std::string& body,
                        Conditions conditions, Answered done) {
  auto current = engine_.inventory().vms().resolve(ref);
  if (current == nullptr || caller.role_on(current->meta.folder) < Role::kViewer)
    return done(missing("vm", ref));
  if (caller.role_on(current->meta.folder) < Role::kOperator)
    return done(denied(Role::kOperator, "changing this"));
  if (auto same = check_revision(conditions, current->meta.revision); !same)
    return done(Unexpected(same.error()));
  model::Vm updated = *current;
  if (auto merged = json::merge(model::Vm::type(), &updated, body); !merged)
    return done(Unexpected(merged.error()));
  if (caller.role_on(updated.meta.folder) < Role::kOperator)
    return done(denied(Role::kOperator, "moving it into that folder"));
  if (auto named = check_name(updated.meta.name, "vm"); !named)
    return done(Unexpected(named.error()));
  auto is_free = check_name_free(engine_.inventory().vms(), updated.meta.name, current->meta.id);
  if (!is_free) return done(Unexpected(is_free.error()));
  if (updated.host != current->host)
    return done(fail(Code::kInvalid, "where it runs is changed by migrating it", "/host"));
  std::vector<std::string> fields = changed_fields(current->spec, updated.spec);
  Problems problems = prepare_vm(caller, updated, current.get());
  bool running = control::is_running(current->status.state);
  std::erase(fields, "autostart");
  std::string message = fields.empty() ? "it would be changed at once"
                        : running ? fmt::format("on the next boot: {}", fmt::join(fields, ", "))
                                  : "it would be changed; used at the next start";
  if (conditions.dry_run) return done(dry_answer(problems.empty(), message, problems));
  if (!problems.empty()) return done(Unexpected(first_problem(problems)));
  if (!fields.empty()) {
    ++updated.generation;
    assign_macs(updated.spec, engine_.inventory(), [this] { return random32(); });
    for (const std::string& field : fields)
      if (running &&
          std::ranges::find(updated.status.pending, field) == updated.status.pending.end())
        updated.status.pending.push_back(field);
  }
  commit_object(caller, std::move(updated), "changed", std::move(done));
}

// ---- Removing
// --------------------------------------------------------------------------------------------------------

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
  auto any_time = [](const model::Rule&) -> Result<> { return {}; };
  if (kind == "rule")
    return remove_plain<model::Rule>(caller, ref, conditions, any_time, std::move(done));
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

void Requests::set_baseline(const Caller& caller, std::string_view ref, Conditions conditions,
                            Answered done) {
  auto cluster = engine_.inventory().clusters().resolve(ref);
  if (cluster == nullptr) return done(missing("cluster", ref));
  if (caller.role_on("") < Role::kAdmin) return done(denied(Role::kAdmin, "setting the baseline"));
  model::BaselineRequest request;
  std::string asked;
  for (const auto& [id, host] : engine_.inventory().hosts().all()) {
    if (engine_.inventory().cluster_of(*host).meta.id != cluster->meta.id) continue;
    if (!host->inventory.cpu.definition.empty())
      request.definitions.push_back(host->inventory.cpu.definition);
    if (agents_.connected(id)) asked = id;
  }
  if (asked.empty())
    return done(fail(Code::kFailedPrecondition, "no host is connected that could compute it"));
  auto answered = [this, alive = alive_, caller, conditions, id = cluster->meta.id,
                   done = std::move(done)](Result<std::string> text) mutable {
    if (!*alive) return;
    if (!text) return done(Unexpected(text.error()));
    auto answer = json::decode<model::BaselineAnswer>(*text, {.stored = true});
    auto current = engine_.inventory().clusters().find(id);
    if (!answer || current == nullptr)
      return done(fail(Code::kInternal, "the host's answer makes no sense"));
    if (conditions.dry_run)
      return done(dry_answer(true, fmt::format("the baseline would be {}", answer->model)));
    model::Cluster updated = *current;
    updated.cpu_baseline = answer->model;
    updated.cpu_baseline_definition = answer->definition;
    commit_object(caller, std::move(updated), "changed", std::move(done));
  };
  agents_.call(asked, "cpu.baseline", json::encode(request), std::chrono::seconds(15),
               std::move(answered));
}

}  // namespace chorok::manager
