// What every command needs to know of the API's objects: where their name, id and revision stand,
// and how flags become a request.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.h"
#include "cli/session.h"
#include "cli/value.h"

namespace chorok::cli {

std::string_view name_path(const model::ResourceKind& kind);  // "meta/name" or "id"
std::string_view id_of(const Value& object);
std::string_view name_of(const Value& object);  // the id where it has no name
std::int64_t revision_of(const Value& object);

// The name of the only object of a kind; a usage error when there are several.
Result<std::string> only_name(Session& session, const model::ResourceKind& kind);
// Names on the command line, or of everything that --selector picks, or of `all`.
Result<std::vector<std::string>> chosen_names(Session& session, const model::ResourceKind& kind,
                                              std::vector<std::string> names,
                                              std::string_view selector, bool all = false);

// For people: ids in fields that name other things become names, as far as the manager answers.
void show_names(Session& session, const model::ResourceKind& kind, Value::List& objects);

// Puts every flag that has a path into `object`. Errors name the flag.
Result<> apply_flags(const Invocation& call, Value& object);
// Disks, NICs and drives that were given no name get "disk0", "eth0", "cd0".
void name_devices(Value& vm);
// The file's or standard input's object of a kind, JSON or YAML; quantities may be written as
// people do.
Result<Value> read_object(Session& session, const Type& type, const std::string& file);

// A password from --password-file, CHOROK_PASSWORD, or the person; asked twice where it is new.
Result<std::string> read_password(Session& session, const Invocation& call, bool is_new);
// Asks y/N on a terminal; without one, or with --yes, the answer is yes.
Result<> confirm(Session& session, const Invocation& call, std::string_view question);

}  // namespace chorok::cli
