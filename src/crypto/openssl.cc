#include "crypto/openssl.h"

#include <fmt/format.h>
#include <openssl/ec.h>

namespace chorok::crypto {

Error openssl_error(std::string_view what) {
  const unsigned long code = ERR_get_error();
  const char* reason = code ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return {Code::kInternal, fmt::format("{}: {}.", what, reason ? reason : "no reason given"), {}};
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Bio bio_over(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<KeyPtr> make_key() {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  if (!key) return Unexpected(openssl_error("Making a key"));
  return KeyPtr(key, EVP_PKEY_free);
}

Result<KeyPtr> parse_key(std::string_view pem) {
  // An encrypted key would make OpenSSL ask on the terminal.
  auto no_password = [](char*, int, int, void*) { return -1; };
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio_over(pem).get(), nullptr, no_password, nullptr);
  if (!key) return fail(Code::kInvalid, openssl_error("This is not a private key in PEM").message);
  return KeyPtr(key, EVP_PKEY_free);
}

Result<std::string> key_to_pem(EVP_PKEY* key) {
  Bio out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PKCS8PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return Unexpected(openssl_error("Writing a key"));
  return text_of(out.get());
}

Result<CertPtr> parse_certificate(std::string_view pem) {
  X509* certificate = PEM_read_bio_X509(bio_over(pem).get(), nullptr, nullptr, nullptr);
  if (!certificate)
    return fail(Code::kInvalid, openssl_error("This is not a certificate in PEM").message);
  return CertPtr(certificate, X509_free);
}

Result<std::string> certificate_to_pem(X509* certificate) {
  Bio out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(out.get(), certificate) != 1)
    return Unexpected(openssl_error("Writing a certificate"));
  return text_of(out.get());
}

}  // namespace chorok::crypto
