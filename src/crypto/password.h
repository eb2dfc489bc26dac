// Passwords, kept as argon2id hashes in their standard text form, which carries its own parameters:
// raising them later keeps old passwords working. One hash takes about 20 ms and 19 MiB, so it runs
// off the I/O thread, two at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::crypto {

struct PasswordSettings {
  // OWASP Password Storage Cheat Sheet, argon2id minimum: 19 MiB, 2 iterations, 1 lane.
  std::uint32_t memory_kib = 19 * 1024;
  std::uint32_t iterations = 2;
  std::uint32_t lanes = 1;
  std::size_t min_length = 8;     // NIST SP 800-63B
  std::size_t max_length = 1024;  // longer ones would only cost time
};

// kInvalid for a password that is too short or too long.
Result<std::string> hash_password(std::string_view password, const PasswordSettings& settings = {});
bool verify_password(std::string_view password, std::string_view encoded);
// Takes as long as verify_password and is false: for users that do not exist, so that the time of a
// refusal does not tell whether they do.
bool verify_nobody(std::string_view password, const PasswordSettings& settings = {});
// Whether the hash was made with other parameters and should be made anew at the next login.
bool needs_rehash(std::string_view encoded, const PasswordSettings& settings = {});

}  // namespace chorok::crypto
