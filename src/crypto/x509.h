// X.509 as far as Chorok needs it: a cluster's CA that signs EC P-256 certificates, requests made
// where the key stays, revocation lists. Names in a certificate are decided by who signs, never by
// the request. Everything goes in and out as PEM; OpenSSL and GnuTLS (libvirt, QEMU) accept it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"

struct x509_st;
struct evp_pkey_st;

namespace chorok::crypto {

struct KeyAndCsr {
  std::string key_pem;  // PKCS #8, stays where it was made
  std::string csr_pem;
};

struct KeyAndCertificate {
  std::string key_pem;
  std::string certificate_pem;
};

// What the signer puts into a certificate. At least one of server and client.
struct CertificateSpec {
  std::string common_name;  // at most 64 bytes (X.520)
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::vector<std::string> uris;
  bool server = true;
  bool client = false;
  // 90 days: short enough that a stolen key ages out, long enough to be away for a month after the
  // renewal at two thirds.
  Duration lifetime = std::chrono::hours(24 * 90);
};

struct CertificateInfo {
  std::string common_name;
  std::string issuer;  // its common name
  std::string serial;  // lower-case hex, as in Revoked
  std::string sha256;  // of the DER form, lower-case hex
  Time not_before{};
  Time not_after{};
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  std::vector<std::string> uris;
  bool is_ca = false;

  // When to renew: two thirds of the lifetime.
  Time renew_at() const { return not_before + (not_after - not_before) / 3 * 2; }
};

struct Revoked {
  std::string serial;
  Time at{};
};

// A new P-256 key and a request for it. The name in the request is for people's eyes only.
Result<KeyAndCsr> make_key_and_csr(std::string_view common_name);

// kInvalid: not a certificate. Of several, the first.
Result<CertificateInfo> certificate_info(std::string_view pem);
// Lower-case hex, without colons.
Result<std::string> certificate_sha256(std::string_view pem);
// Whether this is the key of this certificate.
Result<> check_key_fits(std::string_view key_pem, std::string_view certificate_pem);
// kUnauthenticated, with the reason: not signed by this CA, not valid at `now`, or, with a list,
// revoked.
Result<> verify_certificate(std::string_view certificate_pem, std::string_view ca_pem,
                            std::string_view crl_pem, Time now);

class CertificateAuthority {
 public:
  // Self-signed, EC P-256, 10 years, signs no other CAs.
  static Result<CertificateAuthority> create(std::string_view common_name, Time now);
  // kFailedPrecondition when the two do not belong together or this is no CA.
  static Result<CertificateAuthority> load(std::string_view certificate_pem,
                                           std::string_view key_pem);

  // Checks that the request was signed with its own key and that the key is P-256 or P-384; takes
  // nothing else from it. Valid from 5 minutes before `now` (clocks differ), never longer than the
  // CA.
  Result<std::string> sign_csr(std::string_view csr_pem, const CertificateSpec& spec,
                               Time now) const;
  // A certificate with a key made here: for the manager itself.
  Result<KeyAndCertificate> issue(const CertificateSpec& spec, Time now) const;
  // The complete list. `number` grows with every list.
  Result<std::string> revocation_list(const std::vector<Revoked>& revoked, std::uint64_t number,
                                      Time now, Duration lifetime) const;

  const std::string& certificate_pem() const { return certificate_pem_; }
  const std::string& sha256() const { return sha256_; }  // lower-case hex
  Result<std::string> key_pem() const;

 private:
  CertificateAuthority(std::shared_ptr<x509_st> certificate, std::shared_ptr<evp_pkey_st> key);
  std::shared_ptr<x509_st> certificate_;
  std::shared_ptr<evp_pkey_st> key_;
  std::string certificate_pem_;
  std::string sha256_;
};

}  // namespace chorok::crypto
