#include "adapters/sqlite/sqlite_history.h"
#include "crypto/x509.h"
#include "link/rpc_channel.h"
#include "manager/api_test_support.h"
#include "model/telemetry.h"

namespace chorok::manager {
namespace {

using std::chrono::seconds;

// One host that runs one VM, measured ten seconds apart.
class ApiUsage : public ApiTest {
 protected:
  void SetUp() override {
    history = *sqlite::SqliteHistory::open(loop, {.path = ":memory:", .gather = {}});
    ApiTest::SetUp();
    Changes changes;
    model::Host host;
    host.meta = {.id = "host-1", .name = "one"};
    host.inventory.cpu.mhz = Mhz(2000);
    host.inventory.cpu.capacity = Mhz(8000);
    changes.put(std::move(host));
    model::Vm web = vm_record("vm-1", "web");
    web.spec.memory = Mib(1280);
    changes.put(std::move(web));
    commit(std::move(changes));
  }
  void TearDown() override {
    ApiTest::TearDown();
    history.reset();
  }
  ServiceSettings settings() const override {
    ServiceSettings out;
    out.history = history.get();
    return out;
  }
  // Through the recorder, as an agent's telemetry comes.
  void measure(int samples) {
    for (int i = 0; i < samples; ++i) {
      model::HostSample sample{.boot_id = "b", .sequence = ++count};
      sample.uptime = seconds(10) * static_cast<int>(count);
      sample.memory_total = Mib(8192);
      sample.memory_available = Mib(6144);
      model::VmSample vm{.uuid = "uuid-web", .life = 1, .state = model::VmState::kOn, .vcpus = 1};
      vm.cpu_time = seconds(5) * static_cast<int>(count);
      vm.memory = Mib(1024);
      sample.vms = {vm};
      batch.samples.push_back(sample);
    }
    batch.boot_id = "b";
    batch.uptime = seconds(10) * static_cast<int>(count);
    run([&]() -> net::awaitable<void> {
      auto taken = co_await until_done<Result<>>(
          [&](Done<Result<>> done) { service->take_telemetry("host-1", batch, std::move(done)); });
      EXPECT_TRUE(taken) << taken.error().message;
    });
    batch.samples.clear();
  }

  std::unique_ptr<sqlite::SqliteHistory> history;
  model::TelemetryBatch batch;
  std::uint64_t count = 0;
};

TEST_F(ApiUsage, SaysWhatIsUsedNow) {
  EXPECT_EQ(get("/usage").at("/vms/0/name"), "?");
  measure(3);
  Reply reply = get("/usage");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.at("/vms/0/name"), "web");
  EXPECT_EQ(reply.at("/vms/0/vm"), "vm-1");
  EXPECT_EQ(reply.at("/vms/0/host_name"), "one");
  EXPECT_EQ(std::stod(reply.at("/vms/0/cpu_mhz")), 1000);
  EXPECT_EQ(std::stod(reply.at("/vms/0/memory")), 1024);
  EXPECT_EQ(std::stod(reply.at("/vms/0/balloon")), 256);
  EXPECT_EQ(reply.at("/hosts/0/name"), "one");
  EXPECT_EQ(std::stod(reply.at("/hosts/0/capacity_mhz")), 8000);
  acting = make_user("guest", "elsewhere", "viewer");
  reply = get("/usage");
  EXPECT_EQ(reply.at("/vms/0/name"), "?") << "what a caller may not see is not there";
}

TEST_F(ApiUsage, SaysWhatWasUsed) {
  measure(31);
  Reply reply = get("/vms/web/stats?from=-400&step=60");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.at("/name"), "web");
  EXPECT_NEAR(std::stod(reply.at("/cpu_mhz_hours")), 300 * 1000 / 3600.0, 0.1);
  EXPECT_NEAR(std::stod(reply.at("/memory_gib_hours")), 300 / 3600.0, 0.001);
  EXPECT_NEAR(std::stod(reply.at("/points/3/cpu_mhz")), 1000, 1);
  reply = get("/hosts/one/stats");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.at("/step"), "30");
  EXPECT_NEAR(std::stod(reply.at("/points/3/memory")), 2048, 1);
}

TEST_F(ApiUsage, NamesWhatIsWrongWithAQuestion) {
  EXPECT_EQ(get("/vms/nobody/stats").status, 404);
  EXPECT_EQ(get("/vms/web/stats?from=yesterday").at("/field"), "?from");
  EXPECT_EQ(get("/vms/web/stats?from=-60&to=-120").at("/field"), "?from");
  EXPECT_EQ(get("/vms/web/stats?step=0").at("/field"), "?step");
  EXPECT_EQ(get("/vms/web/stats?step=abc").at("/field"), "?step");
  EXPECT_EQ(get("/vms/web/stats?from=-1000000&step=1").at("/field"), "?step");
  EXPECT_EQ(get("/vms/web/stats?form=-60").status, 400);
}

TEST_F(ApiUsage, ADirtyRateIsMeasuredOnlyWhereAGuestRuns) {
  EXPECT_EQ(get("/vms/nobody/dirty-rate").status, 404);
  EXPECT_EQ(get("/vms/web/dirty-rate?window=0").at("/field"), "?window");
  EXPECT_EQ(get("/vms/web/dirty-rate?window=61").at("/field"), "?window");
  EXPECT_EQ(get("/vms/web/dirty-rate?window=5s").at("/field"), "?window");
  Reply reply = get("/vms/web/dirty-rate");
  EXPECT_EQ(reply.status, 409) << reply.body;
  EXPECT_NE(reply.body.find("only a guest that runs"), std::string::npos) << reply.body;
}

TEST_F(ApiUsage, PrometheusNeedsATokenOrTheLoopback) {
  measure(3);
  auto metrics = [&](std::string_view scheme, std::uint16_t where, bool with_token) {
    Reply out;
    run([&]() -> net::awaitable<void> {
      net::ClientRequest request;
      request.url =
          net::parse_url(std::string(scheme) + "://localhost:" + std::to_string(where) + "/metrics")
              .value();
      if (with_token) request.headers.add("Authorization", "Bearer " + token());
      auto response = co_await client->send(std::move(request));
      EXPECT_TRUE(response) << response.error().message;
      if (response)
        out = {response->status, std::move(response->headers), std::move(response->body)};
    });
    return out;
  };
  EXPECT_EQ(metrics("https", port, false).status, 401);
  Reply reply = metrics("https", port, true);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_NE(reply.body.find("chorok_vm_cpu_mhz{vm=\"web\",id=\"vm-1\",host=\"one\"} 1000"),
            std::string::npos)
      << reply.body;
  const std::uint16_t loopback = service->listen_metrics("127.0.0.1", 0).value();
  EXPECT_EQ(metrics("http", loopback, false).status, 200);
  acting = make_user("guest", "elsewhere", "viewer");
  EXPECT_EQ(metrics("https", port, true).status, 403);
}

}  // namespace
}  // namespace chorok::manager
