#include "crypto/seal.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace chorok::crypto {
namespace {

TEST(Seal, OpensWithItsKeyAndPlaceOnly) {
  SealingKey key = SealingKey::generate(), other = SealingKey::generate();
  const std::string sealed = key.seal("hunter2", "host/h-1/bmc");
  EXPECT_TRUE(sealed.starts_with("chs1:" + key.id() + ":"));
  EXPECT_EQ(sealed.find("hunter2"), std::string::npos);
  EXPECT_NE(key.seal("hunter2", "host/h-1/bmc"), sealed) << "a nonce of its own";
  EXPECT_EQ(key.open(sealed, "host/h-1/bmc").value(), "hunter2");
  EXPECT_EQ(key.open(sealed, "host/h-2/bmc").error().code, Code::kFailedPrecondition);
  auto wrong_key = other.open(sealed, "host/h-1/bmc");
  EXPECT_NE(wrong_key.error().message.find(key.id()), std::string::npos)
      << wrong_key.error().message;
  EXPECT_EQ(key.open(key.seal("", "p"), "p").value(), "");
}

TEST(Seal, EveryChangedByteIsFound) {
  SealingKey key = SealingKey::generate();
  const std::string sealed = key.seal("hunter2", "p");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string bad = sealed;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(key.open(bad, "p")) << i;
    EXPECT_FALSE(key.open(sealed.substr(0, i), "p")) << i;
  }
}

TEST(Seal, KeyFileIsPrivate) {
  const std::string folder = testing::TempDir() + "chorok-seal";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/key";
  EXPECT_EQ(SealingKey::load(path).error().code, Code::kNotFound);
  SealingKey made = SealingKey::load_or_create(path).value();
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  SealingKey loaded = SealingKey::load_or_create(path).value();
  EXPECT_EQ(loaded.open(made.seal("x", "p"), "p").value(), "x");
  ::chmod(path.c_str(), 0644);
  EXPECT_NE(SealingKey::load(path).error().message.find("chmod 600"), std::string::npos);
  ::chmod(path.c_str(), 0600);
  std::ofstream(path) << "not a key";
  EXPECT_EQ(SealingKey::load_or_create(path).error().code, Code::kFailedPrecondition)
      << "a damaged key is never replaced";
  EXPECT_FALSE(SealingKey::load_or_create(folder + "/no/such/folder"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace chorok::crypto
