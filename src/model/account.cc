#include "model/account.h"

namespace chorok::model {

const Type& enum_type(const Role*) {
  static const Type kType =
      describe_enum<Role>("Role", "What one may do; each includes the one before it.",
                          {{0, "none", ""},
                           {1, "viewer", "look"},
                           {2, "operator", "work with VMs"},
                           {3, "admin", "everything"}});
  return kType;
}
const Type& Grant::type() {
  static const Type kType =
      describe<Grant>("Grant", "A role on a part of the inventory.")
          .field("path", &Grant::path, "Folder; empty is everything.", {.pattern = Pattern::kPath})
          .field("role", &Grant::role, "");
  return kType;
}
const Type& User::type() {
  static const Type kType =
      describe<User>("User", "Somebody who may log in.")
          .field("meta", &User::meta, "Name, labels, folder, notes.", {.required = true})
          .field("password", &User::password, "At least 8 bytes; never shown.",
                 {.max_length = 1024, .pattern = Pattern::kAny, .secret = true})
          .field("password_hash", &User::password_hash, "",
                 {.pattern = Pattern::kAny, .read_only = true, .secret = true})
          .field("grants", &User::grants, "Roles on parts of the inventory.")
          .field("disabled", &User::disabled, "May not log in.")
          .field("sessions_since", &User::sessions_since,
                 "Logins from before it are over: the password was changed then.",
                 {.read_only = true});
  return kType;
}
const Type& Token::type() {
  static const Type kType =
      describe<Token>("Token", "Stands for a user for a while.")
          .field("meta", &Token::meta, "")
          .field("user", &Token::user, "Its owner.")
          .field("user_name", &Token::user_name, "")
          .field("purpose", &Token::purpose, "login, api or host.")
          .field("secret_hash", &Token::secret_hash, "", {.read_only = true, .secret = true})
          .field("most", &Token::most, "Never more than this, nor than the owner has.")
          .field("expires", &Token::expires, "");
  return kType;
}
const Type& NewToken::type() {
  static const Type kType = describe<NewToken>("NewToken", "A token, shown this once.")
                                .field("id", &NewToken::id, "")
                                .field("token", &NewToken::token, "", {.max_length = 1024})
                                .field("expires", &NewToken::expires, "");
  return kType;
}
const Type& Login::type() {
  static const Type kType =
      describe<Login>("Login", "Name and password.")
          .field("user", &Login::user, "", {.max_length = 63, .required = true})
          .field("password", &Login::password, "",
                 {.max_length = 1024, .pattern = Pattern::kAny, .required = true, .secret = true});
  return kType;
}
const Type& TokenRequest::type() {
  static const Type kType =
      describe<TokenRequest>("TokenRequest", "Asks for a token.")
          .field("purpose", &TokenRequest::purpose, "api, or host to join one.", {.max_length = 10})
          .field("most", &TokenRequest::most, "Role it may use at most.")
          .field("lifetime", &TokenRequest::lifetime,
                 "Seconds; 0: an hour for hosts, 30 days for the API.",
                 {.min = 0, .max = 366.0 * 86400})
          .field("notes", &TokenRequest::notes, "What it is for.", {.max_length = 256});
  return kType;
}

}  // namespace chorok::model
