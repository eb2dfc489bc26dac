#include "crypto/token.h"

#include <gtest/gtest.h>

#include "crypto/sha256.h"

namespace chorok::crypto {
namespace {

TEST(Token, GoesThereAndBack) {
  NewToken made = make_token();
  EXPECT_TRUE(made.text.starts_with("chk_" + made.id + "_")) << made.text;
  ParsedToken parsed = parse_token(made.text).value();
  EXPECT_EQ(parsed.id, made.id);
  EXPECT_TRUE(secret_matches(parsed.secret, made.secret_sha256));
  EXPECT_FALSE(secret_matches(make_token().text, made.secret_sha256));
  EXPECT_EQ(made.secret_sha256.find(parsed.secret), std::string::npos);
}

TEST(Token, NothingElseIsOne) {
  const std::string good = make_token().text;
  for (std::string bad :
       {std::string(), std::string("chk_"), good + "x", "x" + good, good.substr(0, good.size() - 1),
        "chj_" + good.substr(4), good.substr(0, 14) + "-" + good.substr(15)})
    EXPECT_EQ(parse_token(bad).error().code, Code::kUnauthenticated) << bad;
  std::string upper = good;
  upper[5] = 'A';
  EXPECT_FALSE(parse_token(upper));
}

TEST(JoinToken, CarriesTheFingerprint) {
  const std::string fingerprint = sha256_hex("the CA");
  NewToken made = make_join_token(fingerprint);
  ParsedJoinToken parsed = parse_join_token(made.text).value();
  EXPECT_EQ(parsed.id, made.id);
  EXPECT_EQ(parsed.ca_sha256, fingerprint);
  EXPECT_TRUE(secret_matches(parsed.secret, made.secret_sha256));
  EXPECT_EQ(parse_join_token(made.text.substr(0, 60)).error().code, Code::kInvalid);
  EXPECT_FALSE(parse_join_token(make_token().text));
  std::string bad = made.text;
  bad.back() = 'g';
  EXPECT_FALSE(parse_join_token(bad));
}

}  // namespace
}  // namespace chorok::crypto
