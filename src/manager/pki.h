// The cluster's certificates: which names go into whose, for how long, and where the CA lies. An
// agent is its host: the id is the certificate's name and its URI `chorok://host/ID`, and the same
// certificate serves as server and client, for the agent link, libvirtd and QEMU's migration.
//
// Files in the folder: ca.pem, ca.key (0600), server.pem, server.key (0600). The CA's key never
// enters the store or its backups.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "crypto/x509.h"

namespace chorok::manager {

struct PkiSettings {
  Duration certificate_lifetime = std::chrono::hours(24 * 90);
  // A list must outlive the longest time that a manager is away, or GnuTLS refuses everybody.
  Duration revocation_list_lifetime = std::chrono::hours(24 * 30);
};

struct PeerNames {
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
};

class Pki {
 public:
  // Makes the CA. kAlreadyExists: never overwrites one.
  static Result<Pki> create(const std::string& folder, Time now, const PkiSettings& settings = {});
  // kNotFound: `chorok-manager init` was not run.
  static Result<Pki> open(const std::string& folder, const PkiSettings& settings = {});

  // The manager's own certificate, kept in the folder; a new one when there is none, when it is due
  // for renewal, or when the names have changed.
  Result<crypto::KeyAndCertificate> server_identity(const PeerNames& names, Time now) const;
  // For a host that has proved who it is (a join token, or its present certificate).
  Result<std::string> sign_agent(std::string_view csr_pem, const std::string& host_id,
                                 const PeerNames& names, Time now) const;
  Result<std::string> revocation_list(const std::vector<crypto::Revoked>& revoked,
                                      std::uint64_t number, Time now) const;

  const std::string& ca_pem() const { return authority_.certificate_pem(); }
  const std::string& ca_sha256() const { return authority_.sha256(); }

 private:
  Pki(std::string folder, crypto::CertificateAuthority authority, const PkiSettings& settings)
      : folder_(std::move(folder)), authority_(std::move(authority)), settings_(settings) {}

  std::string folder_;
  crypto::CertificateAuthority authority_;
  PkiSettings settings_;
};

// The host that a peer's certificate (already verified against the CA) speaks for.
// kUnauthenticated: it is no host's.
Result<std::string> host_id_of(std::string_view certificate_pem);

}  // namespace chorok::manager
