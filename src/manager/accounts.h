// Users and tokens: who a bearer token stands for, logging in, joining hosts. Password hashing runs
// where `offload` puts it (a pool of two threads in production), never on the loop.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "manager/engine.h"
#include "manager/pki.h"
#include "manager/requests.h"
#include "model/account.h"
#include "model/protocol.h"

namespace chorok::manager {

struct AccountsSettings {
  Duration login_lifetime = std::chrono::hours(12);
  Duration api_lifetime = std::chrono::days(30);
  Duration host_lifetime = std::chrono::hours(1);
  int failures_before_wait = 5;  // by user and peer, then
  Duration wait_after_failures = std::chrono::seconds(10);
};

class Accounts {
 public:
  Accounts(Engine& engine, const Pki& pki, Offload offload, AccountsSettings settings = {});

  // kUnauthenticated for an unknown, expired or malformed token, and for a disabled user.
  Result<Caller> authenticate(std::string_view bearer, std::string peer) const;
  void login(model::Login login, std::string peer, Done<Result<model::NewToken>> done);
  void create_token(const Caller& caller, model::TokenRequest request,
                    Done<Result<model::NewToken>> done);
  // One use: the token is gone when this succeeds.
  void join(model::JoinRequest request, std::string peer, Done<Result<model::JoinAnswer>> done);
  // Whether a host's certificate still counts (host known, serial the one issued last or before).
  Result<> check_host(std::string_view host_id, std::string_view serial) const;
  // A new certificate for a host that proves itself with its old one.
  void renew(const std::string& host, std::string csr, Done<Result<model::JoinAnswer>> done);
  // For `chorok-manager init` and tests.
  void create_admin(std::string name, std::string password, Done<Result<>> done);
  // Sets a user's password_hash from `password`, then goes on; used by create and patch of users.
  void hash(std::string password, Done<Result<std::string>> done);

 private:
  struct Failures {
    int count = 0;
    Time last{};
  };
  Engine& engine_;
  const Pki& pki_;
  Offload offload_;
  AccountsSettings settings_;
  std::map<std::string, Failures> failures_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chorok::manager
