// Whole commands against the fake manager.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/config.h"
#include "cli/test_support.h"
#include "net/test_support.h"

namespace chorok::cli {
namespace {

using ::testing::Contains;
using testing::FakeManager;
using testing::FakeTerminal;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Ran;
using ::testing::StartsWith;

Value vm(const std::string& name, const std::string& state, const std::string& app = "") {
  Value object = *parse_json(R"({"meta":{"id":"vm-","name":"","labels":{},"revision":7},
      "spec":{"vcpus":2,"memory":2048},"status":{"state":"","host_name":"host1","ips":[]}})");
  object.make("meta/id") = "vm-" + name;
  object.make("meta/name") = name;
  if (!app.empty()) object.make("meta/labels/app") = app;
  object.make("status/state") = state;
  return object;
}

class EndToEnd : public ::testing::Test {
 protected:
  EndToEnd() {
    folder = std::filesystem::temp_directory_path() / ("chorok-cli-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    terminal.environment["CHOROK_CONFIG"] = folder / "config.json";
    terminal.environment["CHOROK_URL"] = manager.url();
    terminal.environment["CHOROK_TOKEN"] = "chk_1_abc";
    manager.put("vms", vm("web1", "on", "web"));
    manager.put("vms", vm("web2", "off", "web"));
    manager.put("vms", vm("db1", "crashed"));
  }
  ~EndToEnd() override { std::filesystem::remove_all(folder); }

  Ran chorok(std::vector<std::string> args) { return run_with(terminal, std::move(args)); }

  FakeManager manager;
  FakeTerminal terminal;
  std::filesystem::path folder;
};

TEST_F(EndToEnd, ListsAsTable) {
  Ran ran = chorok({"vm", "ls"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.out,
            "NAME  STATE    HOST   VCPUS   MEMORY  IPS  TASK\n"
            "web1  on       host1      2  2.0 GiB\n"
            "web2  off      host1      2  2.0 GiB\n"
            "db1   crashed  host1      2  2.0 GiB\n");
}

TEST_F(EndToEnd, ListsAsCsvJsonAndNames) {
  EXPECT_THAT(chorok({"vm", "ls", "-o", "csv"}).out,
              StartsWith("name,state,host_name,vcpus,memory,ips,task,id,uuid"));
  Value json = *parse_json(chorok({"-o", "json", "vm", "ls"}).out);
  EXPECT_EQ(json.get("items/0/spec/memory").integer(), 2048);
  EXPECT_EQ(chorok({"vm", "ls", "-q", "-l", "app=web"}).out, "web1\nweb2\n");
  EXPECT_THAT(chorok({"vms", "list", "-o", "yaml"}).out, HasSubstr("    state: \"on\"\n"));
}

TEST_F(EndToEnd, ListsClustersWithWhatTheyHave) {
  manager.put("clusters", *parse_json(R"({"meta":{"id":"c-1","name":"lab"},"settings":{
      "balance":{"automation":"partial"},"power":{"automation":"off"},"ha":{"enabled":false}}})"));
  manager.put("hosts", *parse_json(R"({"meta":{"id":"h-8","name":"x"},"cluster":"c-1"})"));
  manager.put("hosts", *parse_json(R"({"meta":{"id":"h-9","name":"y"},"cluster":"c-2"})"));
  EXPECT_EQ(chorok({"cluster", "ls"}).out,
            "NAME  HOSTS  VMS  DRS      DPM  HA  CPU BASELINE\n"
            "lab   1      7    partial  off  no\n");
  EXPECT_THAT(chorok({"cluster", "ls", "-o", "csv"}).out,
              StartsWith("name,hosts,vms,drs,dpm,ha,cpu_baseline,id,drs_level,ha_failures,labels"));
  EXPECT_EQ(chorok({"cluster", "ls", "-q"}).out, "lab\n");
  manager.put("clusters", *parse_json(R"({"meta":{"id":"c-2","name":"two"}})"));
  const std::string both = chorok({"pool", "tree"}).out;
  EXPECT_THAT(both, HasSubstr("lab       5/7"));
  EXPECT_THAT(both, HasSubstr("two       5/7"));
}

TEST_F(EndToEnd, ListsEventsLikeALog) {
  EXPECT_EQ(chorok({"event", "ls"}).err, "there are no events\n");
  EXPECT_THAT(manager.requests().back(), HasSubstr("sort=-time&limit=100"));
  manager.put("events", *parse_json(R"({"id":"2","severity":"error","message":"second"})"));
  manager.put("events", *parse_json(R"({"id":"1","severity":"info","message":"first"})"));
  EXPECT_EQ(chorok({"event", "ls", "--columns", "message"}).out, "MESSAGE\nfirst\nsecond\n");
}

TEST_F(EndToEnd, PaintsProgressOnATerminal) {
  manager.set_task_course({*parse_json(R"({"state":"running","percent":50})"),
                           *parse_json(R"({"state":"succeeded"})")});
  terminal.is_terminal = true;
  terminal.columns = 60;
  Ran ran = chorok({"vm", "start", "web1"});
  EXPECT_THAT(ran.err, HasSubstr("\x1b[1A\x1b[Jweb1 start ██████████░░░░░░░░░░  50%  running\n"));
  EXPECT_THAT(ran.err, ::testing::EndsWith("\x1b[1A\x1b[J"));
  EXPECT_EQ(ran.out, "web1 start: done\n");
}

TEST_F(EndToEnd, StartsSeveralAndWaits) {
  Ran ran = chorok({"vm", "start", "web1", "web2", "--paused"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "web1 start: done\nweb2 start: done\n");
  EXPECT_THAT(manager.requests(), Contains("POST /api/v1/vms/web1/start {\"paused\":true}"));
  // From the store's revision that the list told, not from a task's own.
  EXPECT_THAT(manager.requests(), Contains("GET /api/v1/watch?kinds=task&since=50"));
}

TEST_F(EndToEnd, FailedTaskIsExitCodeFour) {
  manager.set_task_course(
      {*parse_json(R"({"state":"running","percent":40,"progress":{"phase":"memory"}})"),
       *parse_json(R"({"state":"failed","finished":"2026-11-21T12:00:02.500Z",
                       "error":{"code":"exhausted","message":"host2 has no memory left"}})")});
  Ran ran = chorok({"vm", "migrate", "web1", "host2"});
  EXPECT_EQ(ran.code, exit_code::kTaskFailed);
  EXPECT_THAT(ran.err, HasSubstr("web1 migrate: 40% memory\n"));
  EXPECT_THAT(ran.err, HasSubstr("web1 migrate: failed after 2.5 s: host2 has no memory left\n"));
  EXPECT_THAT(manager.requests(), Contains("POST /api/v1/vms/web1/migrate {\"host\":\"host2\"}"));
  EXPECT_THAT(terminal.interrupt_note, HasSubstr("chorok task cancel task-1"));
}

TEST_F(EndToEnd, WaitingOutlivesABrokenStream) {
  manager.set_task_course({*parse_json(R"({"state":"running","percent":10})"),
                           *parse_json(R"({"state":"succeeded"})")});
  manager.break_watches(1);
  Ran ran = chorok({"vm", "start", "web1"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(manager.requests().back(), "GET /api/v1/watch?kinds=task&since=101");
}

TEST_F(EndToEnd, ConsoleEndsInOrder) {
  Ran ran = chorok({"vm", "console", "web1"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("the console was closed"));
}

// Runs the console with `input` piped in (`close_after`: and then its end), and answers what the
// guest said.
class Piped {
 public:
  explicit Piped(const std::string& input, bool close_after) : saved_(::dup(STDIN_FILENO)) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    EXPECT_EQ(::write(ends[1], input.data(), input.size()), static_cast<ssize_t>(input.size()));
    ::dup2(ends[0], STDIN_FILENO);
    ::close(ends[0]);
    writer_ = ends[1];
    if (close_after) ::close(std::exchange(writer_, -1));
    ::testing::internal::CaptureStdout();
  }
  ~Piped() {
    ::dup2(saved_, STDIN_FILENO);
    ::close(saved_);
    if (writer_ >= 0) ::close(writer_);
  }
  static std::string said() { return ::testing::internal::GetCapturedStdout(); }

 private:
  int saved_;
  int writer_ = -1;
};

TEST_F(EndToEnd, ConsoleWithPipedInputEndsAtItsEndWithTheGuestsAnswer) {
  Piped piped("hello\n", true);
  Ran ran = chorok({"vm", "console", "web2"});
  EXPECT_EQ(piped.said(), "hello\nhello\n");
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("left the console"));
}

TEST_F(EndToEnd, ConsoleWithPipedInputEndsAtTheEscape) {
  Piped piped("hello\n\x1dmore\n", false);
  Ran ran = chorok({"vm", "console", "web2"});
  EXPECT_THAT(piped.said(), Not(HasSubstr("more")));
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("left the console"));
}

TEST_F(EndToEnd, UploadsAndComparesTheChecksum) {
  std::ofstream(folder / "image.raw") << "bytes";
  Ran ran = chorok({"datastore", "upload", "shared", folder / "image.raw", "images/"});
  EXPECT_EQ(ran.code, exit_code::kNotFound);  // the fake has no such datastore
  EXPECT_THAT(manager.requests().back(),
              ::testing::StartsWith("PUT /api/v1/datastores/shared/files/images/image.raw"));
}

TEST_F(EndToEnd, DoesNotWaitWhenTold) {
  Ran ran = chorok({"vm", "stop", "web1", "--no-wait", "--timeout", "2m"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.out, HasSubstr("chorok task wait task-1"));
  EXPECT_THAT(manager.requests(), Contains("POST /api/v1/vms/web1/stop {\"timeout\":120}"));
}

TEST_F(EndToEnd, PicksBySelector) {
  EXPECT_EQ(chorok({"vm", "migrate", "-l", "app=web", "host2"}).code, 0);
  EXPECT_THAT(manager.requests(), Contains("POST /api/v1/vms/web2/migrate {\"host\":\"host2\"}"));
  EXPECT_EQ(chorok({"vm", "start", "-l", "app=none"}).code, exit_code::kNotFound);
  EXPECT_EQ(chorok({"host", "enable", "--all"}).code, exit_code::kNotFound) << "it has no host";
  EXPECT_EQ(chorok({"host", "enable", "host1", "--all"}).code, 2);
}

TEST_F(EndToEnd, CreatesFromFileAndFlags) {
  std::ofstream(folder / "spec.yaml")
      << "meta:\n  name: x\nspec:\n  vcpus: 1\n  memory: 256\n  max_memory: 2G\n";
  Ran ran = chorok({"vm", "create", "app1", "-f", folder / "spec.yaml", "--memory", "1G", "--disk",
                    "size=10G,datastore=shared", "--nic", "network=lan", "--label", "app=web",
                    "--label", "tier=1", "--no-vnc", "--start"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(manager.requests(),
              Contains("POST /api/v1/vms?start=true "
                       R"({"meta":{"name":"app1","labels":{"app":"web","tier":"1"}},)"
                       R"("spec":{"vcpus":1,"memory":1024,"max_memory":2048,)"
                       R"("disks":[{"size":10240,"datastore":"shared","name":"disk0"}],)"
                       R"("nics":[{"network":"lan","name":"eth0"}],"vnc":false}})"));
}

TEST_F(EndToEnd, DryRunTellsProblems) {
  Ran ran = chorok({"vm", "create", "app1", "--memory", "1T", "--dry-run"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.out, HasSubstr("this would be refused"));
  EXPECT_THAT(ran.out, HasSubstr("- too big (field /spec/memory)"));
}

TEST_F(EndToEnd, EditsBySetWhateverItWas) {
  Ran ran = chorok({"vm", "edit", "web1", "--set", "spec.memory=4G", "--set", "notes=new one"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(manager.last_header("If-Match"), "");
  EXPECT_THAT(manager.requests(),
              Contains("PATCH /api/v1/vms/vm-web1 "
                       R"({"spec":{"memory":4096},"meta":{"notes":"new one"}})"));
}

TEST_F(EndToEnd, SaysHowAHostSleepsAndWakes) {
  (void)chorok({"host", "bmc", "rack1", "--driver", "wol", "--mac", "52:54:00:00:00:01", "--mac",
                "52:54:00:00:00:02", "--standby", "suspend", "--wake-after", "8h"});
  EXPECT_THAT(manager.requests(), Contains("PATCH /api/v1/hosts/rack1 "
                                           R"({"bmc":{"driver":"wol","standby":"suspend",)"
                                           R"("mac":["52:54:00:00:00:01","52:54:00:00:00:02"],)"
                                           R"("wake_after_s":28800}})"));
  EXPECT_EQ(chorok({"host", "bmc", "rack1", "--standby", "hibernate"}).code, 2);
}

TEST_F(EndToEnd, AsksABmcThatIsSet) {
  manager.put("hosts", vm("rack1", "connected"));
  Ran ran = chorok({"host", "bmc", "rack1", "--driver", "ipmi", "--address", "10.0.0.9"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.err, HasSubstr("host rack1: set; its BMC answers: power on, it can on, off"));
  EXPECT_THAT(ran.err, HasSubstr("host rack1: it forgets its clock"));
  EXPECT_THAT(chorok({"host", "bmc", "rack1"}).out, HasSubstr("device  Lab 7\ncan     on, off"));
  // One that does not answer is set all the same, and whoever only asks has not been answered.
  ran = chorok({"host", "bmc", "rack1", "--address", "10.0.0.99"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_THAT(ran.err, HasSubstr("set; nothing answers yet: its BMC has not answered"));
  ran = chorok({"host", "bmc", "rack1"});
  EXPECT_NE(ran.code, 0);
  EXPECT_THAT(ran.err, HasSubstr("its BMC has not answered"));
  EXPECT_THAT(chorok({"host", "bmc", "rack1", "--driver", ""}).err, HasSubstr("no BMC any more"));
}

TEST_F(EndToEnd, EditsInEditor) {
  terminal.editor = [](const std::string& path) -> Result<> {
    std::string text = *read_file(path);
    EXPECT_THAT(text, Not(HasSubstr("revision")));
    text.replace(text.find("vcpus: 2"), 8, "vcpus: 3");
    std::ofstream(path) << text;
    return {};
  };
  EXPECT_EQ(chorok({"vm", "edit", "web1"}).code, 0);
  EXPECT_THAT(manager.requests(), Contains(R"(PATCH /api/v1/vms/vm-web1 {"spec":{"vcpus":3}})"));
  EXPECT_EQ(manager.last_header("If-Match"), "\"7\"") << "what was seen in the editor";
}

TEST_F(EndToEnd, TellsConflictAndKeepsTheText) {
  terminal.editor = [this](const std::string& path) -> Result<> {
    std::ofstream(path) << "spec: {vcpus: 9}\n";
    FakeTerminal other = terminal;
    EXPECT_EQ(run_with(other, {"vm", "edit", "web1", "--notes", "me first"}).code, 0);
    return {};
  };
  Ran ran = chorok({"vm", "edit", "web1"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("what you wrote is kept in "));
  EXPECT_THAT(ran.err, HasSubstr("hint: somebody changed it meanwhile"));
}

// A host's record changes whenever its agent reports: only what a person has seen may be stale.
TEST_F(EndToEnd, EditsByFlagsWhatChangesMeanwhile) {
  manager.change_what_is_read();
  const Ran ran = chorok({"vm", "edit", "web1", "--notes", "by a script"});
  EXPECT_EQ(ran.code, 0) << ran.err;
}

TEST_F(EndToEnd, NotFoundAndUnauthenticated) {
  EXPECT_EQ(chorok({"vm", "show", "nope"}).code, exit_code::kNotFound);
  Ran ran = chorok({"vm", "ls", "--token", "wrong"});
  EXPECT_EQ(ran.code, exit_code::kUnauthenticated);
  EXPECT_EQ(ran.err,
            "error: who are you?\nhint: log in again: chorok login " + manager.url() + "\n");
}

TEST_F(EndToEnd, NobodyListens) {
  Ran ran = chorok({"vm", "ls", "--url", "http://127.0.0.1:1"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("hint: is the manager running at http://127.0.0.1:1?"));
}

TEST_F(EndToEnd, TokenForHostPrintsTokenAlone) {
  Ran ran = chorok({"token", "create", "--purpose", "host"});
  EXPECT_EQ(ran.out, "chj_2.def\n");
  EXPECT_THAT(ran.err, HasSubstr("chorok-agent join " + manager.url() + " chj_2.def"));
}

TEST_F(EndToEnd, AsksBeforeDeleting) {
  terminal.is_terminal = true;
  terminal.answers = {"n"};
  EXPECT_EQ(chorok({"vm", "delete", "web1"}).code, 1);
  EXPECT_THAT(terminal.asked.at(0), HasSubstr("Delete vm web1 with all disks?"));
  EXPECT_EQ(chorok({"vm", "delete", "web1", "--yes", "--keep-disks"}).code, 0);
  EXPECT_THAT(manager.requests(), Contains("DELETE /api/v1/vms/web1?keep_disks=true"));
}

TEST_F(EndToEnd, CompletesNamesFromTheApi) {
  EXPECT_EQ(chorok({"__complete", "bash", "chorok vm start we"}).out, "web1\t\nweb2\t\n");
}

TEST_F(EndToEnd, ShowsNamesWhereRecordsHoldIds) {
  manager.put("rules", *parse_json(R"({"meta":{"id":"rule-1","name":"spread","revision":1},
      "kind":"apart","must":true,"enabled":true,"vms":["vm-web1","vm-gone"],"hosts":[]})"));
  EXPECT_THAT(chorok({"rule", "ls"}).out, HasSubstr("web1, vm-gone"));
  EXPECT_THAT(chorok({"rule", "show", "spread"}).out, HasSubstr("web1"));
  EXPECT_THAT(chorok({"rule", "ls", "-o", "json"}).out, HasSubstr("\"vm-web1\""));
}

TEST_F(EndToEnd, MakesPoolsAndClustersFromFlags) {
  chorok({"pool", "create", "gold", "--parent", "top", "--cpu", "level=high,reservation=4000",
          "--memory", "reservation=2G,expandable=false"});
  EXPECT_THAT(manager.requests(),
              Contains(StartsWith(R"(POST /api/v1/pools {"meta":{"name":"gold"},"parent":"top",)"
                                  R"("cpu":{"level":"high","reservation":4000},)"
                                  R"("memory":{"reservation":2048,"expandable":false}})")));
  chorok({"cluster", "create", "lab", "--drs", "manual", "--ha", "--ha-failures", "2"});
  EXPECT_THAT(manager.requests(),
              Contains(HasSubstr(R"("settings":{"balance":{"automation":"manual"},)"
                                 R"("ha":{"enabled":true,"failures":2}})")));
  EXPECT_EQ(chorok({"cluster", "create", "lab", "--drs", "sometimes"}).code, 2);
  EXPECT_EQ(chorok({"rule", "create", "r", "--kind", "beside"}).code, 2);
}

TEST_F(EndToEnd, VersionStatusAndApi) {
  EXPECT_THAT(chorok({"version"}).out, HasSubstr("manager 9.9 (API v1, simulated hosts)"));
  Ran status = chorok({"status"});
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("VMs         3: 1 crashed, 1 off, 1 on; 6 vCPUs, 6.0 GiB\n"));
  EXPECT_THAT(chorok({"api", "get", "/vms/web1"}).out, HasSubstr("\"name\": \"web1\""));
}

class Login : public ::testing::Test {
 protected:
  Login() {
    folder =
        std::filesystem::temp_directory_path() / ("chorok-login-" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    terminal.environment["CHOROK_CONFIG"] = folder / "deeper" / "config.json";
    tls.identity = server.identity();
    tls.ca_pem = ca.certificate_pem;
  }
  ~Login() override { std::filesystem::remove_all(folder); }

  net::testing::TestCertificate ca = net::testing::make_certificate({"Chorok CA", "", true});
  net::testing::TestCertificate server =
      net::testing::make_certificate({"manager", "DNS:localhost,IP:127.0.0.1"}, &ca);
  FakeManager::Tls tls;
  FakeTerminal terminal;
  std::filesystem::path folder;
};

TEST_F(Login, TrustsOnFirstUseAndRemembers) {
  FakeManager manager(&tls);
  manager.put("vms", vm("web1", "on"));
  terminal.answers = {"y", "secret password"};
  Ran ran = run_with(terminal, {"login", manager.url()});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(terminal.asked.at(0), HasSubstr("Trust it?"));
  struct stat info{};
  ASSERT_EQ(::stat(terminal.env("CHOROK_CONFIG").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
  EXPECT_EQ(run_with(terminal, {"vm", "ls", "-q"}).out, "web1\n");
  EXPECT_THAT(run_with(terminal, {"context"}).out, HasSubstr("127.0.0.1"));
  EXPECT_EQ(run_with(terminal, {"logout"}).code, 0);
  EXPECT_THAT(manager.requests(), Contains("DELETE /api/v1/tokens/1"));
  EXPECT_EQ(run_with(terminal, {"vm", "ls"}).code, exit_code::kUnauthenticated);
}

TEST_F(Login, RefusesWrongFingerprintBeforeThePasswordGoesOut) {
  FakeManager manager(&tls);
  terminal.environment["CHOROK_PASSWORD"] = "secret password";
  Ran ran = run_with(terminal, {"login", manager.url(), "--fingerprint", std::string(64, 'a')});
  EXPECT_NE(ran.code, 0);
  EXPECT_TRUE(manager.requests().empty());
}

TEST_F(Login, TakesFingerprintWithColonsAndSaysWrongPassword) {
  FakeManager manager(&tls);
  std::string sha = *net::certificate_sha256(ca.certificate_pem);
  terminal.environment["CHOROK_PASSWORD"] = "wrong";
  Ran ran = run_with(terminal, {"login", manager.url(), "--fingerprint", sha});
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.err, HasSubstr("does not let admin in"));
}

}  // namespace
}  // namespace chorok::cli
