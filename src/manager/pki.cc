#include "manager/pki.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "crypto/random.h"

namespace chorok::manager {
namespace {

constexpr std::string_view kHostUri = "chorok://host/";
constexpr std::size_t kMaxPemBytes = 64 << 10;

Unexpected file_error(std::string_view what, const std::string& path) {
  const Code code = errno == ENOENT   ? Code::kNotFound
                    : errno == EEXIST ? Code::kAlreadyExists
                    : errno == ENOSPC ? Code::kExhausted
                                      : Code::kFailedPrecondition;
  return fail(code, fmt::format("Cannot {} {}: {}.", what, path, std::strerror(errno)));
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Result<std::string> read_file(const std::string& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) return file_error("read", path);
  std::string text(kMaxPemBytes, '\0');
  const ssize_t size = ::read(file.fd, text.data(), text.size());
  if (size < 0) return file_error("read", path);
  text.resize(static_cast<std::size_t>(size));
  return text;
}

// Whole or not at all, and on disk when it returns.
Result<> write_file(const std::string& path, std::string_view text, ::mode_t mode) {
  const std::string partial = path + ".partial";
  ::unlink(partial.c_str());
  Descriptor file{::open(partial.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode)};
  if (file.fd < 0) return file_error("write", partial);
  if (::write(file.fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(file.fd) != 0)
    return file_error("write", partial);
  if (::rename(partial.c_str(), path.c_str()) != 0) return file_error("write", path);
  const std::string folder = path.substr(0, path.find_last_of('/') + 1);
  Descriptor parent{
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (parent.fd < 0 || ::fsync(parent.fd) != 0) return file_error("write", folder);
  return {};
}

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::vector<std::string> sorted(std::vector<std::string> names) {
  std::ranges::sort(names);
  return names;
}

// Whether the identity on disk still does: right CA, right names, not due for renewal.
bool still_good(const crypto::KeyAndCertificate& identity, const PeerNames& names,
                const std::string& ca_pem, Time now) {
  const auto info = crypto::certificate_info(identity.certificate_pem);
  return info && now < info->renew_at() &&
         crypto::check_key_fits(identity.key_pem, identity.certificate_pem) &&
         crypto::verify_certificate(identity.certificate_pem, ca_pem, "", now) &&
         sorted(info->dns_names) == sorted(names.dns_names) &&
         sorted(info->ip_addresses) == sorted(names.ip_addresses);
}

}  // namespace

Result<Pki> Pki::create(const std::string& folder, Time now, const PkiSettings& settings) {
  for (const char* name : {"/ca.pem", "/ca.key"})
    if (exists(folder + name))
      return fail(Code::kAlreadyExists,
                  fmt::format("{}{} exists already: this cluster has its CA.", folder, name));
  auto authority =
      TRY(crypto::CertificateAuthority::create("Chorok CA " + crypto::random_text(8), now));
  // The key first: a certificate without its key would look like a finished CA.
  TRY(write_file(folder + "/ca.key", TRY(authority.key_pem()), 0600));
  TRY(write_file(folder + "/ca.pem", authority.certificate_pem(), 0644));
  return Pki(folder, std::move(authority), settings);
}

Result<Pki> Pki::open(const std::string& folder, const PkiSettings& settings) {
  const auto certificate = read_file(folder + "/ca.pem");
  if (!certificate && certificate.error().code == Code::kNotFound)
    return fail(Code::kNotFound,
                fmt::format("There is no CA in {}: run `chorok-manager init` first.", folder));
  if (!certificate) return Unexpected(certificate.error());
  const std::string key = TRY(read_file(folder + "/ca.key"));
  auto authority = crypto::CertificateAuthority::load(*certificate, key);
  if (!authority) return Unexpected(authority.error().within(folder));
  return Pki(folder, std::move(*authority), settings);
}

Result<crypto::KeyAndCertificate> Pki::server_identity(const PeerNames& names, Time now) const {
  const std::string key_path = folder_ + "/server.key", pem_path = folder_ + "/server.pem";
  const auto key = read_file(key_path), pem = read_file(pem_path);
  if (key && pem && still_good({*key, *pem}, names, ca_pem(), now))
    return crypto::KeyAndCertificate{*key, *pem};
  auto fresh = TRY(authority_.issue({.common_name = "chorok-manager",
                                     .dns_names = names.dns_names,
                                     .ip_addresses = names.ip_addresses,
                                     .server = true,
                                     .client = true,
                                     .lifetime = settings_.certificate_lifetime},
                                    now));
  TRY(write_file(key_path, fresh.key_pem, 0600));
  TRY(write_file(pem_path, fresh.certificate_pem, 0644));
  return fresh;
}

Result<std::string> Pki::sign_agent(std::string_view csr_pem, const std::string& host_id,
                                    const PeerNames& names, Time now) const {
  return authority_.sign_csr(csr_pem,
                             {.common_name = host_id,
                              .dns_names = names.dns_names,
                              .ip_addresses = names.ip_addresses,
                              .uris = {std::string(kHostUri) + host_id},
                              .server = true,
                              .client = true,
                              .lifetime = settings_.certificate_lifetime},
                             now);
}

Result<std::string> Pki::revocation_list(const std::vector<crypto::Revoked>& revoked,
                                         std::uint64_t number, Time now) const {
  return authority_.revocation_list(revoked, number, now, settings_.revocation_list_lifetime);
}

Result<std::string> host_id_of(std::string_view certificate_pem) {
  const auto info = TRY(crypto::certificate_info(certificate_pem));
  for (const std::string& uri : info.uris)
    if (uri.starts_with(kHostUri) && uri.substr(kHostUri.size()) == info.common_name)
      return info.common_name;
  return fail(Code::kUnauthenticated,
              fmt::format("The certificate of '{}' is not a host's.", info.common_name));
}

}  // namespace chorok::manager
