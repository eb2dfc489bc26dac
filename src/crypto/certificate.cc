// Reading certificates: x509.h without the authority.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <ctime>

#include "crypto/encoding.h"
#include "crypto/openssl.h"
#include "crypto/x509.h"

namespace chorok::crypto {
namespace {

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>>;

std::string common_name_of(const X509_NAME* name) {
  const int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (index < 0) return {};
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
  if (size < 0) return {};
  std::string text(reinterpret_cast<char*>(utf8), static_cast<std::size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

std::string serial_of(const X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  return to_hex({reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)),
                 static_cast<std::size_t>(ASN1_STRING_length(serial))});
}

Time time_of(const ASN1_TIME* time) {
  std::tm parts{};
  ASN1_TIME_to_tm(time, &parts);
  return Time(std::chrono::seconds(::timegm(&parts)));
}

std::string string_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string ip_of(const ASN1_OCTET_STRING* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  if (family == AF_INET6 && ASN1_STRING_length(address) != 16) return {};
  ::inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size());
  return text.data();
}

void read_alternative_names(const X509* certificate, CertificateInfo& info) {
  NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) info.dns_names.push_back(string_of(name->d.dNSName));
    if (name->type == GEN_URI) info.uris.push_back(string_of(name->d.uniformResourceIdentifier));
    if (name->type == GEN_IPADD) info.ip_addresses.push_back(ip_of(name->d.iPAddress));
  }
}

Result<std::string> digest_of(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1)
    return Unexpected(openssl_error("Hashing a certificate"));
  return to_hex({reinterpret_cast<const char*>(digest.data()), size});
}

}  // namespace

Result<CertificateInfo> certificate_info(std::string_view pem) {
  const CertPtr certificate = TRY(parse_certificate(pem));
  CertificateInfo info;
  info.common_name = common_name_of(X509_get_subject_name(certificate.get()));
  info.issuer = common_name_of(X509_get_issuer_name(certificate.get()));
  info.serial = serial_of(certificate.get());
  info.sha256 = TRY(digest_of(certificate.get()));
  info.not_before = time_of(X509_get0_notBefore(certificate.get()));
  info.not_after = time_of(X509_get0_notAfter(certificate.get()));
  info.is_ca = X509_check_ca(certificate.get()) == 1;
  read_alternative_names(certificate.get(), info);
  return info;
}

Result<std::string> certificate_sha256(std::string_view pem) {
  return digest_of(TRY(parse_certificate(pem)).get());
}

Result<> check_key_fits(std::string_view key_pem, std::string_view certificate_pem) {
  const KeyPtr key = TRY(parse_key(key_pem));
  const CertPtr certificate = TRY(parse_certificate(certificate_pem));
  if (X509_check_private_key(certificate.get(), key.get()) == 1) return {};
  ERR_clear_error();
  return fail(Code::kInvalid, "The private key is not that of the certificate.");
}

Result<> verify_certificate(std::string_view certificate_pem, std::string_view ca_pem,
                            std::string_view crl_pem, Time now) {
  const CertPtr certificate = TRY(parse_certificate(certificate_pem));
  const CertPtr authority = TRY(parse_certificate(ca_pem));
  StorePtr store(X509_STORE_new());
  StoreContextPtr context(X509_STORE_CTX_new());
  CHOROK_ASSERT(store && context);
  X509_STORE_add_cert(store.get(), authority.get());
  unsigned long flags = X509_V_FLAG_X509_STRICT;
  if (!crl_pem.empty()) {
    CrlPtr crl(PEM_read_bio_X509_CRL(bio_over(crl_pem).get(), nullptr, nullptr, nullptr));
    if (!crl) return fail(Code::kInvalid, openssl_error("This is not a revocation list").message);
    X509_STORE_add_crl(store.get(), crl.get());
    flags |= X509_V_FLAG_CRL_CHECK;
  }
  X509_STORE_set_flags(store.get(), flags);
  CHOROK_ASSERT(X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) == 1);
  X509_STORE_CTX_set_time(context.get(), 0,
                          std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count());
  const bool valid = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  if (valid) return {};
  return fail(Code::kUnauthenticated,
              fmt::format("The certificate of '{}' is not accepted: {}.",
                          common_name_of(X509_get_subject_name(certificate.get())),
                          X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))));
}

}  // namespace chorok::crypto
