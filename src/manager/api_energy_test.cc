#include <gmock/gmock.h>

#include "adapters/sqlite/sqlite_history.h"
#include "manager/api_test_support.h"
#include "manager/energy.h"
#include "manager/metrics.h"
#include "model/energy.h"
#include "model/telemetry.h"

namespace chorok::manager {
namespace {

using ::testing::HasSubstr;

using std::chrono::seconds;

// One host that runs one VM, ten seconds a sample; its board says 200 W.
class ApiEnergy : public ApiTest {
 protected:
  void SetUp() override {
    history = *sqlite::SqliteHistory::open(loop, {.path = ":memory:", .gather = {}});
    ApiTest::SetUp();
    Changes changes;
    model::Host host;
    host.meta = {.id = "host-1", .name = "one"};
    host.inventory.cpu.mhz = Mhz(2000);
    host.inventory.cpu.capacity = Mhz(8000);
    host.inventory.memory = Mib(8192);
    host.power_model.watts = {80, 92, 104, 116, 128, 140, 152, 164, 176, 188, 200};
    changes.put(std::move(host));
    model::Vm vm = vm_record("vm-1", "web");
    vm.meta.labels["owner"] = "anna";
    changes.put(std::move(vm));
    commit(std::move(changes));
  }
  void TearDown() override {
    ApiTest::TearDown();
    history.reset();
  }
  ServiceSettings settings() const override {
    ServiceSettings out;
    out.history = history.get();
    out.energy_watch.every = std::chrono::hours(1);  // what is told here is of the past
    return out;
  }
  // An hour ago and later, as of an agent that was cut off: ten seconds a sample.
  void measure(int samples) {
    for (int i = 0; i < samples; ++i) {
      model::HostSample sample{.boot_id = "b", .sequence = ++count};
      sample.uptime = seconds(10) * static_cast<int>(count);
      sample.cpu_known = true;
      sample.cpu_busy = seconds(10) * static_cast<int>(count);
      model::VmSample vm{.uuid = "uuid-web", .life = 1, .state = model::VmState::kOn, .vcpus = 2};
      vm.cpu_time = seconds(5) * static_cast<int>(count);
      vm.memory = Mib(4096);
      sample.vms = {vm};
      sample.power.push_back({.watts = Watts(200),
                              .source = model::WattSource::kMeasured,
                              .method = model::MeterMethod::kHwmon,
                              .error = 0.05});
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
  double number(const Reply& reply, std::string_view pointer) {
    const std::string text = reply.at(pointer);
    return text == "?" ? 0 : std::stod(text);
  }

  std::unique_ptr<sqlite::SqliteHistory> history;
  model::TelemetryBatch batch;
  std::uint64_t count = 0;
};

TEST_F(ApiEnergy, SaysWhatIsDrawnNow) {
  measure(31);
  Reply reply = get("/energy");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.at("/hosts/0/name"), "one");
  EXPECT_NEAR(number(reply, "/hosts/0/watts"), 200, 0.1);
  EXPECT_EQ(reply.at("/hosts/0/method"), "hwmon");
  EXPECT_EQ(reply.at("/hosts/0/source"), "measured");
  EXPECT_NEAR(number(reply, "/hosts/0/error"), 0.05, 1e-6);
  EXPECT_NEAR(number(reply, "/hosts/0/vms_watts") + number(reply, "/hosts/0/unused_watts"), 200,
              0.1);
  EXPECT_EQ(reply.at("/vms/0/name"), "web");
  // Half of the memory and half of the CPU of what it idles, and half of what was worked.
  const double idle = number(reply, "/hosts/0/idle_watts");
  EXPECT_NEAR(number(reply, "/vms/0/watts"), idle / 2 + (200 - idle) / 2, 1);
  EXPECT_NEAR(number(reply, "/measured_watts"), 200, 0.1);
  acting = make_user("guest", "elsewhere", "viewer");
  EXPECT_EQ(get("/energy").at("/hosts/0/name"), "?");
}

TEST_F(ApiEnergy, SaysWhatWasDrawnAndWhatItCosts) {
  measure(31);
  const std::string cluster = "default";
  Reply changed = call("PATCH", "/clusters/" + cluster,
                       R"({"energy":{"own_price":{"value":100,"unit":"KRW"},)"
                       R"("carbon":"korea-grid","pue":1.5}})");
  ASSERT_EQ(changed.status, 200) << changed.body;
  for (const std::string& path :
       {std::string("/hosts/one/energy"), "/clusters/" + cluster + "/energy"}) {
    Reply reply = get(path + "?from=-600&step=60");
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_NEAR(number(reply, "/joules") - number(reply, "/pending_joules"), 300 * 200, 1);
    EXPECT_NEAR(number(reply, "/it/money"), number(reply, "/kwh") * 100, 1e-6);
    EXPECT_NEAR(number(reply, "/facility/kwh"), number(reply, "/kwh") * 1.5, 1e-6);
    EXPECT_GT(number(reply, "/it/co2_kg"), 0);
    EXPECT_EQ(reply.at("/currency"), "KRW");
    EXPECT_NEAR(number(reply, "/error"), 0.05, 0.01);
    EXPECT_NEAR(number(reply, "/points/1/watts"), 200, 1);
  }
  Reply whole = get("/clusters/" + cluster + "/energy?from=-600&parts=vms,pools");
  EXPECT_EQ(whole.at("/parts/0/kind"), "host");
  EXPECT_NEAR(number(whole, "/parts/0/joules"), 60'000, 10);
  EXPECT_EQ(whole.at("/parts/1/kind"), "pool");
  EXPECT_EQ(whole.at("/parts/2/name"), "web");
  const double vm = number(whole, "/parts/2/joules");
  EXPECT_NEAR(vm + number(whole, "/unused_joules"), 60'000, 60);
  EXPECT_NEAR(number(get("/vms/web/energy?from=-600"), "/joules"), vm, 10);
  const auto refused = [&](const std::string& path, const std::string& body) {
    Reply reply = call("PATCH", path, body);
    EXPECT_EQ(reply.status, 409) << reply.body;
    return reply.body;
  };
  EXPECT_THAT(refused("/clusters/" + cluster, R"({"energy":{"price":"moon"}})"),
              HasSubstr("/energy/price"));
  EXPECT_THAT(refused("/hosts/one", R"({"power_model":{"watts":[1,2]}})"),
              HasSubstr("/power_model/watts"));
  EXPECT_THAT(refused("/hosts/one", R"({"power_model":{"curve":"moon"}})"),
              HasSubstr("/power_model/curve"));
  EXPECT_EQ(get("/hosts/one/energy?from=tomorrow").status, 400);
}

TEST_F(ApiEnergy, MetersForBilling) {
  measure(31);
  Reply reply = get("/metering?from=-600");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.at("/rows/0/name"), "web");
  EXPECT_NEAR(number(reply, "/rows/0/cpu_mhz_hours"), 1000 * 300 / 3600.0, 0.1);
  EXPECT_NEAR(number(reply, "/rows/0/memory_gib_hours"), 4 * 300 / 3600.0, 0.01);
  const double kwh = number(reply, "/rows/0/kwh");
  EXPECT_GT(kwh, 0);
  for (const char* by : {"user", "pool"}) {
    reply = get(std::string("/metering?from=-600&by=") + by);
    EXPECT_EQ(reply.at("/rows/0/name"), std::string(by) == "user" ? "anna" : "(no pool)");
    EXPECT_NEAR(number(reply, "/rows/0/kwh"), kwh, 1e-6);
  }
  EXPECT_EQ(get("/metering?month=2026-11").status, 200);
  EXPECT_EQ(get("/metering?month=November").status, 400);
  EXPECT_EQ(get("/metering?by=colour").status, 400);
  EXPECT_EQ(get("/metering?cluster=nowhere").status, 404);
  acting = make_user("guest", "elsewhere", "viewer");
  EXPECT_EQ(get("/metering").status, 403);
}

TEST_F(ApiEnergy, PrometheusGetsWattsAndJoules) {
  measure(31);
  const std::string text = metrics_text(service->engine(), service->telemetry(), &service->energy(),
                                        "1.0", service->engine().now());
  for (const char* line :
       {"chorok_host_watts{host=\"one\",id=\"host-1\",source=\"measured\",method=\"hwmon\"} 200\n",
        "chorok_host_energy_joules_total{host=\"one\",id=\"host-1\"} 60000\n",
        "# TYPE chorok_vm_energy_joules_total counter\n",
        "chorok_vm_watts{vm=\"web\",id=\"vm-1\"} ", "chorok_energy_sum_violations_total 0\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

}  // namespace
}  // namespace chorok::manager
