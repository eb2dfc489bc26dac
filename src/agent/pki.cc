#include "agent/pki.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "agent/files.h"
#include "crypto/x509.h"

namespace chorok::agent {
namespace {

constexpr const char* kKey = "agent.key";
constexpr const char* kCertificate = "agent.crt";
constexpr const char* kCa = "ca.crt";

struct Alias {
  const char* name;
  const char* file;
};
constexpr Alias kAliases[] = {
    // libvirt: https://libvirt.org/kbase/tlscerts.html
    {"cacert.pem", kCa},
    {"servercert.pem", kCertificate},
    {"serverkey.pem", kKey},
    {"clientcert.pem", kCertificate},
    {"clientkey.pem", kKey},
    // QEMU: tls-creds-x509
    {"ca-cert.pem", kCa},
    {"server-cert.pem", kCertificate},
    {"server-key.pem", kKey},
    {"client-cert.pem", kCertificate},
    {"client-key.pem", kKey},
};

// https://libvirt.org/kbase/tlscerts.html, and qemu.conf's default_tls_x509_cert_dir; an empty name
// is the folder itself.
constexpr Alias kSystemPlaces[] = {
    {"CA/cacert.pem", "cacert.pem"},
    {"libvirt/servercert.pem", "servercert.pem"},
    {"libvirt/private/serverkey.pem", "serverkey.pem"},
    {"libvirt/clientcert.pem", "clientcert.pem"},
    {"libvirt/private/clientkey.pem", "clientkey.pem"},
    {"qemu", ""},
};

std::string target_of(const std::string& config_folder, const Alias& place) {
  const std::string folder = pki_folder(config_folder);
  return *place.file ? fmt::format("{}/{}", folder, place.file) : folder;
}

// QEMU opens the key as its own user; without that group only root may read it.
Result<> let_qemu_read(const std::string& path) {
  const group* qemu = ::getgrnam("libvirt-qemu");
  if (!qemu) return {};
  if (::chown(path.c_str(), 0, qemu->gr_gid) != 0)
    return ::geteuid() == 0
               ? Result<>(fail(Code::kFailedPrecondition,
                               fmt::format("cannot give {} to the group libvirt-qemu", path)))
               : Result<>();
  return {};
}

Result<> fill(const std::string& folder, const Pki& pki) {
  TRY(make_folder(folder, 0755));
  const std::string key = fmt::format("{}/{}", folder, kKey);
  TRY(write_file(key, pki.key, 0600));
  TRY(let_qemu_read(key));
  if (::getgrnam("libvirt-qemu")) ::chmod(key.c_str(), 0640);
  TRY(write_file(fmt::format("{}/{}", folder, kCertificate), pki.certificate, 0644));
  TRY(write_file(fmt::format("{}/{}", folder, kCa), pki.ca, 0644));
  for (const Alias& alias : kAliases)
    if (::symlink(alias.file, fmt::format("{}/{}", folder, alias.name).c_str()) != 0)
      return fail(Code::kFailedPrecondition,
                  fmt::format("cannot link {}/{}: {}", folder, alias.name, std::strerror(errno)));
  return {};
}

Result<> swap_in(const std::string& fresh, const std::string& folder) {
  if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0 ||
      (errno == ENOENT && ::rename(fresh.c_str(), folder.c_str()) == 0))
    return {};
  return fail(Code::kFailedPrecondition,
              fmt::format("cannot replace {}: {}", folder, std::strerror(errno)));
}

}  // namespace

std::string pki_folder(const std::string& config_folder) {
  return config_folder + "/pki";
}

Result<> save_pki(const std::string& config_folder, const Pki& pki) {
  TRY(crypto::check_key_fits(pki.key, pki.certificate));
  TRY(make_folder(config_folder, 0755));
  const std::string folder = pki_folder(config_folder);
  const std::string fresh = folder + ".new";
  std::error_code ignored;
  std::filesystem::remove_all(fresh, ignored);
  TRY(fill(fresh, pki));
  TRY(swap_in(fresh, folder));
  std::filesystem::remove_all(fresh, ignored);  // now the old set
  return {};
}

Result<Pki> load_pki(const std::string& config_folder) {
  const std::string folder = pki_folder(config_folder);
  return Pki{.key = TRY(read_file(fmt::format("{}/{}", folder, kKey))),
             .certificate = TRY(read_file(fmt::format("{}/{}", folder, kCertificate))),
             .ca = TRY(read_file(fmt::format("{}/{}", folder, kCa)))};
}

Result<> remove_pki(const std::string& config_folder) {
  std::error_code failed;
  std::filesystem::remove_all(pki_folder(config_folder), failed);
  if (failed)
    return fail(Code::kFailedPrecondition,
                fmt::format("cannot remove {}: {}", pki_folder(config_folder), failed.message()));
  return {};
}

std::vector<std::string> link_system_pki(const std::string& config_folder,
                                         const std::string& root) {
  std::vector<std::string> taken;
  for (const Alias& place : kSystemPlaces) {
    const std::filesystem::path path = fmt::format("{}/{}", root, place.name);
    const std::string target = target_of(config_folder, place);
    std::error_code failed;
    if (std::filesystem::read_symlink(path, failed) == target) continue;
    std::filesystem::create_directories(path.parent_path(), failed);
    std::filesystem::create_symlink(target, path, failed);
    if (failed) taken.push_back(path);
  }
  return taken;
}

void unlink_system_pki(const std::string& config_folder, const std::string& root) {
  for (const Alias& place : kSystemPlaces) {
    const std::filesystem::path path = fmt::format("{}/{}", root, place.name);
    std::error_code failed;
    if (std::filesystem::read_symlink(path, failed) == target_of(config_folder, place))
      std::filesystem::remove(path, failed);
  }
}

Result<std::shared_ptr<net::TlsClientContext>> tls_context(const Pki& pki) {
  const net::TlsIdentity identity{pki.certificate, pki.key};
  return net::TlsClientContext::with_ca(pki.ca, &identity);
}

}  // namespace chorok::agent
