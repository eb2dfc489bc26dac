#include "manager/pki.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace chorok::manager {
namespace {

using std::chrono::hours;

const Time kNow{std::chrono::seconds(1767225600)};
const PeerNames kNames{.dns_names = {"manager.example", "localhost"},
                       .ip_addresses = {"192.0.2.1"}};

struct PkiTest : testing::Test {
  PkiTest() {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }
  ~PkiTest() override { std::filesystem::remove_all(folder); }
  unsigned mode(const std::string& name) const {
    struct stat status{};
    EXPECT_EQ(::stat((folder + "/" + name).c_str(), &status), 0) << name;
    return status.st_mode & 0777;
  }
  std::string folder = testing::TempDir() + "chorok-pki-" + std::to_string(::getpid());
};

TEST_F(PkiTest, IsMadeOnceAndOpened) {
  EXPECT_EQ(Pki::open(folder).error().code, Code::kNotFound);
  Pki made = Pki::create(folder, kNow).value();
  EXPECT_EQ(mode("ca.key"), 0600u);
  EXPECT_EQ(Pki::create(folder, kNow).error().code, Code::kAlreadyExists);
  EXPECT_EQ(Pki::open(folder).value().ca_sha256(), made.ca_sha256());
  EXPECT_FALSE(Pki::create(folder + "/no/folder", kNow));
}

TEST_F(PkiTest, TheServersIdentityStaysUntilItMustChange) {
  Pki pki = Pki::create(folder, kNow).value();
  auto first = pki.server_identity(kNames, kNow).value();
  EXPECT_EQ(mode("server.key"), 0600u);
  auto serial = [&](const PeerNames& names, Time at) {
    auto identity = pki.server_identity(names, at);
    return crypto::certificate_info(identity->certificate_pem)->serial;
  };
  const std::string begin = serial(kNames, kNow);
  EXPECT_EQ(serial(kNames, kNow + hours(24 * 59)), begin);
  EXPECT_NE(serial(kNames, kNow + hours(24 * 61)), begin) << "renewed at two thirds";
  const std::string renewed = serial(kNames, kNow + hours(24 * 61));
  PeerNames other = kNames;
  other.ip_addresses.push_back("192.0.2.2");
  EXPECT_NE(serial(other, kNow + hours(24 * 61)), renewed) << "new address";
}

TEST_F(PkiTest, AnAgentIsItsHost) {
  Pki pki = Pki::create(folder, kNow).value();
  auto request = crypto::make_key_and_csr("whatever").value();
  PeerNames names{.dns_names = {"host1"}, .ip_addresses = {"192.0.2.7"}};
  std::string pem = pki.sign_agent(request.csr_pem, "h-1", names, kNow).value();
  EXPECT_EQ(host_id_of(pem).value(), "h-1");
  EXPECT_TRUE(crypto::verify_certificate(pem, pki.ca_pem(), "", kNow));
  auto info = crypto::certificate_info(pem).value();
  EXPECT_EQ(info.uris, (std::vector<std::string>{"chorok://host/h-1"}));
  std::string list = pki.revocation_list({{info.serial, kNow}}, 1, kNow).value();
  EXPECT_FALSE(crypto::verify_certificate(pem, pki.ca_pem(), list, kNow));
  auto server = pki.server_identity(kNames, kNow).value();
  EXPECT_EQ(host_id_of(server.certificate_pem).error().code, Code::kUnauthenticated);
}

}  // namespace
}  // namespace chorok::manager
