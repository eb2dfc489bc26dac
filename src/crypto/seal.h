// Secrets at rest (BMC passwords, the CA's key): AES-256-GCM under a key that lies outside of the
// store and of its backups. A sealed text names the format and the key, and is bound to the place
// it was sealed for, so that whoever can write the store cannot move one to where it would be
// shown: `chs1:<key id>:<base64 of nonce, ciphertext, tag>`.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::crypto {

class SealingKey {
 public:
  static SealingKey generate();
  // A file of 64 hex digits that only its owner may read (0600 or 0400, or a systemd credential).
  // kNotFound; kFailedPrecondition: others may read it, or it is not a key.
  static Result<SealingKey> load(const std::string& path);
  // Loads it, or makes it (0600, on disk before this returns) when there is none.
  static Result<SealingKey> load_or_create(const std::string& path);
  ~SealingKey();
  SealingKey(const SealingKey&) = default;
  SealingKey& operator=(const SealingKey&) = default;

  // `place`: what the secret belongs to, as "host/h-1/bmc"; the same is needed to open it.
  std::string seal(std::string_view secret, std::string_view place) const;
  // kFailedPrecondition: sealed with another key, for another place, or damaged.
  Result<std::string> open(std::string_view sealed, std::string_view place) const;
  // Names the key without telling it: 8 hex digits.
  const std::string& id() const { return id_; }

 private:
  explicit SealingKey(std::string key);
  std::string key_;  // 32 bytes
  std::string id_;
};

}  // namespace chorok::crypto
