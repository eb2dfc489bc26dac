#include "manager/accounts.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/password.h"
#include "crypto/token.h"
#include "crypto/x509.h"

namespace chorok::manager {

using model::Role;

Accounts::Accounts(Engine& engine, const Pki& pki, Offload offload, AccountsSettings settings)
    : engine_(engine), pki_(pki), offload_(std::move(offload)), settings_(settings) {}

namespace {

Unexpected not_known() {
  return fail(Code::kUnauthenticated, "the token is not valid any more; log in again");
}

}  // namespace

Result<Caller> Accounts::authenticate(std::string_view bearer, std::string peer) const {
  auto parsed = TRY(crypto::parse_token(bearer));
  auto token = engine_.inventory().tokens().find(parsed.id);
  if (token == nullptr || !crypto::secret_matches(parsed.secret, token->secret_hash))
    return not_known();
  if (token->expires <= engine_.now() || token->purpose == "host") return not_known();
  auto user = engine_.inventory().users().find(token->user);
  if (user == nullptr || user->disabled) return not_known();
  if (token->purpose == "login" && token->meta.created <= user->sessions_since) return not_known();
  return Caller{user->meta.id, user->meta.name, token->meta.id,
                token->most,   user->grants,    std::move(peer)};
}

void Accounts::login(model::Login login, std::string peer, Done<Result<model::NewToken>> done) {
  std::string who = login.user + "@" + peer.substr(0, peer.rfind(':'));
  std::erase_if(failures_, [&](const auto& entry) {
    return engine_.now() - entry.second.last > settings_.wait_after_failures;
  });
  if (auto it = failures_.find(who);
      it != failures_.end() && it->second.count >= settings_.failures_before_wait)
    return done(fail(Code::kExhausted, fmt::format("too many failed logins; wait {:.0f} seconds",
                                                   seconds(settings_.wait_after_failures))));
  auto user = engine_.inventory().users().find_name(login.user);
  auto matched = std::make_shared<bool>(false);
  std::string hash = user == nullptr || user->disabled ? "" : user->password_hash;
  auto work = [password = login.password, hash, matched] {
    *matched =
        hash.empty() ? crypto::verify_nobody(password) : crypto::verify_password(password, hash);
  };
  auto then = [this, alive = alive_, matched, who, user, done = std::move(done)]() mutable {
    if (!*alive) return;
    if (!*matched) {
      Failures& failures = failures_[who];
      ++failures.count;
      failures.last = engine_.now();
      return done(fail(Code::kUnauthenticated, "user or password is wrong"));
    }
    failures_.erase(who);
    Caller caller{user->meta.id, user->meta.name, "", Role::kAdmin, user->grants, ""};
    model::TokenRequest request;
    request.purpose = "login";
    request.lifetime = settings_.login_lifetime;
    create_token(caller, std::move(request), std::move(done));
  };
  offload_(std::move(work), std::move(then));
}

void Accounts::create_token(const Caller& caller, model::TokenRequest request,
                            Done<Result<model::NewToken>> done) {
  bool host = request.purpose == "host";
  if (request.purpose.empty()) request.purpose = "api";
  if (!host && request.purpose != "api" && request.purpose != "login")
    return done(fail(Code::kInvalid,
                     fmt::format("'{}' is not a purpose; use api or host", request.purpose),
                     "/purpose"));
  if (host && caller.role_on("") < Role::kAdmin)
    return done(fail(Code::kPermissionDenied, "only an admin lets hosts in"));
  Duration lifetime = request.lifetime;
  if (lifetime <= Duration{}) lifetime = host ? settings_.host_lifetime : settings_.api_lifetime;
  crypto::NewToken made = host ? crypto::make_join_token(pki_.ca_sha256()) : crypto::make_token();
  model::Token token;
  token.meta.id = made.id;
  token.meta.name = made.id;
  token.meta.notes = request.notes;
  token.meta.created = engine_.now();
  token.user = caller.user;
  token.user_name = caller.user_name;
  token.purpose = request.purpose;
  token.secret_hash = made.secret_sha256;
  token.most = request.most == Role::kNone ? Role::kAdmin : request.most;
  if (!caller.token.empty()) token.most = std::min(token.most, caller.most);
  token.expires = engine_.now() + lifetime;
  model::NewToken answer{made.id, made.text, token.expires};
  Changes changes;
  // Expired ones go as new ones come.
  for (const auto& [id, old] : engine_.inventory().tokens().all())
    if (old->expires <= engine_.now() && changes.items().size() < 20)
      changes.erase<model::Token>(id);
  changes.put(std::move(token));
  engine_.commit(std::move(changes), [answer, done = std::move(done)](Result<> stored) mutable {
    if (!stored) return done(Unexpected(stored.error()));
    done(answer);
  });
}

void Accounts::join(model::JoinRequest request, std::string peer,
                    Done<Result<model::JoinAnswer>> done) {
  auto parsed = crypto::parse_join_token(request.token);
  if (!parsed) return done(Unexpected(parsed.error()));
  auto token = engine_.inventory().tokens().find(parsed->id);
  bool valid = token != nullptr && token->purpose == "host" && token->expires > engine_.now() &&
               crypto::secret_matches(parsed->secret, token->secret_hash);
  if (!valid)
    return done(fail(Code::kUnauthenticated,
                     "the join token was used already or has expired; make another with "
                     "'chorok token create --purpose host'",
                     "/token"));
  auto same_name = engine_.inventory().hosts().find_name(request.name);
  if (same_name != nullptr && same_name->link == model::HostLink::kConnected)
    return done(fail(Code::kAlreadyExists,
                     fmt::format("a host '{}' is connected; join with --name", request.name),
                     "/name"));
  // A host that was set up anew takes its old place.
  model::Host host = same_name != nullptr ? *same_name : model::Host{};
  if (same_name == nullptr) {
    host.meta.id = engine_.new_id("host");
    host.meta.name = request.name;
    host.meta.created = engine_.now();
    host.cluster = engine_.cluster().meta.id;
  }
  host.address = request.address.empty() ? peer.substr(0, peer.rfind(':')) : request.address;
  auto certificate =
      pki_.sign_agent(request.csr, host.meta.id, {{request.name}, {host.address}}, engine_.now());
  if (!certificate) return done(Unexpected(certificate.error()));
  auto info = crypto::certificate_info(*certificate);
  if (!info) return done(Unexpected(info.error()));
  host.certificate_serial = info->serial;
  host.certificate_expires = info->not_after;
  model::JoinAnswer answer{host.meta.id, *certificate, pki_.ca_pem()};
  model::Event event;
  event.kind = "host.joined";
  event.subject_kind = "host";
  event.subject = host.meta.id;
  event.subject_name = host.meta.name;
  event.message = fmt::format("joined from {} with a token of {}", host.address, token->user_name);
  Changes changes;
  changes.put(std::move(host));
  changes.erase<model::Token>(token->meta.id);
  engine_.add_event(changes, std::move(event));
  engine_.commit(std::move(changes), [answer, done = std::move(done)](Result<> stored) mutable {
    if (!stored) return done(Unexpected(stored.error()));
    done(answer);
  });
}

Result<> Accounts::check_host(std::string_view host_id, std::string_view serial) const {
  auto host = engine_.inventory().hosts().find(host_id);
  if (host == nullptr)
    return fail(Code::kPermissionDenied, "this host is not in the inventory; join it again");
  if (host->certificate_serial != serial)
    return fail(Code::kPermissionDenied, "this certificate was replaced; join the host again");
  return {};
}

void Accounts::renew(const std::string& host_id, std::string csr,
                     Done<Result<model::JoinAnswer>> done) {
  auto record = engine_.inventory().hosts().find(host_id);
  if (record == nullptr) return done(fail(Code::kNotFound, "this host is not in the inventory"));
  model::Host host = *record;
  auto certificate =
      pki_.sign_agent(csr, host.meta.id, {{host.meta.name}, {host.address}}, engine_.now());
  if (!certificate) return done(Unexpected(certificate.error()));
  auto info = crypto::certificate_info(*certificate);
  if (!info) return done(Unexpected(info.error()));
  host.certificate_serial = info->serial;
  host.certificate_expires = info->not_after;
  model::JoinAnswer answer{host.meta.id, *certificate, pki_.ca_pem()};
  Changes changes;
  changes.put(std::move(host));
  engine_.commit(std::move(changes), [answer, done = std::move(done)](Result<> stored) mutable {
    if (!stored) return done(Unexpected(stored.error()));
    done(answer);
  });
}

void Accounts::hash(std::string password, Done<Result<std::string>> done) {
  auto result = std::make_shared<Result<std::string>>(fail(Code::kInternal, "not hashed"));
  offload_([password = std::move(password), result] { *result = crypto::hash_password(password); },
           [result, done = std::move(done)]() mutable { done(std::move(*result)); });
}

void Accounts::create_admin(std::string name, std::string password, Done<Result<>> done) {
  hash(std::move(password),
       [this, alive = alive_, name, done = std::move(done)](Result<std::string> hashed) mutable {
         if (!*alive) return;
         if (!hashed) return done(Unexpected(hashed.error()));
         auto existing = engine_.inventory().users().find_name(name);
         model::User user = existing != nullptr ? *existing : model::User{};
         if (existing == nullptr) {
           user.meta.id = engine_.new_id("user");
           user.meta.name = name;
           user.meta.created = engine_.now();
         }
         user.password_hash = std::move(*hashed);
         if (existing != nullptr) user.sessions_since = engine_.now();
         user.disabled = false;
         user.grants = {model::Grant{"", Role::kAdmin}};
         Changes changes;
         changes.put(std::move(user));
         engine_.commit(std::move(changes), std::move(done));
       });
}

}  // namespace chorok::manager
