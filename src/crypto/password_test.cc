#include "crypto/password.h"

#include <gtest/gtest.h>

namespace chorok::crypto {
namespace {

const PasswordSettings kQuick{.memory_kib = 64, .iterations = 1};

TEST(Password, OnlyTheRightOneFits) {
  std::string encoded = hash_password("correct horse", kQuick).value();
  EXPECT_TRUE(encoded.starts_with("$argon2id$v=19$m=64,t=1,p=1$")) << encoded;
  EXPECT_TRUE(verify_password("correct horse", encoded));
  EXPECT_FALSE(verify_password("correct horsf", encoded));
  EXPECT_FALSE(verify_password("", encoded));
  EXPECT_NE(hash_password("correct horse", kQuick).value(), encoded) << "salted";
}

TEST(Password, DefaultsAreTheRecommendedOnes) {
  std::string encoded = hash_password("correct horse").value();
  EXPECT_TRUE(encoded.starts_with("$argon2id$v=19$m=19456,t=2,p=1$")) << encoded;
  EXPECT_TRUE(verify_password("correct horse", encoded));
  EXPECT_FALSE(needs_rehash(encoded));
  EXPECT_TRUE(needs_rehash(hash_password("correct horse", kQuick).value()));
  EXPECT_FALSE(verify_nobody("correct horse"));
}

TEST(Password, LengthsAreBounded) {
  EXPECT_EQ(hash_password("short", kQuick).error().code, Code::kInvalid);
  EXPECT_EQ(hash_password(std::string(1025, 'x'), kQuick).error().code, Code::kInvalid);
}

TEST(Password, DamagedHashesFitNothing) {
  for (const char* bad : {"", "x", "$argon2id$v=19$m=64,t=1,p=1$", "$argon2i$v=19$m=64,t=1,p=1$a$b",
                          "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$aGFzaA",
                          "$argon2id$v=19$m=64,t=100000,p=1$c29tZXNhbHQ$aGFzaA"})
    EXPECT_FALSE(verify_password("", bad)) << bad;
}

}  // namespace
}  // namespace chorok::crypto
