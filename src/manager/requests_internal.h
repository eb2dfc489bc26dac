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

}  // namespace chorok::manager
