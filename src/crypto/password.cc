#include "crypto/password.h"

#include <argon2.h>
#include <fmt/format.h>

#include <array>
#include <cstdio>

#include "crypto/random.h"

namespace chorok::crypto {
namespace {

constexpr std::size_t kSaltBytes = 16;
constexpr std::size_t kHashBytes = 32;
constexpr unsigned kMostMemoryKib = 1 << 20;  // a hash that asks for more was not made here

struct Parameters {
  unsigned memory_kib = 0, iterations = 0, lanes = 0;
};

Result<Parameters> parameters_of(const std::string& encoded) {
  Parameters found;
  if (std::sscanf(encoded.c_str(), "$argon2id$v=19$m=%u,t=%u,p=%u$", &found.memory_kib,
                  &found.iterations, &found.lanes) != 3 ||
      found.memory_kib > kMostMemoryKib || found.iterations > 100 || found.lanes > 16)
    return fail(Code::kInternal, "The stored password hash is damaged.");
  return found;
}

}  // namespace

Result<std::string> hash_password(std::string_view password, const PasswordSettings& settings) {
  if (password.size() < settings.min_length)
    return fail(Code::kInvalid,
                fmt::format("A password has at least {} characters.", settings.min_length));
  if (password.size() > settings.max_length)
    return fail(Code::kInvalid,
                fmt::format("A password has at most {} bytes.", settings.max_length));
  std::array<char, kSaltBytes> salt{};
  random_bytes(salt.data(), salt.size());
  std::string encoded(argon2_encodedlen(settings.iterations, settings.memory_kib, settings.lanes,
                                        kSaltBytes, kHashBytes, Argon2_id),
                      '\0');
  const int code = argon2id_hash_encoded(settings.iterations, settings.memory_kib, settings.lanes,
                                         password.data(), password.size(), salt.data(), salt.size(),
                                         kHashBytes, encoded.data(), encoded.size());
  if (code != ARGON2_OK)
    return fail(code == ARGON2_MEMORY_ALLOCATION_ERROR ? Code::kExhausted : Code::kInternal,
                fmt::format("The password cannot be hashed: {}.", argon2_error_message(code)));
  encoded.resize(encoded.find('\0'));
  return encoded;
}

bool verify_password(std::string_view password, std::string_view encoded) {
  const std::string text(encoded);  // the library wants it to end in a zero
  if (!parameters_of(text)) return false;
  return argon2id_verify(text.c_str(), password.data(), password.size()) == ARGON2_OK;
}

bool verify_nobody(std::string_view password, const PasswordSettings& settings) {
  std::array<char, kSaltBytes> salt{};
  std::array<char, kHashBytes> hash{};
  (void)argon2id_hash_raw(settings.iterations, settings.memory_kib, settings.lanes, password.data(),
                          password.size(), salt.data(), salt.size(), hash.data(), hash.size());
  return false;
}

bool needs_rehash(std::string_view encoded, const PasswordSettings& settings) {
  const auto found = parameters_of(std::string(encoded));
  return !found || found->memory_kib != settings.memory_kib ||
         found->iterations != settings.iterations || found->lanes != settings.lanes;
}

}  // namespace chorok::crypto
