#include "net/tls.h"

#include <fmt/core.h>

#include "net/test_support.h"

namespace chorok::net {
namespace {

using namespace std::chrono_literals;
using testing::make_certificate;
using testing::TestCertificate;

class TlsTest : public testing::LoopTest {
 protected:
  TestCertificate ca = make_certificate({"Chorok CA", "", true});
  TestCertificate server = make_certificate({"manager", "DNS:localhost,IP:127.0.0.1"}, &ca);
  TestCertificate agent = make_certificate({"host1", "URI:chorok:host:h-1"}, &ca);
  TestCertificate other_ca = make_certificate({"Other CA", "", true});

  std::shared_ptr<TlsServerContext> server_context() {
    return TlsServerContext::create(server.identity(), ca.certificate_pem).value();
  }

  struct Both {
    Result<StreamPtr> client;
    Result<StreamPtr> server;
  };
  awaitable<Both> handshake(std::shared_ptr<TlsServerContext> server_side,
                            std::shared_ptr<TlsClientContext> client_side,
                            std::string host = "localhost") {
    auto [left, right] = make_pipe(executor);
    Both both{fail(Code::kInternal, ""), fail(Code::kInternal, "")};
    AsyncEvent done(executor);
    bool is_accepted = false;
    spawn(
        executor,
        [](StreamPtr stream, auto context, Both& out, AsyncEvent& event,
           bool& is_done) -> awaitable<void> {
          out.server = co_await tls_accept(std::move(stream), context, {1s});
          is_done = true;
          event.notify_all();
        }(std::move(right), server_side, both, done, is_accepted),
        "accept");
    both.client = co_await tls_connect(std::move(left), client_side, host, {1s});
    while (!is_accepted) co_await done.wait();
    co_return both;
  }
};

TEST_F(TlsTest, CarriesBytesBothWaysAndEndsInOrder) {
  run([&]() -> awaitable<void> {
    auto both =
        co_await handshake(server_context(), TlsClientContext::with_ca(ca.certificate_pem).value());
    EXPECT_TRUE(both.client && both.server);
    if (!both.client || !both.server) co_return;
    auto& client = **both.client;
    auto& peer = **both.server;
    EXPECT_TRUE(client.is_encrypted());
    EXPECT_EQ(client.peer_certificate()->common_name, "manager");
    EXPECT_EQ(peer.peer_certificate(), nullptr);

    const std::string big(3'000'000, 'b');
    spawn(
        executor,
        [&]() -> awaitable<void> {
          const std::string_view pieces[] = {"one", "", "two", big, "end"};
          EXPECT_TRUE(co_await peer.write_all(pieces));
          EXPECT_TRUE(co_await peer.shutdown());
        },
        "writer");
    std::string got;
    std::string bytes(100'000, '\0');
    for (;;) {
      auto count = co_await client.read_some(bytes);
      EXPECT_TRUE(count) << (count ? "" : count.error().message);
      if (!count || *count == 0) break;
      got.append(bytes, 0, *count);
    }
    EXPECT_TRUE(got == "onetwo" + big + "end") << got.size();
    // The other way still works after the server's half is closed.
    EXPECT_TRUE(co_await client.write_all(std::string_view("back")));
    auto count = co_await peer.read_some(bytes);
    EXPECT_TRUE(count && bytes.substr(0, *count) == "back");
  }());
}

TEST_F(TlsTest, AnAgentProvesWhoItIs) {
  run([&]() -> awaitable<void> {
    auto identity = agent.identity();
    auto both = co_await handshake(
        server_context(), TlsClientContext::with_ca(ca.certificate_pem, &identity).value());
    EXPECT_TRUE(both.client && both.server);
    if (!both.server) co_return;
    auto peer = (*both.server)->peer_certificate();
    EXPECT_NE(peer, nullptr);
    EXPECT_EQ(peer->common_name, "host1");
    EXPECT_EQ(peer->san_uris, std::vector<std::string>{"chorok:host:h-1"});
    EXPECT_EQ(peer->sha256, certificate_sha256(agent.certificate_pem).value());
    EXPECT_EQ(peer->pem, agent.certificate_pem);
    EXPECT_EQ(peer->issuer_pem, ca.certificate_pem);
  }());
}

TEST_F(TlsTest, AForeignClientCertificateIsRefused) {
  run([&]() -> awaitable<void> {
    auto stranger = make_certificate({"host1", "URI:chorok:host:h-1"}, &other_ca).identity();
    auto both = co_await handshake(
        server_context(), TlsClientContext::with_ca(ca.certificate_pem, &stranger).value());
    EXPECT_EQ(both.server.error().code, Code::kUnauthenticated);
    // In TLS 1.3 the client learns of it with its first read.
    if (both.client) {
      char bytes[8];
      auto count = co_await (*both.client)->read_some(bytes);
      EXPECT_EQ(count.error().code, Code::kUnauthenticated) << count.error().message;
    }
  }());
}

TEST_F(TlsTest, AnExpiredClientCertificateIsRefused) {
  run([&]() -> awaitable<void> {
    auto expired = make_certificate({"host1", "", false, -7200, -3600}, &ca).identity();
    auto both = co_await handshake(server_context(),
                                   TlsClientContext::with_ca(ca.certificate_pem, &expired).value());
    EXPECT_EQ(both.server.error().code, Code::kUnauthenticated);
  }());
}

TEST_F(TlsTest, TheServersNameAndCaMustFit) {
  run([&]() -> awaitable<void> {
    auto trusting = TlsClientContext::with_ca(ca.certificate_pem).value();
    EXPECT_TRUE((co_await handshake(server_context(), trusting, "127.0.0.1")).client);
    auto wrong_name = co_await handshake(server_context(), trusting, "example.org");
    EXPECT_EQ(wrong_name.client.error().code, Code::kUnauthenticated);
    EXPECT_FALSE(wrong_name.server);
    EXPECT_EQ((co_await handshake(server_context(), trusting, "127.0.0.2")).client.error().code,
              Code::kUnauthenticated);
    auto other = TlsClientContext::with_ca(other_ca.certificate_pem).value();
    EXPECT_EQ((co_await handshake(server_context(), other)).client.error().code,
              Code::kUnauthenticated);
  }());
}

TEST_F(TlsTest, AJoiningClientKnowsOnlyTheFingerprint) {
  run([&]() -> awaitable<void> {
    const auto fingerprint = certificate_sha256(ca.certificate_pem).value();
    auto pinned = TlsClientContext::with_fingerprint(fingerprint).value();
    auto both = co_await handshake(server_context(), pinned);
    EXPECT_TRUE(both.client) << (both.client ? "" : both.client.error().message);
    if (both.client) {
      EXPECT_EQ((*both.client)->peer_certificate()->issuer_pem, ca.certificate_pem);
    }
    EXPECT_EQ((co_await handshake(server_context(), pinned, "example.org")).client.error().code,
              Code::kUnauthenticated);
    auto wrong =
        TlsClientContext::with_fingerprint(certificate_sha256(other_ca.certificate_pem).value())
            .value();
    EXPECT_EQ((co_await handshake(server_context(), wrong)).client.error().code,
              Code::kUnauthenticated);
    // The leaf's own fingerprint is not a CA's.
    auto leaf =
        TlsClientContext::with_fingerprint(certificate_sha256(server.certificate_pem).value())
            .value();
    EXPECT_FALSE((co_await handshake(server_context(), leaf)).client);
  }());
}

// An attacker who sends the real CA beside a chain of his own must not pass.
TEST_F(TlsTest, ThePinnedCaMustHaveSignedTheServer) {
  run([&]() -> awaitable<void> {
    auto forged = make_certificate({"manager", "DNS:localhost"}, &other_ca);
    auto context = TlsServerContext::create(
        {forged.certificate_pem + other_ca.certificate_pem + ca.certificate_pem, forged.key_pem},
        ca.certificate_pem);
    auto pinned =
        TlsClientContext::with_fingerprint(certificate_sha256(ca.certificate_pem).value()).value();
    EXPECT_EQ((co_await handshake(*context, pinned)).client.error().code, Code::kUnauthenticated);
  }());
}

TEST_F(TlsTest, ReloadIsForNewConnectionsAndKeepsTheOldOnError) {
  run([&]() -> awaitable<void> {
    auto context = server_context();
    EXPECT_FALSE(context->reload({"no pem", server.key_pem}, ca.certificate_pem));
    EXPECT_FALSE(context->reload({server.certificate_pem, agent.key_pem}, ca.certificate_pem));
    auto client = TlsClientContext::with_ca(ca.certificate_pem).value();
    EXPECT_TRUE((co_await handshake(context, client)).client);
    auto renewed = make_certificate({"renewed", "DNS:localhost"}, &ca);
    EXPECT_TRUE(context->reload(renewed.identity(), ca.certificate_pem));
    auto both = co_await handshake(context, client);
    EXPECT_EQ((*both.client)->peer_certificate()->common_name, "renewed");
  }());
}

TEST_F(TlsTest, GarbageAndSilenceEnd) {
  run([&]() -> awaitable<void> {
    auto [left, right] = make_pipe(executor);
    EXPECT_TRUE(co_await left->write_all(std::string_view("GET / HTTP/1.1\r\n\r\n")));
    auto garbage = co_await tls_accept(std::move(right), server_context(), {1s});
    EXPECT_EQ(garbage.error().code, Code::kUnavailable);
    auto [quiet, waiting] = make_pipe(executor);
    auto silence = co_await tls_accept(std::move(waiting), server_context(), {20ms});
    EXPECT_EQ(silence.error().code, Code::kTimeout);
  }());
}

TEST_F(TlsTest, ATruncatedStreamIsNotAnEnd) {
  run([&]() -> awaitable<void> {
    auto both =
        co_await handshake(server_context(), TlsClientContext::with_ca(ca.certificate_pem).value());
    (*both.server)->close();
    char bytes[8];
    auto count = co_await (*both.client)->read_some(bytes);
    EXPECT_EQ(count.error().code, Code::kUnavailable);
  }());
}

TEST(TlsContext, SaysWhatIsWrongWithItsInput) {
  EXPECT_EQ(TlsClientContext::with_fingerprint("abc").error().code, Code::kInvalid);
  EXPECT_EQ(TlsClientContext::with_ca("nonsense").error().code, Code::kInvalid);
  EXPECT_TRUE(
      TlsClientContext::with_fingerprint("AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:"
                                         "DD:EE:FF:00:11:22:33:44:55:66:77:88:"
                                         "99"));
  EXPECT_EQ(certificate_sha256("").error().code, Code::kInvalid);
}

}  // namespace
}  // namespace chorok::net
