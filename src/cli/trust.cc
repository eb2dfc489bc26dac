#include "cli/trust.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <memory>

namespace chorok::cli {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};

Unexpected not_reached(const std::string& target) {
  ERR_clear_error();
  return fail(Code::kUnavailable, fmt::format("no TLS server answers at {}", target));
}

}  // namespace

Result<std::string> probe_ca_fingerprint(const std::string& host, std::uint16_t port,
                                         Duration timeout) {
  bool is_ipv6 = host.find(':') != std::string::npos;
  std::string target = fmt::format("{}{}{}:{}", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
  std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>> context(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail(Code::kExhausted, "no TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  std::unique_ptr<BIO, Freed<BIO_free_all>> bio(BIO_new_ssl_connect(context.get()));
  SSL* ssl = nullptr;
  if (!bio || BIO_get_ssl(bio.get(), &ssl) <= 0 || ssl == nullptr)
    return fail(Code::kExhausted, "no TLS connection");
  SSL_set_tlsext_host_name(ssl, host.c_str());
  BIO_set_conn_hostname(bio.get(), target.c_str());
  auto whole_seconds = std::chrono::ceil<std::chrono::seconds>(timeout).count();
  constexpr int kNapMs = 10;
  if (BIO_do_connect_retry(bio.get(), static_cast<int>(whole_seconds), kNapMs) <= 0 ||
      BIO_do_handshake(bio.get()) <= 0)
    return not_reached(target);
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl);
  int count = chain ? sk_X509_num(chain) : 0;
  if (count == 0) return not_reached(target);
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(sk_X509_value(chain, count - 1), EVP_sha256(), digest, &size) != 1)
    return not_reached(target);
  return fmt::format("{:02x}", fmt::join(digest, digest + size, ""));
}

}  // namespace chorok::cli
