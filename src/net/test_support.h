// For net's tests only: run a coroutine to its end, make certificates.
#pragma once

#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <utility>

#include "net/asio_loop.h"
#include "net/tls.h"

namespace chorok::net::testing {

// Runs one coroutine on a loop of its own. Fails the test when it takes longer than the limit.
class LoopTest : public ::testing::Test {
 protected:
  AsioLoop loop;
  Executor executor = loop.executor();

  void run(awaitable<void> work, Duration limit = std::chrono::seconds(20)) {
    bool is_done = false;
    auto timer = loop.after(limit, [&] { loop.stop(); });
    spawn(executor, run_and_stop(std::move(work), is_done), "test");
    loop.run();
    loop.cancel(timer);
    EXPECT_TRUE(is_done) << "the test did not end in time";
  }

 private:
  awaitable<void> run_and_stop(awaitable<void> work, bool& is_done) {
    co_await std::move(work);
    is_done = true;
    loop.stop();
  }
};

struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
  TlsIdentity identity() const { return {certificate_pem, key_pem}; }
};

struct TestSubject {
  std::string common_name;
  std::string alt_names;  // OpenSSL's syntax: "DNS:localhost,IP:127.0.0.1,URI:chorok:host:h1"
  bool is_ca = false;
  long valid_from_s = -3600;
  long valid_to_s = 3600;
};

inline std::string bio_text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

inline void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  ASSERT_NE(extension, nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Self-signed without an issuer.
inline TestCertificate make_certificate(const TestSubject& subject,
                                        const TestCertificate* issuer = nullptr) {
  static long serial = 1000;
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), subject.valid_from_s);
  X509_gmtime_adj(X509_getm_notAfter(certificate), subject.valid_to_s);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(subject.common_name.c_str()),
                             -1, -1, 0);
  X509* signer = certificate;
  EVP_PKEY* signer_key = key;
  if (issuer != nullptr) {
    BIO* bio = BIO_new_mem_buf(issuer->certificate_pem.data(), -1);
    signer = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
    bio = BIO_new_mem_buf(issuer->key_pem.data(), -1);
    signer_key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    BIO_free(bio);
  }
  X509_set_issuer_name(certificate, X509_get_subject_name(signer));
  if (subject.is_ca) {
    add_extension(certificate, signer, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, signer, NID_key_usage, "critical,keyCertSign,cRLSign");
  }
  if (!subject.alt_names.empty()) {
    add_extension(certificate, signer, NID_subject_alt_name, subject.alt_names);
  }
  X509_sign(certificate, signer_key, EVP_sha256());

  TestCertificate made;
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  made.certificate_pem = bio_text(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  made.key_pem = bio_text(bio);
  if (issuer != nullptr) {
    X509_free(signer);
    EVP_PKEY_free(signer_key);
  }
  X509_free(certificate);
  EVP_PKEY_free(key);
  return made;
}

}  // namespace chorok::net::testing
