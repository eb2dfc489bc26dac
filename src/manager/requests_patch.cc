// Changing what there is, by merge patch.
#include <fmt/format.h>

#include <algorithm>

#include "control/steps.h"
#include "manager/references.h"
#include "manager/requests.h"
#include "manager/requests_internal.h"
#include "manager/validate.h"

namespace chorok::manager {

using model::Role;

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

namespace {

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
  if (kind == "webhook")
    return patch_plain<model::Webhook>(caller, ref, body, conditions, std::move(done));
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

}  // namespace chorok::manager
