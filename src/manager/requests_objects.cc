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
  if (kind == "webhook") return plain(std::type_identity<model::Webhook>{});
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
                                   : kKind == "webhook" ? "hook"
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
