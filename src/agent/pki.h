// The host's key and certificates, in one folder under every name that somebody looks for: the
// agent, libvirt's daemon and client, QEMU. One key and one certificate serve all of them. A new
// set replaces the old one in one step.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "net/tls.h"

namespace chorok::agent {

struct Pki {
  std::string key;
  std::string certificate;
  std::string ca;
};

std::string pki_folder(const std::string& config_folder);
// Checks that key, certificate and CA belong together before anything is written.
Result<> save_pki(const std::string& config_folder, const Pki& pki);
Result<Pki> load_pki(const std::string& config_folder);
Result<> remove_pki(const std::string& config_folder);

// Where libvirt and QEMU look when nobody tells them otherwise (/etc/pki below `root`): links into
// our folder, where nothing else is. Answers the places that hold something else and stay as they
// are.
std::vector<std::string> link_system_pki(const std::string& config_folder,
                                         const std::string& root = "/etc/pki");
// Removes those of these links that are ours.
void unlink_system_pki(const std::string& config_folder, const std::string& root = "/etc/pki");

// Who we are, to the manager and for the manager.
Result<std::shared_ptr<net::TlsClientContext>> tls_context(const Pki& pki);

}  // namespace chorok::agent
