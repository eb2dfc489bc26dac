// The folder in which a manager keeps itself: the store, the CA and the server's certificate, the
// admin's socket. `chorok-manager init` makes it and may be repeated.
#pragma once

#include <string>
#include <vector>

#include "manager/pki.h"

namespace chorok::manager {

struct StateDir {
  std::string path;

  std::string store() const { return path + "/chorok.db"; }
  std::string history() const { return path + "/history.db"; }
  std::string plans() const { return path + "/plans.db"; }
  std::string pki() const { return path + "/pki"; }
  std::string socket() const { return path + "/admin.sock"; }
  std::string names() const { return path + "/names"; }
  std::string seal_key() const { return path + "/seal.key"; }

  // Makes the folders (0700) where they are missing.
  Result<> make() const;
  // Names and addresses that people gave the manager, beside those of the machine.
  Result<std::vector<std::string>> extra_names() const;
  Result<> add_names(const std::vector<std::string>& names) const;
};

struct InitRequest {
  StateDir state;
  std::string admin = "admin";
  std::string password;  // empty: a random one, answered
  std::vector<std::string> names;
};

struct InitAnswer {
  std::vector<std::string> lines;  // what was done, and what was there
  std::string password;            // when it was made up here
  std::string ca_sha256;
};

// Blocks. kUnavailable: a manager runs on this folder.
Result<InitAnswer> init_state(const InitRequest& request);

// What the server's certificate is for: this machine's names and addresses, and the extra ones.
PeerNames server_names(const std::vector<std::string>& extra);

// Whole or not at all; kNotFound and others as the system says.
Result<std::string> read_text_file(const std::string& path, std::size_t bytes_max = 1 << 20);
Result<> write_text_file(const std::string& path, std::string_view text, unsigned mode);

}  // namespace chorok::manager
