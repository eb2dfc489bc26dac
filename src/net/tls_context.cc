#include <arpa/inet.h>
#include <fmt/core.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cctype>

#include "net/tls.h"
#include "net/tls_internal.h"

namespace chorok::net {

Error take_openssl_error(Code code, std::string_view what) {
  std::string reason = "unknown reason";
  while (unsigned long error = ERR_get_error()) {
    if (const char* text = ERR_reason_error_string(error)) reason = text;
  }
  return Error{code, fmt::format("{}: {}", what, reason), {}};
}

Result<std::vector<X509Ptr>> parse_certificates(std::string_view pem) {
  BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<X509Ptr> found;
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    found.emplace_back(certificate);
  }
  const bool is_at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (found.empty() || !is_at_end) {
    return Unexpected(take_openssl_error(Code::kInvalid, "cannot read the certificate"));
  }
  ERR_clear_error();
  return found;
}

std::string sha256_of(X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  X509_digest(certificate, EVP_sha256(), digest, &size);
  std::string hex;
  for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

std::string pem_of(X509* certificate) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

X509* find_ca(const STACK_OF(X509) * chain, std::string_view sha256) {
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    X509* certificate = sk_X509_value(chain, i);
    if (X509_check_ca(certificate) > 0 && sha256_of(certificate) == sha256) return certificate;
  }
  return nullptr;
}

namespace {

std::string text_of(const ASN1_STRING* text) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<std::size_t>(ASN1_STRING_length(text)));
}

std::string address_of(const ASN1_OCTET_STRING* bytes) {
  char text[INET6_ADDRSTRLEN] = {};
  const int family = ASN1_STRING_length(bytes) == 4 ? AF_INET : AF_INET6;
  if (family == AF_INET6 && ASN1_STRING_length(bytes) != 16) return {};
  inet_ntop(family, ASN1_STRING_get0_data(bytes), text, sizeof text);
  return text;
}

using ContextPtr = std::shared_ptr<SSL_CTX>;

Result<ContextPtr> new_context(const SSL_METHOD* method) {
  ContextPtr context(SSL_CTX_new(method), SSL_CTX_free);
  if (!context) return Unexpected(take_openssl_error(Code::kInternal, "cannot set up TLS"));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION);
  // An idle connection should cost little memory.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  return context;
}

Result<> use_identity(SSL_CTX* context, const TlsIdentity& identity, std::string_view ca_pem) {
  auto chain = TRY(parse_certificates(identity.certificate_pem));
  BioPtr bio(BIO_new_mem_buf(identity.key_pem.data(), static_cast<int>(identity.key_pem.size())));
  // An encrypted key must fail here instead of asking at a terminal.
  auto no_password = [](char*, int, int, void*) { return 0; };
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (!key) return Unexpected(take_openssl_error(Code::kInvalid, "cannot read the private key"));
  if (SSL_CTX_use_certificate(context, chain[0].get()) != 1 ||
      SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return Unexpected(
        take_openssl_error(Code::kInvalid, "the certificate and the key do not fit together"));
  }
  if (!ca_pem.empty()) {
    for (auto& ca : TRY(parse_certificates(ca_pem))) {
      auto is_same = [&](const X509Ptr& other) { return X509_cmp(ca.get(), other.get()) == 0; };
      if (std::ranges::none_of(chain, is_same)) chain.push_back(std::move(ca));
    }
  }
  for (std::size_t i = 1; i < chain.size(); ++i) SSL_CTX_add1_chain_cert(context, chain[i].get());
  return {};
}

Result<> trust(SSL_CTX* context, std::string_view ca_pem) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (auto& ca : TRY(parse_certificates(ca_pem))) X509_STORE_add_cert(store, ca.get());
  return {};
}

// Browsers offer h2 as well; whoever offers protocols gets http/1.1 or no answer.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_size, kOurs, sizeof kOurs - 1, in, in_size);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

Result<ContextPtr> server_context(const TlsIdentity& identity, std::string_view ca_pem) {
  auto context = TRY(new_context(TLS_server_method()));
  TRY(use_identity(context.get(), identity, ca_pem));
  // Resumption saves half a millisecond and costs state, tickets' keys and replay questions.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  if (!ca_pem.empty()) {
    TRY(trust(context.get(), ca_pem));
    for (auto& ca : TRY(parse_certificates(ca_pem))) SSL_CTX_add_client_CA(context.get(), ca.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  return context;
}

// Verifies the chain against the one CA in it that has the pinned fingerprint, and the name as
// always.
int verify_pinned(X509_STORE_CTX* presented, void* fingerprint) {
  auto* chain = X509_STORE_CTX_get0_untrusted(presented);
  X509* leaf = X509_STORE_CTX_get0_cert(presented);
  X509* ca = find_ca(chain, *static_cast<const std::string*>(fingerprint));
  int error = X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
  if (ca != nullptr) {
    auto* ssl = static_cast<SSL*>(
        X509_STORE_CTX_get_ex_data(presented, SSL_get_ex_data_X509_STORE_CTX_idx()));
    std::unique_ptr<X509_STORE, Freed<X509_STORE_free>> store(X509_STORE_new());
    X509_STORE_add_cert(store.get(), ca);
    std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> check(X509_STORE_CTX_new());
    X509_STORE_CTX_init(check.get(), store.get(), leaf, chain);
    X509_STORE_CTX_set_default(check.get(), "ssl_server");
    X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(check.get()), SSL_get0_param(ssl));
    if (X509_verify_cert(check.get()) == 1) {
      X509_STORE_CTX_set_error(presented, X509_V_OK);
      return 1;
    }
    error = X509_STORE_CTX_get_error(check.get());
  }
  X509_STORE_CTX_set_error(presented, error);
  return 0;
}

}  // namespace

PeerCertificate describe_certificate(X509* certificate) {
  PeerCertificate peer;
  peer.pem = pem_of(certificate);
  peer.sha256 = sha256_of(certificate);
  X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at >= 0) {
    peer.common_name = text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  }
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_URI) {
      peer.san_uris.push_back(text_of(name->d.uniformResourceIdentifier));
    } else if (name->type == GEN_DNS) {
      peer.san_names.push_back(text_of(name->d.dNSName));
    } else if (name->type == GEN_IPADD) {
      peer.san_names.push_back(address_of(name->d.iPAddress));
    }
  }
  GENERAL_NAMES_free(names);
  return peer;
}

Result<std::string> certificate_sha256(std::string_view pem) {
  return sha256_of(TRY(parse_certificates(pem)).front().get());
}

Result<std::shared_ptr<TlsServerContext>> TlsServerContext::create(const TlsIdentity& identity,
                                                                   std::string_view ca_pem) {
  auto context = std::make_shared<TlsServerContext>();
  TRY(context->reload(identity, ca_pem));
  return context;
}

Result<> TlsServerContext::reload(const TlsIdentity& identity, std::string_view ca_pem) {
  context_ = TRY(server_context(identity, ca_pem));
  return {};
}

Result<std::shared_ptr<TlsClientContext>> TlsClientContext::with_ca(std::string_view ca_pem,
                                                                    const TlsIdentity* identity) {
  auto client = std::make_shared<TlsClientContext>();
  client->context_ = TRY(new_context(TLS_client_method()));
  SSL_CTX_set_verify(client->context_.get(), SSL_VERIFY_PEER, nullptr);
  if (ca_pem.empty()) {
    SSL_CTX_set_default_verify_paths(client->context_.get());
  } else {
    TRY(trust(client->context_.get(), ca_pem));
  }
  if (identity != nullptr) TRY(use_identity(client->context_.get(), *identity, {}));
  return client;
}

Result<std::shared_ptr<TlsClientContext>> TlsClientContext::with_fingerprint(
    std::string_view ca_sha256, const TlsIdentity* identity) {
  auto client = std::make_shared<TlsClientContext>();
  for (char c : ca_sha256) {
    if (c != ':')
      client->fingerprint_ += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  if (client->fingerprint_.size() != 64 ||
      client->fingerprint_.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return fail(Code::kInvalid, "a CA fingerprint is a SHA-256 in 64 hex digits");
  }
  client->context_ = TRY(new_context(TLS_client_method()));
  SSL_CTX_set_verify(client->context_.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(client->context_.get(), verify_pinned, &client->fingerprint_);
  if (identity != nullptr) TRY(use_identity(client->context_.get(), *identity, {}));
  return client;
}

}  // namespace chorok::net
