// What can be asked of the things in the inventory: one row a verb. The API's routes, the OpenAPI
// document, the CLI's subcommands and its completion are all made from these rows.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/reflect.h"
#include "model/account.h"

namespace chorok::model {

struct Verb {
  std::string_view kind;  // "vm", "host"
  std::string_view verb;  // POST /api/v1/<kind>s/{ref}/<verb>; task kind "<kind>.<verb>"
  std::string_view doc;
  Role role;                             // needed on the target
  std::vector<std::string_view> fields;  // of TaskArgs that it takes
  std::vector<std::string_view> required;
  std::string_view positional;  // field that the CLI takes without a flag, if any
};

std::span<const Verb> verbs();
const Verb* find_verb(std::string_view kind, std::string_view verb);
// The request body's type: those fields of TaskArgs, named "VmMigrate" and so on. Decodes into a
// TaskArgs.
const Type& request_type(const Verb& verb);

// The kinds of things the API lists, and their types.
struct ResourceKind {
  std::string_view kind;    // "vm"
  std::string_view plural;  // "vms": the path
  TypeFn type;
  std::vector<std::string_view> columns;  // JSON pointers without the first '/', for tables
  std::vector<std::string_view> wide;     // and more of them
  bool creatable = false;
  Role create_role = Role::kAdmin;
};
std::span<const ResourceKind> resource_kinds();
const ResourceKind* find_resource_kind(std::string_view kind);

// A field that names another thing. People give a name or an id; the record keeps the id, so that
// everything may be renamed.
struct Reference {
  std::string_view kind;  // whose field
  std::string_view path;  // "restart/after": a string or a list of them
  std::string_view target;
};
std::span<const Reference> references();

}  // namespace chorok::model
