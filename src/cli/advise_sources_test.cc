// chorok advise on what others have recorded: a cluster of the manager's, a Prometheus. Both are
// servers of this test that answer as the real ones do (the answers of Prometheus are Debian's
// 2.42's); `advise_live_test.sh` in lab/ has the real ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <thread>

#include "cli/test_support.h"
#include "net/asio_loop.h"
#include "net/http.h"
#include "sim/datacenter/trace_slots.h"

namespace chorok::cli {
namespace {

using ::testing::HasSubstr;

class Server {
 public:
  using Answer = std::function<net::Response(const net::Request&)>;
  explicit Server(Answer answer) : answer_(std::move(answer)) {
    server_ = std::make_unique<net::HttpServer>(
        loop_.executor(), [this](net::Request& request) { return handle(request); });
    url = fmt::format("http://127.0.0.1:{}", server_->listen("127.0.0.1", 0, nullptr).value());
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~Server() {
    loop_.post([this] {
      net::spawn(
          loop_.executor(),
          [](Server& self) -> net::awaitable<void> {
            co_await self.server_->stop(Duration::zero());
            self.loop_.stop();
          }(*this),
          "stop");
    });
    thread_.join();
  }
  std::string url;

 private:
  net::awaitable<net::Response> handle(net::Request& request) { co_return answer_(request); }

  Answer answer_;
  net::AsioLoop loop_;
  std::unique_ptr<net::HttpServer> server_;
  std::thread thread_;
};

std::string vector_of(std::string_view metric, std::string_view value) {
  return fmt::format(R"({{"metric":{{{}}},"value":[1763726400,"{}"]}})", metric, value);
}
net::Response success(std::string_view results) {
  return net::Response::json(
      fmt::format(R"({{"status":"success","data":{{"resultType":"x","result":[{}]}}}})", results));
}

// Two hosts with a VM each, and a machine that is no host.
net::Response as_prometheus(const net::Request& request) {
  const std::string& asked = request.target;
  auto has = [&](std::string_view word) { return asked.find(word) != std::string::npos; };
  const std::string a = R"("uuid":"aaaaaaaa-1","domain":"web")";
  const std::string b = R"("uuid":"bbbbbbbb-2","domain":"web")";
  if (has("virtual_cpus")) return success(vector_of(a, "2") + "," + vector_of(b, "4"));
  if (has("maximum_memory"))
    return success(vector_of(a, "4294967296") + "," + vector_of(b, "8589934592"));
  const std::string one = R"("instance":"h1:9100")", two = R"("instance":"h2:9100")";
  if (has("libvirt_up"))
    return success(vector_of(R"("instance":"h1:9177")", "1") + "," +
                   vector_of(R"("instance":"h2:9177")", "1"));
  auto hosts = [&](std::string_view value) {
    return success(vector_of(one, value) + "," + vector_of(two, value) + "," +
                   vector_of(R"("instance":"laptop:9100")", value));
  };
  if (has("node_cpu_seconds_total")) return hosts("16");
  if (has("node_memory_MemTotal_bytes")) return hosts("68719476736");
  if (has("node_cpu_frequency_max_hertz")) return hosts("2000000000");
  if (!has("query_range")) return success("");
  std::string points;
  for (int k = 0; k < 40; ++k)
    points += fmt::format(R"({}[{},"{}"])", k == 0 ? "" : ",", 1763640000 + k * 300,
                          k == 7 ? "NaN" : "0.5");
  return success(
      fmt::format(R"({{"metric":{{{}}},"values":[{}]}},{{"metric":{{{}}},"values":[{}]}})", a,
                  points, b, points));
}

TEST(AdviseSources, PrometheusHasVmsAndTheirHosts) {
  Server prometheus(as_prometheus);
  testing::FakeTerminal terminal;
  const auto ran = run_with(terminal, {"advise", "--from", "prometheus:" + prometheus.url,
                                       "--since", "1d", "-o", "json"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Value advice = parse_json(ran.out).value();
  const Value& cluster = advice.get("clusters/0");
  EXPECT_EQ(cluster.get("vms").integer(), 2) << "two VMs of one name are two";
  EXPECT_EQ(cluster.get("hosts").integer(), 2) << "a machine without libvirt is no host";
  EXPECT_EQ(cluster.get("classes/0/cores").integer(), 16);
  EXPECT_EQ(cluster.get("classes/0/core_mhz").number(), 2000);
  EXPECT_EQ(cluster.get("classes/0/memory_mib").number(), 65536);
  EXPECT_NEAR(cluster.get("days").number(), 40 * 300 / 86400.0, 0.01);
}

TEST(AdviseSources, APrometheusThatHasNothingSaysWhatItNeeds) {
  Server empty([](const net::Request&) { return success(""); });
  testing::FakeTerminal terminal;
  auto ran = run_with(terminal, {"advise", "--from", "prometheus:" + empty.url});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("prometheus-libvirt-exporter on each host"));

  Server broken([](const net::Request&) {
    return net::Response::json(R"({"status":"error","errorType":"bad_data","error":"too many"})",
                               400);
  });
  ran = run_with(terminal, {"advise", "--from", "prometheus:" + broken.url});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("Prometheus at " + broken.url));

  Server garbage([](const net::Request&) { return net::Response::json("[1, {"); });
  ran = run_with(terminal, {"advise", "--from", "prometheus:" + garbage.url});
  EXPECT_EQ(ran.code, 1);
  ran = run_with(terminal, {"advise", "--from", "prometheus:garbage"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("prometheus:http://metrics:9090"));
  EXPECT_THAT(ran.err, HasSubstr("(--from)"));
}

constexpr std::string_view kSnapshot =
    R"({"version":1,"cluster":"main","hosts":[{"name":"h","count":3,"cores":8,"core_mhz":2500,)"
    R"("memory_mib":32768}],"vms":[{"name":"web1","host":"h1","vcpus":2,"memory_mib":2048},)"
    R"({"name":"idle","host":"h2","vcpus":1,"memory_mib":1024}],)"
    R"("curves":[{"name":"own","watts":[50,55,60,65,70,75,80,85,90,95,100],"measured":true}]})";

net::Response as_manager(const net::Request& request) {
  const std::string& asked = request.target;
  auto has = [&](std::string_view word) { return asked.find(word) != std::string::npos; };
  if (has("/clusters/main/snapshot")) return net::Response::json(std::string(kSnapshot));
  if (has("/vms/idle/stats")) return net::Response::json(R"({"points":[]})");
  if (!has("/vms/web1/stats"))
    return net::Response::problem({Code::kNotFound, "there is no such cluster", ""});
  std::string points;
  for (int k = 0; k < 24; ++k)
    points += fmt::format(R"({}{{"at":"2026-11-20T{:02}:00:00.000Z","cpu_mhz":1000,)"
                          R"("ready_mhz":250,"active":512}})",
                          k == 0 ? "" : ",", k);
  return net::Response::json(fmt::format(R"({{"points":[{}]}})", points));
}

TEST(AdviseSources, AClusterIsReplayedOnItsOwnHosts) {
  Server manager(as_manager);
  testing::FakeTerminal terminal;
  terminal.environment["CHOROK_URL"] = manager.url;
  terminal.environment["CHOROK_TOKEN"] = "chk_1_abc";
  const auto ran =
      run_with(terminal, {"advise", "--cluster", "main", "--step", "1h", "-o", "json"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Value advice = parse_json(ran.out).value();
  const Value& cluster = advice.get("clusters/0");
  EXPECT_EQ(cluster.get("vms").integer(), 1) << "a VM that never ran is not in it";
  EXPECT_EQ(cluster.get("hosts").integer(), 3);
  EXPECT_EQ(cluster.get("classes/0/source").text(), "measured by these hosts' own meters");
  EXPECT_EQ(cluster.get("cases/1/hosts/0/name").text(), "h1") << "as the snapshot calls them";
  EXPECT_EQ(cluster.get("cases/1/hosts/2/name").text(), "h3");
  EXPECT_THAT(std::string(advice.get("summary").text()),
              ::testing::StartsWith("From 23.0 h of samples alone, so with care: "));
  // 23 hours, since the first interval is not judged, of three hosts at 50 W and more; the VM's
  // 1250 of 20000 MHz are 3.1 W.
  EXPECT_NEAR(cluster.get("always_on/energy_kwh").number(), 23 * (3 * 0.050 + 0.003125), 0.001);

  const auto missing = run_with(terminal, {"advise", "--cluster", "other"});
  EXPECT_EQ(missing.code, 3);
  EXPECT_THAT(missing.err, HasSubstr("there is no such cluster"));
  EXPECT_EQ(run_with(terminal, {"advise", "--cluster", "main", "--since", "yesterday"}).code, 2);
  EXPECT_EQ(run_with(terminal, {"advise", "--cluster", "main", "--since", "5m"}).code, 2);
  EXPECT_EQ(run_with(terminal, {"advise", "--cluster", "main", "--watch", "5m"}).code, 2);
  for (const char* flag : {"--since", "--until", "--step", "--watch"}) {
    const auto refused = run_with(terminal, {"advise", "--from", "samples.csv", flag, "1h"});
    EXPECT_EQ(refused.code, 2) << flag;
    EXPECT_THAT(refused.err, HasSubstr(flag));
  }
}

TEST(AdviseSources, HostsOfLibvirtThatAreNotThereAreNamed) {
  testing::FakeTerminal terminal;
  const auto ran =
      run_with(terminal, {"advise", "--from", "libvirt:nonsense:///x", "--watch", "30s"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, ::testing::AnyOf(HasSubstr("libvirt:nonsense:///x"), HasSubstr("virsh")));
  EXPECT_THAT(ran.err, ::testing::Not(HasSubstr("\n\n")));
  EXPECT_EQ(run_with(terminal, {"advise", "--from", "libvirt:x", "--watch", "1s"}).code, 2);
}

}  // namespace
}  // namespace chorok::cli
