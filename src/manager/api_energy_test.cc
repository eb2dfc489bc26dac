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
using ::testing::Not;

using std::chrono::seconds;
using namespace std::chrono_literals;

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
    vm.meta.labels["vapp"] = "shop";
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
  const double pending = number(whole, "/parts/0/pending_joules");
  EXPECT_NEAR(number(whole, "/parts/0/joules") - pending, 60'000, 10);
  EXPECT_NEAR(number(whole, "/parts/0/joules"), number(whole, "/joules"), 1) << "hosts add up";
  EXPECT_EQ(whole.at("/parts/0/method"), "hwmon");
  EXPECT_EQ(whole.at("/parts/1/kind"), "pool");
  EXPECT_EQ(whole.at("/parts/2/name"), "web");
  const double vm = number(whole, "/parts/2/joules");
  EXPECT_NEAR(vm + number(whole, "/unused_joules"), 60'000, 60);
  EXPECT_NEAR(number(whole, "/parts/2/error"), 0.05, 0.01);
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
  EXPECT_EQ(get("/hosts/one/energy?from=--1").status, 400) << "that would be ahead of now";
}

TEST_F(ApiEnergy, EveryFigureHasASourceAndABand) {
  measure(31);
  for (const char* path : {"/hosts/one", "/clusters/default", "/vms/web"}) {
    Reply reply = get(std::string(path) + "/energy?from=-600&to=-30&step=60");
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.at("/sources/0/method"), "hwmon") << path;
    EXPECT_EQ(reply.at("/sources/0/source"), "measured") << path;
    EXPECT_NEAR(number(reply, "/sources/0/joules"), number(reply, "/joules"), 1) << path;
    for (const char* point : {"/points/0/error", "/points/2/error", "/error"})
      EXPECT_NEAR(number(reply, point), 0.05, 1e-4) << path << point;
    EXPECT_NEAR(number(reply, "/measured_for"), 270, 11) << path;
    EXPECT_NEAR(number(reply, "/watts") * number(reply, "/measured_for"), number(reply, "/joules"),
                1);
  }
}

TEST_F(ApiEnergy, APoolHasWhatIsBelowIt) {
  for (const char* body : {R"({"meta":{"name":"gold"},"cluster":"default"})",
                           R"({"meta":{"name":"inner"},"cluster":"default","parent":"gold"})"})
    ASSERT_EQ(call("POST", "/pools", body).status, 201) << body;
  Reply moved = call("PATCH", "/vms/web", R"({"pool":"inner"})");
  ASSERT_LT(moved.status, 300) << moved.body;
  measure(31);
  const double vm = number(get("/vms/web/energy?from=-600"), "/joules");
  ASSERT_GT(vm, 0);
  Reply gold = get("/pools/gold/energy?from=-600&step=60");
  EXPECT_NEAR(number(gold, "/joules"), vm, 1) << gold.body;
  EXPECT_EQ(number(gold, "/direct_joules"), 0);
  EXPECT_NEAR(number(get("/pools/inner/energy?from=-600"), "/direct_joules"), vm, 1);
  Reply whole = get("/clusters/default/energy?from=-600&parts=pools");
  for (const char* part : {"/parts/1", "/parts/2"}) {
    EXPECT_EQ(whole.at(std::string(part) + "/kind"), "pool");
    EXPECT_NEAR(number(whole, std::string(part) + "/joules"), vm, 1);
    const bool is_outer = whole.at(std::string(part) + "/name") == "gold";
    EXPECT_NEAR(number(whole, std::string(part) + "/direct_joules"), is_outer ? 0 : vm, 1);
  }
}

// As it was before series had labels.
TEST_F(ApiEnergy, OfWhatWasRecordedWithoutANameOnlyItsUuidIsLeft) {
  const std::string cluster = service->engine().inventory().clusters().resolve("default")->meta.id;
  const Time now = service->engine().now();
  ports::HistoryBatch batch{
      .source = "host-1", .from = now - 300s, .to = now, .uses = {}, .cursor = {}};
  batch.uses = {{.series = "vm/uuid-old", .amounts = {}},
                {.series = "energy/cluster/" + cluster, .amounts = {}}};
  batch.uses[0].amounts[ports::Measure::kEnergy] = 30000;
  batch.uses[1].amounts[ports::EnergyMeasure::kTotal] = 60000;
  batch.uses[1].amounts[ports::EnergyMeasure::kUnused] = 30000;
  run([&]() -> net::awaitable<void> {
    auto kept = co_await until_done<Result<>>(
        [&](Done<Result<>> done) { history->append({batch}, std::move(done)); });
    EXPECT_TRUE(kept) << kept.error().message;
  });
  Reply whole = get("/clusters/default/energy?from=-600&parts=vms");
  EXPECT_EQ(whole.at("/parts/1/kind"), "vm") << whole.body;
  EXPECT_EQ(whole.at("/parts/1/name"), "uuid-old");
  EXPECT_EQ(whole.at("/parts/1/gone"), "true");
  EXPECT_NEAR(number(whole, "/parts/1/joules"), 30000, 60);
  EXPECT_EQ(get("/metering?from=-600").at("/rows/0/name"), "uuid-old");
  // Of which of several it was nobody knows: only the sum is left.
  Changes changes;
  model::Cluster other;
  other.meta = {.id = "cluster-2", .name = "other"};
  changes.put(std::move(other));
  commit(std::move(changes));
  whole = get("/clusters/default/energy?from=-600&parts=vms");
  EXPECT_EQ(whole.at("/parts/1/kind"), "other") << whole.body;
  EXPECT_NEAR(number(whole, "/parts/1/joules"), 30000, 60);
}

TEST_F(ApiEnergy, ACalendarThatIsNotThereIsRefusedAndOneThatGoesIsTold) {
  measure(31);
  Reply refused = call("PATCH", "/clusters/default", R"({"energy":{"price":"file:nosuch"}})");
  EXPECT_EQ(refused.status, 409) << refused.body;
  EXPECT_THAT(refused.body, HasSubstr("/energy/price"));
  EXPECT_THAT(refused.body, HasSubstr("there is no calendars/nosuch.csv on the manager"));
  Changes changes;
  model::Cluster cluster = *service->engine().inventory().clusters().resolve("default");
  cluster.energy.price = "file:nosuch";
  changes.put(std::move(cluster));
  commit(std::move(changes));
  for (const char* path : {"/hosts/one", "/clusters/default", "/vms/web"}) {
    Reply reply = get(std::string(path) + "/energy?from=-600");
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_GT(number(reply, "/joules"), 0);
    EXPECT_THAT(reply.at("/notes/0"), HasSubstr("no price: there is no calendars/nosuch.csv"));
  }
  EXPECT_EQ(call("PATCH", "/clusters/default", R"({"energy":{"pue":1.3}})").status, 200);
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
  const Reply whole = get("/vms/web/energy?from=-600");
  const double whole_measured = number(whole, "/measured");
  const double whole_error = number(whole, "/error");
  for (const char* by : {"user", "pool", "vapp", "vm"}) {
    reply = get(std::string("/metering?from=-600&by=") + by);
    EXPECT_EQ(reply.at("/rows/0/source"), "measured") << "of " << by;
    EXPECT_EQ(reply.at("/rows/0/method"), "hwmon") << "of " << by;
    EXPECT_NEAR(number(reply, "/rows/0/measured"), whole_measured, 1e-6);
    EXPECT_NEAR(number(reply, "/rows/0/error"), whole_error, 1e-6);
    EXPECT_GT(number(reply, "/rows/0/error"), 0);
    if (std::string(by) == "vm") continue;
    EXPECT_EQ(reply.at("/rows/0/name"), std::string(by) == "user"   ? "anna"
                                        : std::string(by) == "vapp" ? "shop"
                                                                    : "(no pool)");
    EXPECT_NEAR(number(reply, "/rows/0/kwh"), kwh, 1e-6);
  }
  reply = get("/metering?from=-600&by=vapp&cluster=default");
  EXPECT_EQ(reply.at("/rows/0/cluster"), "default");
  reply = get("/clusters/default/energy?from=-600&parts=vapps");
  EXPECT_EQ(reply.at("/parts/1/kind"), "vapp") << reply.body;
  EXPECT_EQ(reply.at("/parts/1/name"), "shop");
  EXPECT_NEAR(number(reply, "/parts/1/joules"), kwh * 3.6e6, 1);
  reply = get("/metering?from=-600&by=user&cluster=default");
  EXPECT_EQ(reply.status, 400) << reply.body;
  EXPECT_EQ(reply.at("/field"), "?cluster");
  EXPECT_THAT(reply.body, HasSubstr("recorded over all clusters together"));
  // What could not be told in a bill is refused, not left out of it.
  for (const char* label : {"owner", "vapp"}) {
    const auto body = [&](std::size_t bytes) {
      return fmt::format(R"({{"meta":{{"labels":{{"{}":"{}"}}}}}})", label,
                         std::string(bytes, 'x'));
    };
    EXPECT_EQ(call("PATCH", "/vms/web", body(96)).status, 200) << label;
    reply = call("PATCH", "/vms/web", body(97));
    EXPECT_EQ(reply.status, 400) << reply.body;
    EXPECT_EQ(reply.at("/field"), std::string("/meta/labels/") + label);
  }
  EXPECT_EQ(get("/metering?month=2026-11").status, 200);
  EXPECT_EQ(get("/metering?month=November").status, 400);
  EXPECT_EQ(get("/metering?by=colour").status, 400);
  EXPECT_EQ(get("/metering?cluster=nowhere").status, 404);
  acting = make_user("guest", "elsewhere", "viewer");
  EXPECT_EQ(get("/metering").status, 403);
}

// A bill of the month in which something was deleted says what that was.
TEST_F(ApiEnergy, WhatIsGoneKeepsItsNameAndItsCluster) {
  const std::string here = service->engine().inventory().clusters().resolve("default")->meta.id;
  Changes changes;
  model::Cluster other;
  other.meta = {.id = "cluster-other", .name = "other"};
  changes.put(std::move(other));
  model::Pool pool;
  pool.meta = {.id = "pool-1", .name = "gold"};
  pool.cluster = here;
  changes.put(std::move(pool));
  model::Host host = *service->engine().inventory().hosts().find("host-1");
  host.cluster = here;
  changes.put(std::move(host));
  model::Vm vm = *service->engine().inventory().vms().find("vm-1");
  vm.pool = "pool-1";
  changes.put(std::move(vm));
  commit(std::move(changes));
  measure(31);
  const double kwh = number(get("/metering?from=-600"), "/rows/0/kwh");
  ASSERT_GT(kwh, 0);
  EXPECT_EQ(get("/metering?from=-600").at("/rows/0/gone"), "false");
  changes = {};
  changes.erase<model::Vm>("vm-1");
  changes.erase<model::Pool>("pool-1");
  commit(std::move(changes));
  for (const auto& [by, name] : {std::pair("vm", "web"), std::pair("pool", "gold")}) {
    const std::string path = std::string("/metering?from=-600&by=") + by;
    Reply reply = get(path + "&cluster=default");
    EXPECT_EQ(reply.at("/rows/0/name"), name) << reply.body;
    EXPECT_EQ(reply.at("/rows/0/cluster"), "default");
    EXPECT_EQ(reply.at("/rows/0/gone"), "true");
    EXPECT_NEAR(number(reply, "/rows/0/kwh"), kwh, 1e-6);
    EXPECT_EQ(get(path + "&cluster=other").at("/rows/0/name"), "?");
  }
  for (const auto& [parts, name] : {std::pair("vms", "web"), std::pair("pools", "gold")}) {
    const std::string path = std::string("/energy?from=-600&parts=") + parts;
    Reply reply = get("/clusters/default" + path);
    EXPECT_EQ(reply.at("/parts/1/name"), name) << reply.body;
    EXPECT_EQ(reply.at("/parts/1/gone"), "true");
    EXPECT_NEAR(number(reply, "/parts/1/joules"), kwh * 3.6e6, 1);
    EXPECT_THAT(get("/clusters/other" + path).body, Not(HasSubstr(name)));
  }
}

TEST_F(ApiEnergy, PrometheusGetsWattsAndJoules) {
  measure(31);
  const std::string text = metrics_text(service->engine(), service->telemetry(), &service->energy(),
                                        "1.0", service->engine().now());
  for (const char* line :
       {"chorok_host_watts{host=\"one\",id=\"host-1\",source=\"measured\",method=\"hwmon\"} 200\n",
        "chorok_host_energy_joules_total{host=\"one\",id=\"host-1\"} 60000\n",
        "chorok_host_saved_joules{host=\"one\",id=\"host-1\"} 0\n",
        "# TYPE chorok_vm_energy_joules_total counter\n",
        "chorok_vm_watts{vm=\"web\",id=\"vm-1\"} ", "chorok_energy_sum_violations_total 0\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
}

}  // namespace
}  // namespace chorok::manager
