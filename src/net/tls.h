// TLS 1.3 over any ByteStream. The server asks for a client certificate and takes none for an
// answer: agents come with one from the cluster's CA, people with a token, on the same port. A
// joining client knows only the CA's fingerprint: the server sends its CA along, and the client
// hands it back once it fits.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/byte_stream.h"

struct ssl_ctx_st;

namespace chorok::net {

struct TlsIdentity {
  std::string certificate_pem;  // the leaf first, then what leads to the CA
  std::string key_pem;
};

struct TlsHandshakeSettings {
  Duration timeout =
      std::chrono::seconds(10);  // a slow link needs 2 round trips; more is an attack
};

class TlsServerContext {
 public:
  // The CA is sent at the end of the chain and verifies client certificates; empty: none are asked
  // for.
  static Result<std::shared_ptr<TlsServerContext>> create(const TlsIdentity& identity,
                                                          std::string_view ca_pem);
  // Takes effect for new connections. On error the old identity stays.
  Result<> reload(const TlsIdentity& identity, std::string_view ca_pem);
  std::shared_ptr<ssl_ctx_st> handle() const { return context_; }

 private:
  std::shared_ptr<ssl_ctx_st> context_;
};

class TlsClientContext {
 public:
  // Trusts exactly these CAs, or, with an empty PEM, those of the system.
  static Result<std::shared_ptr<TlsClientContext>> with_ca(std::string_view ca_pem,
                                                           const TlsIdentity* identity = nullptr);
  // Trusts a CA certificate in the server's chain whose SHA-256 (hex, colons allowed) is this one.
  // The CA is then in PeerCertificate::issuer_pem.
  static Result<std::shared_ptr<TlsClientContext>> with_fingerprint(
      std::string_view ca_sha256, const TlsIdentity* identity = nullptr);
  std::shared_ptr<ssl_ctx_st> handle() const { return context_; }
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  std::shared_ptr<ssl_ctx_st> context_;
  std::string fingerprint_;  // lower-case hex without colons, or empty
};

// The stream is closed when the handshake fails. kUnauthenticated says that a certificate was
// refused.
Async<StreamPtr> tls_accept(StreamPtr stream, std::shared_ptr<TlsServerContext> context,
                            TlsHandshakeSettings settings = {});
// `host` is checked against the certificate's names: DNS or IP address.
Async<StreamPtr> tls_connect(StreamPtr stream, std::shared_ptr<TlsClientContext> context,
                             std::string host, TlsHandshakeSettings settings = {});

// Lower-case hex SHA-256 of the DER form of the first certificate in the PEM.
Result<std::string> certificate_sha256(std::string_view pem);

}  // namespace chorok::net
