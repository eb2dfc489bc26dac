// Who may do what: users, their roles on paths of the inventory, and the tokens that stand for
// them.
#pragma once

#include <string>
#include <vector>

#include "model/common.h"

namespace chorok::model {

enum class Role : std::uint8_t {
  kNone,
  kViewer,
  kOperator,
  kAdmin
};  // each includes the one before it

struct Grant {
  std::string path;  // of the inventory tree: "" is everything
  Role role = Role::kViewer;
  static const Type& type();
};

struct User {
  Meta meta;
  std::string password;       // on input only
  std::string password_hash;  // argon2id
  std::vector<Grant> grants;
  bool disabled = false;
  Time sessions_since{};  // logins from before it are over: the password was changed then
  static const Type& type();
};

struct Token {
  Meta meta;
  std::string user;  // id of the owner
  std::string user_name;
  std::string purpose;       // "login", "api", "host" (join)
  std::string secret_hash;   // SHA-256
  Role most = Role::kAdmin;  // never more than this, nor than the owner has
  Time expires{};
  static const Type& type();
};

// What is answered once, when a token is made.
struct NewToken {
  std::string id;
  std::string token;
  Time expires{};
  static const Type& type();
};

struct Login {
  std::string user;
  std::string password;
  static const Type& type();
};

struct TokenRequest {
  std::string purpose;  // "api" or "host"
  Role most = Role::kAdmin;
  Duration lifetime{};  // 0: an hour for hosts, 30 days for the API
  std::string notes;
  static const Type& type();
};

const Type& enum_type(const Role*);

}  // namespace chorok::model
