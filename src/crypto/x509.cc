// Making certificates: requests, the authority, revocation lists.
#include "crypto/x509.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>

#include "crypto/encoding.h"
#include "crypto/openssl.h"
#include "crypto/random.h"

namespace chorok::crypto {
namespace {

constexpr Duration kClockSkew = std::chrono::minutes(5);
constexpr Duration kAuthorityLifetime = std::chrono::hours(24 * 3653);  // 10 years
constexpr std::size_t kSerialBytes = 16;
constexpr std::size_t kMaxCommonName = 64;
constexpr std::size_t kMaxNames = 64;  // alternative names of one certificate

std::time_t unix_seconds(Time time) {
  return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
}

// Positive, not zero, and of one length, so that serials compare as text.
std::string random_serial() {
  std::string serial(kSerialBytes, '\0');
  random_bytes(serial.data(), serial.size());
  serial[0] = static_cast<char>((static_cast<unsigned char>(serial[0]) & 0x3f) | 0x40);
  return serial;
}

Result<IntegerPtr> to_integer(std::string_view bytes) {
  BignumPtr number(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                             static_cast<int>(bytes.size()), nullptr));
  IntegerPtr integer(BN_to_ASN1_INTEGER(number.get(), nullptr));
  if (!integer) return Unexpected(openssl_error("Making a serial number"));
  return integer;
}

Result<NamePtr> make_name(std::string_view common_name) {
  if (common_name.empty() || common_name.size() > kMaxCommonName)
    return fail(Code::kInvalid, fmt::format("A certificate's name has 1 to {} bytes, not '{}'.",
                                            kMaxCommonName, common_name));
  NamePtr name(X509_NAME_new());
  if (X509_NAME_add_entry_by_NID(name.get(), NID_commonName, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) != 1)
    return Unexpected(openssl_error("Naming a certificate"));
  return name;
}

Result<> add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
    return Unexpected(openssl_error(fmt::format("Adding {} to a certificate", OBJ_nid2sn(nid))));
  return {};
}

// Names become part of a comma-separated text for OpenSSL: what could end one must not be in it.
Result<> check_name(std::string_view name) {
  const bool plain = !name.empty() && name.size() <= 253 &&
                     name.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789.-_:/*") == std::string_view::npos;
  if (plain) return {};
  return fail(Code::kInvalid, fmt::format("'{}' cannot be a name in a certificate.", name));
}

Result<std::string> alternative_names(const CertificateSpec& spec) {
  if (spec.dns_names.size() + spec.ip_addresses.size() + spec.uris.size() > kMaxNames)
    return fail(Code::kInvalid, fmt::format("A certificate has at most {} names.", kMaxNames));
  std::string text;
  auto add = [&](std::string_view kind, const std::string& name) -> Result<> {
    TRY(check_name(name));
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", kind, name);
    return {};
  };
  for (const std::string& name : spec.dns_names) TRY(add("DNS", name));
  for (const std::string& address : spec.ip_addresses) {
    std::array<unsigned char, 16> bytes{};
    if (::inet_pton(AF_INET, address.c_str(), bytes.data()) != 1 &&
        ::inet_pton(AF_INET6, address.c_str(), bytes.data()) != 1)
      return fail(Code::kInvalid, fmt::format("'{}' is not an IP address.", address));
    TRY(add("IP", address));
  }
  for (const std::string& uri : spec.uris) TRY(add("URI", uri));
  return text;
}

// Serial, names, validity and key: what every certificate has.
Result<CertPtr> make_certificate(std::string_view common_name, EVP_PKEY* key, Time from, Time to) {
  CertPtr certificate(X509_new(), X509_free);
  const NamePtr name = TRY(make_name(common_name));
  const IntegerPtr serial = TRY(to_integer(random_serial()));
  const bool done =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      X509_set_serialNumber(certificate.get(), serial.get()) == 1 &&
      X509_set_subject_name(certificate.get(), name.get()) == 1 &&
      ASN1_TIME_set(X509_getm_notBefore(certificate.get()), unix_seconds(from)) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()), unix_seconds(to)) != nullptr &&
      X509_set_pubkey(certificate.get(), key) == 1;
  if (!done) return Unexpected(openssl_error("Making a certificate"));
  return certificate;
}

Result<> add_leaf_extensions(X509* certificate, X509* issuer, const CertificateSpec& spec) {
  CHOROK_ASSERT(spec.server || spec.client);
  TRY(add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  // Not critical: libvirt 9 and QEMU 7 refuse a critical keyUsage without keyEncipherment, which
  // RFC 8813 forbids for EC keys.
  TRY(add_extension(certificate, issuer, NID_key_usage, "digitalSignature"));
  std::string usage = spec.server ? "serverAuth" : "";
  if (spec.client) usage += usage.empty() ? "clientAuth" : ",clientAuth";
  TRY(add_extension(certificate, issuer, NID_ext_key_usage, usage));
  TRY(add_extension(certificate, issuer, NID_subject_key_identifier, "hash"));
  TRY(add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always"));
  const std::string names = TRY(alternative_names(spec));
  if (names.empty()) return {};
  return add_extension(certificate, issuer, NID_subject_alt_name, names);
}

Result<CsrPtr> parse_csr(std::string_view pem) {
  CsrPtr csr(PEM_read_bio_X509_REQ(bio_over(pem).get(), nullptr, nullptr, nullptr));
  if (!csr) return fail(Code::kInvalid, openssl_error("This is not a request in PEM").message);
  return csr;
}

Result<> check_csr_key(X509_REQ* csr) {
  EVP_PKEY* key = X509_REQ_get0_pubkey(csr);
  std::array<char, 32> group{};
  const bool curve = key && EVP_PKEY_is_a(key, "EC") &&
                     EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 &&
                     (std::string_view(group.data()) == SN_X9_62_prime256v1 ||
                      std::string_view(group.data()) == SN_secp384r1);
  ERR_clear_error();
  if (!curve) return fail(Code::kInvalid, "The request's key must be EC P-256 or P-384.");
  if (X509_REQ_verify(csr, key) == 1) return {};
  ERR_clear_error();
  return fail(Code::kInvalid, "The request is not signed with its own key.");
}

Result<CertPtr> sign_leaf(EVP_PKEY* public_key, const CertificateSpec& spec, Time now, X509* issuer,
                          EVP_PKEY* issuer_key) {
  CertPtr certificate =
      TRY(make_certificate(spec.common_name, public_key, now - kClockSkew, now + spec.lifetime));
  if (ASN1_TIME_compare(X509_get0_notAfter(certificate.get()), X509_get0_notAfter(issuer)) > 0)
    X509_set1_notAfter(certificate.get(), X509_get0_notAfter(issuer));
  if (X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) != 1)
    return Unexpected(openssl_error("Signing a certificate"));
  TRY(add_leaf_extensions(certificate.get(), issuer, spec));
  if (X509_sign(certificate.get(), issuer_key, EVP_sha256()) == 0)
    return Unexpected(openssl_error("Signing a certificate"));
  return certificate;
}

Result<> add_revoked(X509_CRL* crl, const Revoked& revoked) {
  const std::string serial = TRY(from_hex(revoked.serial));
  IntegerPtr integer = TRY(to_integer(serial));
  TimePtr at(ASN1_TIME_set(nullptr, unix_seconds(revoked.at)));
  X509_REVOKED* entry = X509_REVOKED_new();
  const bool done = at && entry && X509_REVOKED_set_serialNumber(entry, integer.get()) == 1 &&
                    X509_REVOKED_set_revocationDate(entry, at.get()) == 1 &&
                    X509_CRL_add0_revoked(crl, entry) == 1;
  if (done) return {};
  X509_REVOKED_free(entry);
  return Unexpected(openssl_error("Adding to a revocation list"));
}

Result<> add_crl_extensions(X509_CRL* crl, X509* issuer, std::uint64_t number) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, nullptr, nullptr, crl, 0);
  IntegerPtr integer(ASN1_INTEGER_new());
  ExtensionPtr identifier(
      X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid:always"));
  const bool done = integer && ASN1_INTEGER_set_uint64(integer.get(), number) == 1 &&
                    X509_CRL_add1_ext_i2d(crl, NID_crl_number, integer.get(), 0, 0) == 1 &&
                    identifier && X509_CRL_add_ext(crl, identifier.get(), -1) == 1;
  if (!done) return Unexpected(openssl_error("Making a revocation list"));
  return {};
}

}  // namespace

Result<KeyAndCsr> make_key_and_csr(std::string_view common_name) {
  const KeyPtr key = TRY(make_key());
  const NamePtr name = TRY(make_name(common_name));
  CsrPtr csr(X509_REQ_new());
  Bio out(BIO_new(BIO_s_mem()));
  const bool done = X509_REQ_set_version(csr.get(), X509_REQ_VERSION_1) == 1 &&
                    X509_REQ_set_subject_name(csr.get(), name.get()) == 1 &&
                    X509_REQ_set_pubkey(csr.get(), key.get()) == 1 &&
                    X509_REQ_sign(csr.get(), key.get(), EVP_sha256()) != 0 &&
                    PEM_write_bio_X509_REQ(out.get(), csr.get()) == 1;
  if (!done) return Unexpected(openssl_error("Making a certificate request"));
  return KeyAndCsr{TRY(key_to_pem(key.get())), text_of(out.get())};
}

CertificateAuthority::CertificateAuthority(CertPtr certificate, KeyPtr key)
    : certificate_(std::move(certificate)), key_(std::move(key)) {}

Result<CertificateAuthority> CertificateAuthority::create(std::string_view common_name, Time now) {
  const KeyPtr key = TRY(make_key());
  const CertPtr certificate =
      TRY(make_certificate(common_name, key.get(), now - kClockSkew, now + kAuthorityLifetime));
  X509* raw = certificate.get();
  if (X509_set_issuer_name(raw, X509_get_subject_name(raw)) != 1)
    return Unexpected(openssl_error("Making the CA"));
  TRY(add_extension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  TRY(add_extension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign"));
  TRY(add_extension(raw, raw, NID_subject_key_identifier, "hash"));
  TRY(add_extension(raw, raw, NID_authority_key_identifier, "keyid:always"));
  if (X509_sign(raw, key.get(), EVP_sha256()) == 0)
    return Unexpected(openssl_error("Making the CA"));
  return load(TRY(certificate_to_pem(raw)), TRY(key_to_pem(key.get())));
}

Result<CertificateAuthority> CertificateAuthority::load(std::string_view certificate_pem,
                                                        std::string_view key_pem) {
  CertificateAuthority authority(TRY(parse_certificate(certificate_pem)), TRY(parse_key(key_pem)));
  if (X509_check_ca(authority.certificate_.get()) != 1)
    return fail(Code::kFailedPrecondition, "The CA's certificate is not that of a CA.");
  if (auto fits = check_key_fits(key_pem, certificate_pem); !fits)
    return fail(Code::kFailedPrecondition, "The CA's key is not that of its certificate.");
  authority.certificate_pem_ = TRY(certificate_to_pem(authority.certificate_.get()));
  authority.sha256_ = TRY(certificate_sha256(certificate_pem));
  return authority;
}

Result<std::string> CertificateAuthority::sign_csr(std::string_view csr_pem,
                                                   const CertificateSpec& spec, Time now) const {
  const CsrPtr csr = TRY(parse_csr(csr_pem));
  TRY(check_csr_key(csr.get()));
  const CertPtr certificate =
      TRY(sign_leaf(X509_REQ_get0_pubkey(csr.get()), spec, now, certificate_.get(), key_.get()));
  return certificate_to_pem(certificate.get());
}

Result<KeyAndCertificate> CertificateAuthority::issue(const CertificateSpec& spec, Time now) const {
  const KeyPtr key = TRY(make_key());
  const CertPtr certificate = TRY(sign_leaf(key.get(), spec, now, certificate_.get(), key_.get()));
  return KeyAndCertificate{TRY(key_to_pem(key.get())), TRY(certificate_to_pem(certificate.get()))};
}

Result<std::string> CertificateAuthority::revocation_list(const std::vector<Revoked>& revoked,
                                                          std::uint64_t number, Time now,
                                                          Duration lifetime) const {
  CrlPtr crl(X509_CRL_new());
  TimePtr from(ASN1_TIME_set(nullptr, unix_seconds(now - kClockSkew)));
  TimePtr to(ASN1_TIME_set(nullptr, unix_seconds(now + lifetime)));
  const bool begun =
      crl && from && to && X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2) == 1 &&
      X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(certificate_.get())) == 1 &&
      X509_CRL_set1_lastUpdate(crl.get(), from.get()) == 1 &&
      X509_CRL_set1_nextUpdate(crl.get(), to.get()) == 1;
  if (!begun) return Unexpected(openssl_error("Making a revocation list"));
  for (const Revoked& entry : revoked) TRY(add_revoked(crl.get(), entry));
  TRY(add_crl_extensions(crl.get(), certificate_.get(), number));
  X509_CRL_sort(crl.get());
  Bio out(BIO_new(BIO_s_mem()));
  if (X509_CRL_sign(crl.get(), key_.get(), EVP_sha256()) == 0 ||
      PEM_write_bio_X509_CRL(out.get(), crl.get()) != 1)
    return Unexpected(openssl_error("Signing a revocation list"));
  return text_of(out.get());
}

Result<std::string> CertificateAuthority::key_pem() const {
  return key_to_pem(key_.get());
}

}  // namespace chorok::crypto
