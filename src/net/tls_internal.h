// What tls_context.cc and tls_stream.cc share of OpenSSL. Not for other folders.
#pragma once

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/byte_stream.h"

namespace chorok::net {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using X509Ptr = std::unique_ptr<X509, Freed<X509_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using SslPtr = std::unique_ptr<SSL, Freed<SSL_free>>;

// Empties OpenSSL's error queue into an Error.
Error take_openssl_error(Code code, std::string_view what);
Result<std::vector<X509Ptr>> parse_certificates(std::string_view pem);
std::string sha256_of(X509* certificate);
std::string pem_of(X509* certificate);
// The CA certificate with this fingerprint in the chain, or null.
X509* find_ca(const STACK_OF(X509) * chain, std::string_view sha256);
PeerCertificate describe_certificate(X509* certificate);

}  // namespace chorok::net
