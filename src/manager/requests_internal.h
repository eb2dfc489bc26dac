// Shared by the files that implement Requests: refusals in the same words everywhere.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "manager/requests.h"
#include "manager/validate.h"

namespace chorok::manager {

// `message`: what would happen; when something speaks against it, that it would not.
inline Answer dry_answer(bool ok, std::string message, Problems problems = {}) {
  Answer answer;
  if (!ok) message = "it would be refused";
  answer.dry_run = DryRun{ok, std::move(message), std::move(problems)};
  return answer;
}

inline Unexpected denied(model::Role needed, std::string_view what) {
  return fail(Code::kPermissionDenied,
              fmt::format("{} needs the role '{}' there", what, name_of(needed)));
}

inline Unexpected missing(std::string_view kind, std::string_view ref) {
  return fail(Code::kNotFound, fmt::format("there is no {} '{}'", kind, ref));
}

inline Result<> check_revision(const Conditions& conditions, std::uint64_t now) {
  if (!conditions.if_revision || *conditions.if_revision == now) return {};
  return fail(Code::kConflict,
              fmt::format("it has changed: you saw revision {}, it is {} now; read it again",
                          *conditions.if_revision, now));
}

template <class T>
Result<> check_name_free(const Table<T>& table, const std::string& name,
                         const std::string& self = {}) {
  auto other = table.find_name(name);
  if (other == nullptr || other->meta.id == self) return {};
  return fail(Code::kAlreadyExists,
              fmt::format("the name '{}' is taken by {}", name, other->meta.id), "/meta/name");
}

// Names that look like ids would shadow them.
inline Result<> check_name(const std::string& name, std::string_view kind) {
  if (name.empty()) return fail(Code::kInvalid, "is missing", "/meta/name");
  if (name.starts_with(std::string(kind) + "-") && name.size() == kind.size() + 11)
    return fail(Code::kInvalid, fmt::format("'{}' looks like an id; choose another name", name),
                "/meta/name");
  return {};
}

// A name that VMs refer to by name may not change or go under them.
bool referred_to(const Inventory& inventory, const std::string& id, const std::string& name);

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

}  // namespace chorok::manager
