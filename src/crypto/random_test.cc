#include "crypto/random.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "crypto/encoding.h"
#include "crypto/sha256.h"

namespace chorok::crypto {
namespace {

TEST(Random, IdsAreReadableAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    std::string id = random_id("vm");
    EXPECT_TRUE(std::regex_match(id, std::regex("vm-[0-9a-hjkmnp-tv-z]{10}"))) << id;
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST(Random, UuidIsVersion4) {
  std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(std::regex_match(uuid_v4(), form));
}

TEST(Encoding, HexAndBase64GoThereAndBack) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(from_hex(to_hex(bytes)).value(), bytes);
    EXPECT_EQ(from_base64(to_base64(bytes)).value(), bytes);
    bytes += static_cast<char>(i);
  }
  EXPECT_EQ(to_base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(to_base64("fo"), "Zm8=");
  for (const char* bad : {"Zm8", "Z===", "Zm 8", " Zm8", "Zm9vYmF\n", "Zm=v"})
    EXPECT_FALSE(from_base64(bad)) << bad;
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(from_hex("zz"));
}

TEST(Encoding, ComparesInConstantTime) {
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
}

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 hash;
  hash.update("a");
  hash.update("bc");
  EXPECT_EQ(hash.finish_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash.finish_hex(), sha256_hex("")) << "begins anew";
}

}  // namespace
}  // namespace chorok::crypto
