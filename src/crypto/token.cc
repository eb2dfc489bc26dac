#include "crypto/token.h"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/encoding.h"
#include "crypto/random.h"
#include "crypto/sha256.h"

namespace chorok::crypto {
namespace {

constexpr std::string_view kTokenPrefix = "chk_", kJoinPrefix = "chj_";
constexpr std::size_t kIdLength = 10;
constexpr std::size_t kSecretLength = 32;
constexpr std::size_t kSha256HexLength = 64;

bool is_random_text(std::string_view text, std::size_t length) {
  return text.size() == length && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
         });
}

}  // namespace

NewToken make_token() {
  const std::string id = random_text(kIdLength), secret = random_text(kSecretLength);
  return {fmt::format("{}{}_{}", kTokenPrefix, id, secret), id, sha256_hex(secret)};
}

NewToken make_join_token(std::string_view ca_sha256) {
  const std::string id = random_text(kIdLength), secret = random_text(kSecretLength);
  return {fmt::format("{}{}.{}.{}", kJoinPrefix, id, secret, ca_sha256), id, sha256_hex(secret)};
}

Result<ParsedToken> parse_token(std::string_view text) {
  const Error error{Code::kUnauthenticated, "This is not a token of Chorok.", {}};
  if (!text.starts_with(kTokenPrefix)) return Unexpected(error);
  text.remove_prefix(kTokenPrefix.size());
  if (text.size() != kIdLength + 1 + kSecretLength || text[kIdLength] != '_')
    return Unexpected(error);
  ParsedToken token{std::string(text.substr(0, kIdLength)),
                    std::string(text.substr(kIdLength + 1))};
  if (!is_random_text(token.id, kIdLength) || !is_random_text(token.secret, kSecretLength))
    return Unexpected(error);
  return token;
}

Result<ParsedJoinToken> parse_join_token(std::string_view text) {
  const Error error{Code::kInvalid,
                    "This is not a join token, or a part of it is missing: copy the whole text "
                    "from `chorok token create --join`.",
                    {}};
  if (!text.starts_with(kJoinPrefix)) return Unexpected(error);
  text.remove_prefix(kJoinPrefix.size());
  if (text.size() != kIdLength + 1 + kSecretLength + 1 + kSha256HexLength ||
      text[kIdLength] != '.' || text[kIdLength + 1 + kSecretLength] != '.')
    return Unexpected(error);
  const std::string_view id = text.substr(0, kIdLength);
  const std::string_view secret = text.substr(kIdLength + 1, kSecretLength);
  const auto fingerprint = from_hex(text.substr(kIdLength + kSecretLength + 2));
  if (!is_random_text(id, kIdLength) || !is_random_text(secret, kSecretLength) || !fingerprint)
    return Unexpected(error);
  return ParsedJoinToken{std::string(id), std::string(secret), to_hex(*fingerprint)};
}

bool secret_matches(std::string_view secret, std::string_view secret_sha256) {
  return equal_in_constant_time(sha256_hex(secret), secret_sha256);
}

}  // namespace chorok::crypto
