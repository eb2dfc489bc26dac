#include "manager/state_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "manager/state_backup.h"

namespace chorok::manager {
namespace {

class StateDirTest : public testing::Test {
 protected:
  void SetUp() override {
    base = testing::TempDir() + "chorok-state-" + std::to_string(::getpid());
    std::filesystem::remove_all(base);
    std::filesystem::create_directories(base);
  }
  void TearDown() override { std::filesystem::remove_all(base); }
  StateDir dir(const std::string& name) const { return {base + "/" + name}; }
  static unsigned mode_of(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 0777;
  }
  std::string base;
};

bool mentions(const std::vector<std::string>& lines, std::string_view word) {
  for (const std::string& line : lines)
    if (line.find(word) != std::string::npos) return true;
  return false;
}

TEST_F(StateDirTest, InitMayBeRepeated) {
  auto first = init_state({.state = dir("a"), .names = {"manager.example"}});
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->password.size(), 20U);
  EXPECT_TRUE(mentions(first->lines, "made user 'admin'"));
  auto again = init_state({.state = dir("a")});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->password, "") << "the password stays";
  EXPECT_EQ(again->ca_sha256, first->ca_sha256);
  EXPECT_TRUE(mentions(again->lines, "exists"));
  EXPECT_EQ(dir("a").extra_names().value(), std::vector<std::string>{"manager.example"});
  auto second = init_state({.state = dir("a"), .admin = "eve", .password = "correct horse"});
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_TRUE(mentions(second->lines, "made user 'eve'"));
}

TEST_F(StateDirTest, SecretsAreTheOwnersAlone) {
  ASSERT_TRUE(init_state({.state = dir("a")}));
  EXPECT_EQ(mode_of(dir("a").path), 0700U);
  EXPECT_EQ(mode_of(dir("a").pki() + "/ca.key"), 0600U);
  EXPECT_EQ(mode_of(dir("a").pki() + "/server.key"), 0600U);
  EXPECT_EQ(mode_of(dir("a").seal_key()), 0600U);
}

TEST_F(StateDirTest, RefusesWhatIsWrong) {
  EXPECT_EQ(init_state({.state = dir("a"), .names = {"a b"}}).error().code, Code::kInvalid);
  EXPECT_EQ(init_state({.state = dir("b"), .password = "short"}).error().code, Code::kInvalid);
  std::ofstream(base + "/file") << "x";
  EXPECT_FALSE(init_state({.state = {base + "/file"}}));
}

TEST_F(StateDirTest, NamesTellAddressesApart) {
  PeerNames names = server_names({"manager.example", "192.0.2.9", "2001:db8::9"});
  auto has = [](const std::vector<std::string>& all, std::string_view one) {
    return std::ranges::find(all, one) != all.end();
  };
  EXPECT_TRUE(has(names.dns_names, "manager.example"));
  EXPECT_TRUE(has(names.dns_names, "localhost"));
  EXPECT_TRUE(has(names.ip_addresses, "192.0.2.9"));
  EXPECT_TRUE(has(names.ip_addresses, "2001:db8::9"));
  EXPECT_TRUE(has(names.ip_addresses, "127.0.0.1"));
}

TEST_F(StateDirTest, BackupAndRestore) {
  const StateDir a = dir("a");
  auto made = init_state({.state = a, .admin = "eve", .names = {"manager.example"}});
  ASSERT_TRUE(made) << made.error().message;
  auto copy = [&](const std::string& path) { return copy_closed_store(a, path); };
  const std::string file = base + "/backup";
  ASSERT_TRUE(write_backup(a, file, copy));
  EXPECT_EQ(mode_of(file), 0600U);
  EXPECT_EQ(write_backup(a, file, copy).error().code, Code::kAlreadyExists);
  std::ifstream in(file, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  EXPECT_EQ(bytes.find("PRIVATE KEY"), std::string::npos) << "the CA's key is sealed";

  // Into another folder, with the sealing key.
  RestoreRequest request{dir("b"), file, a.seal_key(), false};
  auto restored = restore_backup(request);
  ASSERT_TRUE(restored) << restored.error().message;
  auto again = init_state({.state = dir("b"), .admin = "eve"});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->ca_sha256, made->ca_sha256);
  EXPECT_TRUE(mentions(again->lines, "user 'eve' exists"));
  EXPECT_EQ(dir("b").extra_names().value(), std::vector<std::string>{"manager.example"});

  // Without it, not at all, or without the CA.
  auto refused = restore_backup({dir("c"), file, "", false});
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_NE(refused.error().message.find("--seal-key"), std::string::npos);
  ASSERT_TRUE(restore_backup({dir("c"), file, "", true}));
  // Over the same cluster's folder.
  ASSERT_TRUE(restore_backup({a, file, "", false}));
  EXPECT_TRUE(std::filesystem::exists(a.store() + ".before-restore"));
  // Over another cluster's: never by accident.
  ASSERT_TRUE(init_state({.state = dir("d")}));
  EXPECT_EQ(restore_backup({dir("d"), file, a.seal_key(), false}).error().code,
            Code::kFailedPrecondition);
}

TEST_F(StateDirTest, WhatIsNoBackupIsSaid) {
  std::ofstream(base + "/junk") << std::string(2000, 'j');
  EXPECT_EQ(restore_backup({dir("a"), base + "/junk", "", false}).error().code, Code::kInvalid);
  EXPECT_EQ(restore_backup({dir("a"), base + "/nothing", "", false}).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace chorok::manager
