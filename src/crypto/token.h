// Tokens: text that stands for who holds it. A person's token is `chk_<id>_<secret>`; the prefix
// lets secret scanners find one that leaked, the id finds its record, and of the secret only the
// SHA-256 is stored (160 random bits need no slow hash). A join token is
// `chj_<id>.<secret>.<SHA-256 of the CA, hex>`: what a new host needs in order to trust and be
// trusted.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace chorok::crypto {

struct NewToken {
  std::string text;           // given out once, never stored
  std::string id;             // 10 characters
  std::string secret_sha256;  // hex, for the record
};

struct ParsedToken {
  std::string id;
  std::string secret;
};

struct ParsedJoinToken {
  std::string id;
  std::string secret;
  std::string ca_sha256;  // lower-case hex
};

NewToken make_token();
NewToken make_join_token(std::string_view ca_sha256);
// kUnauthenticated: not a token. Says nothing about whether its record exists.
Result<ParsedToken> parse_token(std::string_view text);
// kInvalid, in words for the person who typed it.
Result<ParsedJoinToken> parse_join_token(std::string_view text);
// Whether the secret is the one whose hash is on record, in constant time.
bool secret_matches(std::string_view secret, std::string_view secret_sha256);

}  // namespace chorok::crypto
