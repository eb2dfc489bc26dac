// Alarms and webhooks over HTTP.
#include <gmock/gmock.h>

#include <algorithm>

#include "crypto/sha256.h"
#include "manager/api_test_support.h"
#include "net/http.h"

namespace chorok::manager {
namespace {

using testing::HasSubstr;

class AlarmsApiTest : public ApiTest {
 protected:
  ServiceSettings settings() const override {
    ServiceSettings with;
    with.seal = [](const std::string& secret, const std::string& place) {
      return place + "|" + secret;
    };
    with.unseal = [](const std::string& sealed, const std::string& place) -> Result<std::string> {
      return sealed.substr(place.size() + 1);
    };
    with.alarms.settle = std::chrono::milliseconds(10);
    return with;
  }
  void crash(const std::string& vm, const std::string& vm_folder = "") {
    Changes changes;
    changes.put(vm_record("vm-" + vm, vm, vm_folder));
    model::Event event;
    event.kind = "vm.crashed";
    event.severity = model::Severity::kError;
    event.subject_kind = "vm";
    event.subject = "vm-" + vm;
    event.subject_name = vm;
    event.message = "is crashed (was on)";
    service->engine().add_event(changes, std::move(event));
    commit(std::move(changes));
    wait_for([&] { return alarm_of(vm) != nullptr; });
  }
  std::shared_ptr<const model::Alarm> alarm_of(const std::string& vm) {
    for (const auto& [id, alarm] : service->engine().inventory().alarms().all())
      if (alarm->subject_name == vm) return alarm;
    return nullptr;
  }
  void wait_for(const std::function<bool()>& is_so) {
    run([&]() -> net::awaitable<void> {
      while (!is_so()) co_await net::sleep_for(std::chrono::milliseconds(5));
    });
  }
};

TEST_F(AlarmsApiTest, ListedAcknowledgedCleared) {
  crash("web");
  const Reply list = get("/alarms?field=state!%3Dcleared");
  ASSERT_EQ(list.status, 200) << list.body;
  EXPECT_EQ(list.at("/items/0/kind"), "vm.crashed");
  EXPECT_EQ(list.at("/items/0/severity"), "critical");
  EXPECT_THAT(list.at("/items/0/action"), HasSubstr("start it"));
  const std::string id = list.at("/items/0/id");
  EXPECT_EQ(post("/alarms/" + id + "/acknowledge?dry_run=true").at("/ok"), "true");
  EXPECT_EQ(get("/alarms/" + id).at("/state"), "active");
  EXPECT_EQ(post("/alarms/" + id + "/acknowledge").at("/acknowledged_by"), "admin");
  EXPECT_EQ(post("/alarms/" + id + "/clear").at("/state"), "cleared");
  EXPECT_EQ(post("/alarms/" + id + "/clear").status, 409);
  EXPECT_EQ(post("/alarms/alarm-9/clear").status, 404);
  EXPECT_THAT(get("/audit").body, HasSubstr("/clear"));
}

TEST_F(AlarmsApiTest, RolesCount) {
  crash("mine", "team");
  crash("theirs", "other");
  const std::string theirs = alarm_of("theirs")->id;
  const std::string mine = alarm_of("mine")->id;
  acting = make_user("kim", "team", "operator");
  EXPECT_EQ(get("/alarms").at("/total"), "1");
  EXPECT_EQ(get("/alarms/" + theirs).status, 404);
  EXPECT_EQ(post("/alarms/" + theirs + "/acknowledge").status, 404);
  EXPECT_EQ(post("/alarms/" + mine + "/acknowledge").status, 200);
  EXPECT_EQ(get("/webhooks").at("/total"), "0");
  EXPECT_EQ(post("/webhooks", R"({"meta":{"name":"w"},"url":"http://x/"})").status, 403);
  acting.clear();
  acting = make_user("lee", "team", "viewer");
  EXPECT_EQ(post("/alarms/" + mine + "/clear").status, 403);
}

TEST_F(AlarmsApiTest, MetricsCountThem) {
  crash("web");
  Reply reply;
  run([&]() -> net::awaitable<void> {
    net::ClientRequest request;
    request.url = url("/metrics");
    request.headers.add("Authorization", "Bearer " + admin);
    auto response = co_await client->send(std::move(request));
    EXPECT_TRUE(response);
    if (response) reply.body = response->body;
  });
  EXPECT_THAT(reply.body, HasSubstr("chorok_alarms{severity=\"critical\"} 1\n"));
  EXPECT_THAT(reply.body, HasSubstr("chorok_alarms{severity=\"info\"} 0\n"));
}

TEST_F(AlarmsApiTest, AWebhookIsChecked) {
  const auto bad = [&](const std::string& more) {
    return post("/webhooks", R"({"meta":{"name":"w"},)" + more + "}").at("/field");
  };
  EXPECT_EQ(bad(R"("url":"ftp://x/")"), "/url");
  EXPECT_EQ(bad(R"("url":"https://x/","ca":"not a certificate")"), "/ca");
  EXPECT_EQ(bad(R"("url":"https://x/","min_severity":"bad")"), "/min_severity");
  const Reply made = post("/webhooks", R"({"meta":{"name":"w"},"url":"https://x/","secret":"s"})");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_THAT(made.body, testing::Not(HasSubstr("secret")));
  EXPECT_EQ(call("PATCH", "/webhooks/w", R"({"enabled":false})").at("/enabled"), "false");
  EXPECT_EQ(call("DELETE", "/webhooks/w").status, 204);
}

// Over TLS with a CA of its own, signed; the test's own server is the receiver.
TEST_F(AlarmsApiTest, AReceiverGetsWhatHappensAndCanTrustIt) {
  std::vector<net::Request> received;
  net::HttpServer receiver(loop.executor(),
                           [&](net::Request& request) -> net::awaitable<net::Response> {
                             received.push_back(request);
                             co_return net::Response::text(204, "", "text/plain");
                           });
  auto own = pki->server_identity({{"localhost"}, {"127.0.0.1"}}, loop.now()).value();
  auto tls = net::TlsServerContext::create({own.certificate_pem, own.key_pem}, pki->ca_pem());
  const std::uint16_t there = receiver.listen("127.0.0.1", 0, *tls).value();
  model::Webhook hook;
  hook.meta.name = "ops";
  hook.url = "https://localhost:" + std::to_string(there) + "/alarms?team=1";
  ASSERT_EQ(post("/webhooks", json::encode(hook)).status, 201);
  const Reply untrusted = post("/webhooks/ops/test");
  EXPECT_EQ(untrusted.at("/ok"), "false") << "the system does not know this CA";
  EXPECT_TRUE(received.empty());
  const std::string ca = json::quoted(pki->ca_pem());
  ASSERT_EQ(call("PATCH", "/webhooks/ops", R"({"secret":"s3cret","ca":)" + ca + "}").status, 200);
  const Reply trusted = post("/webhooks/ops/test");
  EXPECT_EQ(trusted.at("/ok"), "true") << trusted.body;
  ASSERT_EQ(received.size(), 1U);
  EXPECT_EQ(received[0].target, "/alarms?team=1");
  EXPECT_EQ(received[0].headers.get("X-Chorok-Event"), "test");
  crash("web");
  wait_for([&] { return received.size() == 2; });
  const net::Request& raised = received[1];
  EXPECT_EQ(raised.headers.get("X-Chorok-Signature"),
            "sha256=" + crypto::hmac_sha256_hex("s3cret", raised.body));
  const auto message = json::decode<model::WebhookMessage>(raised.body, {.stored = true});
  ASSERT_TRUE(message);
  EXPECT_EQ(message->event, "raised");
  EXPECT_EQ(message->alarm.kind, "vm.crashed");
  EXPECT_EQ(message->alarm.subject_name, "web");
  wait_for(
      [&] { return service->engine().inventory().webhooks().find_name("ops")->delivered > 0; });
  run([&]() -> net::awaitable<void> { co_await receiver.stop(std::chrono::seconds(1)); });
}

// RFC 4231, test case 2.
TEST(Hmac, IsTheStandards) {
  EXPECT_EQ(crypto::hmac_sha256_hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace chorok::manager
