#include "agent/settings.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "agent/files.h"
#include "agent/pki.h"
#include "crypto/x509.h"

namespace chorok::agent {
namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/chorok-agent-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string path;
};

TEST(Settings, AreReadBackAsWritten) {
  Folder folder;
  AgentSettings settings{.url = "https://manager:8443/",
                         .host = "host-1",
                         .name = "a \"b\" \\c",
                         .address = "192.0.2.1"};
  ASSERT_TRUE(save_settings(folder.path, settings));
  ASSERT_TRUE(write_file(folder.path + "/lab.toml",
                         "# the lab\nsimulated_cores = 0.5 # half\nsimulated_memory_mib=3072\n",
                         0644));
  auto read = load_settings(folder.path);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->url, settings.url);
  EXPECT_EQ(read->name, settings.name);
  EXPECT_EQ(read->libvirt, "qemu:///system");
  EXPECT_EQ(read->simulated_cores, 0.5);
  EXPECT_EQ(read->simulated_memory_mib, 3072);
}

TEST(Settings, SayWhatIsWrong) {
  Folder folder;
  EXPECT_EQ(load_settings(folder.path).error().code, Code::kNotFound);
  AgentSettings settings;
  auto wrong = parse_settings("\nurll = \"x\"", "agent.toml", settings);
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("agent.toml:2"), std::string::npos);
  EXPECT_NE(wrong.error().message.find("'url'"), std::string::npos);
  for (const char* text : {"url", "url = ", "url = x", "url = \"x", "url = \"x\" y",
                           "simulated_cores = \"1\"", "simulated_memory_mib = 1.5", "= 1", "\\"})
    EXPECT_FALSE(parse_settings(text, "f", settings)) << text;
}

TEST(AgentPki, IsThereUnderEveryNameOrNotAtAll) {
  Folder folder;
  const Time now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  auto ca = crypto::CertificateAuthority::create("test CA", now);
  auto made = crypto::make_key_and_csr("host1");
  ASSERT_TRUE(ca && made);
  auto certificate = ca->sign_csr(
      made->csr_pem, {.common_name = "host-1", .ip_addresses = {"192.0.2.1"}, .client = true}, now);
  ASSERT_TRUE(certificate);
  const Pki pki{made->key_pem, *certificate, ca->certificate_pem()};
  for (int round = 0; round < 2; ++round) {
    auto saved = save_pki(folder.path, pki);
    ASSERT_TRUE(saved) << saved.error().message;
  }
  for (const char* name : {"servercert.pem", "clientcert.pem", "server-cert.pem"})
    EXPECT_EQ(*read_file(folder.path + "/pki/" + name), pki.certificate);
  for (const char* name : {"serverkey.pem", "clientkey.pem", "client-key.pem"})
    EXPECT_EQ(*read_file(folder.path + "/pki/" + name), pki.key);
  EXPECT_EQ(*read_file(folder.path + "/pki/ca-cert.pem"), pki.ca);
  struct stat seen{};
  ASSERT_EQ(::stat((folder.path + "/pki/agent.key").c_str(), &seen), 0);
  EXPECT_EQ(seen.st_mode & 0007, 0u);
  EXPECT_FALSE(std::filesystem::exists(folder.path + "/pki.new"));

  const std::string system = folder.path + "/etc-pki";
  std::filesystem::create_directories(system + "/CA");
  ASSERT_TRUE(write_file(system + "/CA/cacert.pem", "the admin's own", 0644));
  EXPECT_EQ(link_system_pki(folder.path, system).size(), 1u);
  EXPECT_EQ(link_system_pki(folder.path, system).size(), 1u);
  EXPECT_EQ(*read_file(system + "/libvirt/private/serverkey.pem"), pki.key);
  EXPECT_EQ(*read_file(system + "/qemu/client-cert.pem"), pki.certificate);
  unlink_system_pki(folder.path, system);
  EXPECT_FALSE(std::filesystem::exists(system + "/qemu"));
  EXPECT_EQ(*read_file(system + "/CA/cacert.pem"), "the admin's own");

  auto other = crypto::make_key_and_csr("host1");
  EXPECT_FALSE(save_pki(folder.path, Pki{other->key_pem, *certificate, pki.ca}));
  EXPECT_EQ(load_pki(folder.path)->key, pki.key);
  ASSERT_TRUE(remove_pki(folder.path));
  EXPECT_FALSE(load_pki(folder.path));
}

}  // namespace
}  // namespace chorok::agent
