#include "crypto/x509.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "crypto/sha256.h"

namespace chorok::crypto {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

// 2026-01-01T00:00:00Z: certificates must not depend on the machine's clock.
const Time kNow{seconds(1767225600)};

CertificateSpec agent_spec() {
  return {.common_name = "h-1",
          .dns_names = {"host1.example"},
          .ip_addresses = {"192.0.2.7", "2001:db8::7"},
          .uris = {"chorok://host/h-1"},
          .server = true,
          .client = true};
}

struct X509Test : testing::Test {
  CertificateAuthority ca = CertificateAuthority::create("Chorok CA", kNow).value();
};

TEST_F(X509Test, TheAuthorityIsOne) {
  CertificateInfo info = certificate_info(ca.certificate_pem()).value();
  EXPECT_TRUE(info.is_ca);
  EXPECT_EQ(info.common_name, "Chorok CA");
  EXPECT_EQ(info.issuer, "Chorok CA");
  EXPECT_EQ(info.sha256, ca.sha256());
  EXPECT_EQ(info.sha256.size(), 64u);
  EXPECT_GT(info.not_after, kNow + hours(24 * 3650));
  CertificateAuthority again =
      CertificateAuthority::load(ca.certificate_pem(), ca.key_pem().value()).value();
  EXPECT_EQ(again.sha256(), ca.sha256());
  CertificateAuthority other = CertificateAuthority::create("Chorok CA", kNow).value();
  EXPECT_EQ(CertificateAuthority::load(ca.certificate_pem(), other.key_pem().value()).error().code,
            Code::kFailedPrecondition);
}

TEST_F(X509Test, ARequestIsSignedWithTheSignersNames) {
  KeyAndCsr made = make_key_and_csr("i-would-like-to-be-root").value();
  std::string pem = ca.sign_csr(made.csr_pem, agent_spec(), kNow).value();
  CertificateInfo info = certificate_info(pem).value();
  EXPECT_EQ(info.common_name, "h-1");
  EXPECT_EQ(info.issuer, "Chorok CA");
  EXPECT_EQ(info.dns_names, (std::vector<std::string>{"host1.example"}));
  EXPECT_EQ(info.ip_addresses, (std::vector<std::string>{"192.0.2.7", "2001:db8::7"}));
  EXPECT_EQ(info.uris, (std::vector<std::string>{"chorok://host/h-1"}));
  EXPECT_FALSE(info.is_ca);
  EXPECT_EQ(info.not_after, kNow + hours(24 * 90));
  EXPECT_LT(info.not_before, kNow);
  EXPECT_NEAR(seconds(60).count(), chorok::seconds(info.renew_at() - kNow) / 86400, 0.1);
  EXPECT_EQ(info.serial.size(), 32u);
  EXPECT_TRUE(check_key_fits(made.key_pem, pem));
  EXPECT_FALSE(check_key_fits(ca.key_pem().value(), pem));
  EXPECT_TRUE(verify_certificate(pem, ca.certificate_pem(), "", kNow));
}

TEST_F(X509Test, VerifyTellsWhyNot) {
  std::string pem = ca.issue(agent_spec(), kNow).value().certificate_pem;
  CertificateAuthority other = CertificateAuthority::create("Chorok CA", kNow).value();
  auto verdict = [&](const std::string& authority, Time at) {
    auto result = verify_certificate(pem, authority, "", at);
    return result ? "" : result.error().message;
  };
  EXPECT_EQ(verdict(ca.certificate_pem(), kNow), "");
  EXPECT_NE(verdict(other.certificate_pem(), kNow), "");
  EXPECT_NE(verdict(ca.certificate_pem(), kNow + hours(24 * 91)).find("expired"),
            std::string::npos);
  EXPECT_NE(verdict(ca.certificate_pem(), kNow - hours(1)).find("not yet valid"),
            std::string::npos);
  EXPECT_EQ(verify_certificate("rubbish", ca.certificate_pem(), "", kNow).error().code,
            Code::kInvalid);
}

TEST_F(X509Test, RevokedMeansRefused) {
  std::string bad = ca.issue(agent_spec(), kNow).value().certificate_pem;
  std::string good = ca.issue(agent_spec(), kNow).value().certificate_pem;
  std::string empty = ca.revocation_list({}, 1, kNow, hours(24)).value();
  EXPECT_TRUE(verify_certificate(bad, ca.certificate_pem(), empty, kNow));
  Revoked revoked{certificate_info(bad).value().serial, kNow};
  std::string list = ca.revocation_list({revoked}, 2, kNow, hours(24)).value();
  auto refused = verify_certificate(bad, ca.certificate_pem(), list, kNow);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("revoked"), std::string::npos);
  EXPECT_TRUE(verify_certificate(good, ca.certificate_pem(), list, kNow));
  EXPECT_FALSE(ca.revocation_list({{"no hex", kNow}}, 3, kNow, hours(24)));
}

TEST_F(X509Test, NeverOutlivesTheAuthority) {
  CertificateSpec spec = agent_spec();
  spec.lifetime = hours(24 * 365 * 50);
  CertificateInfo info = certificate_info(ca.issue(spec, kNow).value().certificate_pem).value();
  EXPECT_EQ(info.not_after, certificate_info(ca.certificate_pem()).value().not_after);
}

TEST_F(X509Test, BadRequestsAndNamesAreRefused) {
  EXPECT_EQ(ca.sign_csr("rubbish", agent_spec(), kNow).error().code, Code::kInvalid);
  EXPECT_EQ(ca.sign_csr(ca.certificate_pem(), agent_spec(), kNow).error().code, Code::kInvalid);
  std::string csr = make_key_and_csr("x").value().csr_pem;
  for (std::string name : {"a,DNS:evil", "a b", "", "a\nb", "\xc3\xbc"}) {
    CertificateSpec spec = agent_spec();
    spec.dns_names = {name};
    EXPECT_EQ(ca.sign_csr(csr, spec, kNow).error().code, Code::kInvalid) << name;
  }
  CertificateSpec spec = agent_spec();
  spec.ip_addresses = {"256.1.1.1"};
  EXPECT_EQ(ca.sign_csr(csr, spec, kNow).error().code, Code::kInvalid);
  spec = agent_spec();
  spec.common_name = std::string(65, 'x');
  EXPECT_EQ(ca.sign_csr(csr, spec, kNow).error().code, Code::kInvalid);
  EXPECT_FALSE(certificate_info("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
}

TEST_F(X509Test, AnRsaKeyIsRefused) {
  if (std::system("command -v openssl >/dev/null") != 0) GTEST_SKIP() << "no openssl program";
  const std::string path = testing::TempDir() + "chorok-rsa.csr";
  const std::string command =
      "openssl req -new -newkey rsa:2048 -nodes -keyout /dev/null -subj /CN=x -out " + path +
      " 2>/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
  std::ifstream file(path);
  std::string csr((std::istreambuf_iterator<char>(file)), {});
  auto refused = ca.sign_csr(csr, agent_spec(), kNow);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("P-256"), std::string::npos);
  std::filesystem::remove(path);
}

// ---- What other programs think of the certificates ----

class Programs : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    auto leaf = ca.issue(local_spec(), now()).value();
    write("ca-cert.pem", ca.certificate_pem());
    write("server-cert.pem", leaf.certificate_pem);
    write("client-cert.pem", leaf.certificate_pem);
    write("server-key.pem", leaf.key_pem);
    write("client-key.pem", leaf.key_pem);
    write("ca-crl.pem", ca.revocation_list({}, 1, now(), hours(24)).value());
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  static Time now() { return std::chrono::system_clock::now(); }
  static CertificateSpec local_spec() {
    CertificateSpec spec = agent_spec();
    spec.ip_addresses.push_back("127.0.0.1");
    return spec;
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder + "/" + name) << text;
  }
  static bool have(const std::string& program) {
    return std::system(("command -v " + program + " >/dev/null").c_str()) == 0;
  }
  bool run(const std::string& command) {
    return std::system(("cd " + folder + " && { " + command + " ; } >out.txt 2>&1").c_str()) == 0;
  }
  std::string output() {
    std::ifstream file(folder + "/out.txt");
    return std::string((std::istreambuf_iterator<char>(file)), {});
  }
  void expect_refused(const std::string& command) { EXPECT_FALSE(run(command)) << output(); }

  CertificateAuthority ca = CertificateAuthority::create("Chorok CA", now()).value();
  std::string folder = testing::TempDir() + "chorok-x509-" + std::to_string(::getpid());
};

TEST_F(Programs, OpensslAccepts) {
  if (!have("openssl")) GTEST_SKIP() << "no openssl program";
  EXPECT_TRUE(
      run("openssl verify -x509_strict -crl_check -CRLfile ca-crl.pem -CAfile ca-cert.pem "
          "-purpose sslserver -verify_ip 192.0.2.7 server-cert.pem && "
          "openssl verify -x509_strict -CAfile ca-cert.pem -purpose sslclient "
          "client-cert.pem"))
      << output();
}

TEST_F(Programs, GnutlsAccepts) {
  if (!have("certtool")) GTEST_SKIP() << "no certtool (gnutls-bin)";
  EXPECT_TRUE(
      run("certtool --verify --load-ca-certificate ca-cert.pem --load-crl ca-crl.pem "
          "--infile server-cert.pem"))
      << output();
  write("ca-crl.pem",
        ca.revocation_list(
              {{certificate_info(ca.issue(local_spec(), now())->certificate_pem).value().serial,
                now()}},
              2, now(), hours(24))
            .value());
  EXPECT_TRUE(run("certtool --crl-info --infile ca-crl.pem | grep -q 'Revoked certificates (1)'"))
      << output();
}

// QEMU checks its files like libvirt does, and then talks TLS to itself with client certificates.
TEST_F(Programs, QemuSpeaksTlsWithThem) {
  if (!have("qemu-nbd") || !have("qemu-img")) GTEST_SKIP() << "no qemu-nbd (qemu-utils)";
  const std::string serve =
      "truncate -s 1M disk.raw && qemu-nbd -f raw --tls-creds=tls0 --pid-file=pid --fork "
      "--object tls-creds-x509,id=tls0,endpoint=server,verify-peer=on,dir=. -b 127.0.0.1 -p 0 ";
  const std::string port = std::to_string(20000 + ::getpid() % 20000);
  const std::string server = std::string(serve).replace(serve.find("-p 0"), 4, "-p " + port);
  ASSERT_TRUE(run(server + " --persistent disk.raw")) << output();
  const std::string connect =
      "timeout 20 qemu-img info --object tls-creds-x509,id=tls0,endpoint=client,verify-peer=on,"
      "dir=. --image-opts driver=nbd,host=127.0.0.1,port=" +
      port + ",tls-creds=tls0,export=";
  EXPECT_TRUE(run(connect)) << output();
  EXPECT_EQ(output().find("usage does not permit"), std::string::npos) << output();
  // A certificate of another CA is not let in.
  auto other = CertificateAuthority::create("Chorok CA", now()).value();
  auto stranger = other.issue(local_spec(), now()).value();
  write("client-cert.pem", stranger.certificate_pem);
  write("client-key.pem", stranger.key_pem);
  expect_refused(connect);
  run("kill $(cat pid)");
}

}  // namespace
}  // namespace chorok::crypto
