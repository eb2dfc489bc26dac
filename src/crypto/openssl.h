// OpenSSL's objects with owners, for this folder's .cc files.
#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::crypto {

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using KeyPtr = std::shared_ptr<EVP_PKEY>;
using CertPtr = std::shared_ptr<X509>;
using CsrPtr = std::unique_ptr<X509_REQ, Freed<X509_REQ_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, Freed<X509_CRL_free>>;
using NamePtr = std::unique_ptr<X509_NAME, Freed<X509_NAME_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using TimePtr = std::unique_ptr<ASN1_TIME, Freed<ASN1_TIME_free>>;
using IntegerPtr = std::unique_ptr<ASN1_INTEGER, Freed<ASN1_INTEGER_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, Freed<BN_free>>;

// The last of OpenSSL's errors, in its words; empties its queue.
Error openssl_error(std::string_view what);

std::string text_of(BIO* bio);
Bio bio_over(std::string_view text);

Result<KeyPtr> make_key();
Result<KeyPtr> parse_key(std::string_view pem);
Result<std::string> key_to_pem(EVP_PKEY* key);
Result<CertPtr> parse_certificate(std::string_view pem);
Result<std::string> certificate_to_pem(X509* certificate);

}  // namespace chorok::crypto
