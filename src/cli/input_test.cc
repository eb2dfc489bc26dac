// What was typed: sizes, flags, command lines, completion, explain.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/complete.h"
#include "cli/flags.h"
#include "cli/objects.h"
#include "cli/parse.h"
#include "cli/quantity.h"
#include "cli/schema.h"
#include "model/task.h"
#include "model/vm.h"

namespace chorok::cli {
namespace {

using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Json, IsReadStrictlyAndExactly) {
  EXPECT_EQ(
      to_json(*parse_json(R"( {"a":[1,-2.5,0.3,1e3,true,null],"b":"\u00e9\ud83d\ude00\n"} )")),
      "{\"a\":[1,-2.5,0.3,1000,true,null],\"b\":\"\u00e9\U0001F600\\n\"}");
  EXPECT_EQ(to_json(*parse_json("-3619262438651984.5")), "-3619262438651984.5");
  EXPECT_EQ(parse_json("9223372036854775807")->integer(), 9223372036854775807);
  EXPECT_THAT(parse_json("{\n\"a\":}").error().message, HasSubstr("line 2"));
  for (const char* wrong : {"", "{", "[1,]", "{\"a\"}", "01", "1.", "+1", "nan", "'a'", "\"\\x\"",
                            "\"\\ud800\"", "\"", "1 2", "tru", "-", "[1 2]", "{\"a\":1,}"})
    EXPECT_FALSE(parse_json(wrong)) << wrong;
  EXPECT_FALSE(parse_json(std::string(100000, '[')));
}

TEST(Quantity, Sizes) {
  EXPECT_EQ(parse_size("512")->value, 512);
  EXPECT_EQ(parse_size("512M")->value, 512);
  EXPECT_EQ(parse_size("2G")->value, 2048);
  EXPECT_EQ(parse_size("2GiB")->value, 2048);
  EXPECT_EQ(parse_size("1.5t")->value, 1572864);
  EXPECT_EQ(parse_size("4096K")->value, 4);
  for (const char* wrong : {"", "G", "2X", "-1", "1k", "1.5M", "2G ", "1e99", "nan", "2 G G"})
    EXPECT_FALSE(parse_size(wrong)) << wrong;
}

TEST(Quantity, Durations) {
  EXPECT_EQ(*parse_duration("300ms"), std::chrono::milliseconds(300));
  EXPECT_EQ(*parse_duration("90"), std::chrono::seconds(90));
  EXPECT_EQ(*parse_duration("1h30m"), std::chrono::minutes(90));
  EXPECT_EQ(*parse_duration("2d"), std::chrono::hours(48));
  for (const char* wrong : {"", "5x", "m", "-3s", "1h30q"}) EXPECT_FALSE(parse_duration(wrong));
}

TEST(Quantity, ForPeople) {
  EXPECT_EQ(human_mib(512), "512 MiB");
  EXPECT_EQ(human_mib(2048), "2.0 GiB");
  EXPECT_EQ(human_mib(0), "0");
  EXPECT_EQ(human_bytes(118), "118 B");
  EXPECT_EQ(human_seconds(0.118), "118 ms");
  EXPECT_EQ(human_seconds(200), "3 min 20 s");
  EXPECT_EQ(human_mhz(2400), "2.4 GHz");
  Time now = Time(std::chrono::hours(1000));
  EXPECT_EQ(human_time(now - std::chrono::minutes(3), now), "3 min ago");
  EXPECT_EQ(human_time(now + std::chrono::hours(24 * 29), now), "in 29 d");
}

TEST(Flags, StructsFromPairs) {
  const Type& disk = model::DiskSpec::type();
  EXPECT_EQ(to_json(*struct_from_text(disk, "name=root,size=10G,datastore=shared,bus=scsi,keep")),
            R"({"name":"root","size":10240,"datastore":"shared","bus":"scsi","keep":true})");
  auto message = [&](std::string_view text) {
    auto value = struct_from_text(disk, text);
    return value ? std::string("taken") : value.error().message;
  };
  EXPECT_THAT(message("siz=1"), HasSubstr("did you mean 'size'?"));
  EXPECT_THAT(message("bus=virtoi"), HasSubstr("did you mean 'virtio'?"));
  EXPECT_THAT(message("name=a,name=b"), HasSubstr("comes twice"));
  EXPECT_THAT(message("name"), HasSubstr("needs a value"));
  EXPECT_EQ(to_json(*struct_from_text(model::NicSpec::type(), R"(network=a\,b)")),
            R"({"network":"a,b"})");
}

TEST(Flags, SetFindsItsPlace) {
  Value patch;
  const Type& vm = model::Vm::type();
  ASSERT_TRUE(set_from_text(patch, vm, "spec.memory=2G"));
  ASSERT_TRUE(set_from_text(patch, vm, "spec.autostart.delay=5m"));
  ASSERT_TRUE(set_from_text(patch, vm, "labels.app=web"));
  ASSERT_TRUE(set_from_text(patch, vm, "spec.cpu_model="));
  ASSERT_TRUE(set_from_text(patch, vm, "spec.boot.order=cd,root"));
  EXPECT_EQ(to_json(patch), R"({"spec":{"memory":2048,"autostart":{"delay":300},"cpu_model":null,)"
                            R"("boot":{"order":["cd","root"]}},"meta":{"labels":{"app":"web"}}})");
  EXPECT_THAT(set_from_text(patch, vm, "spec.memroy=1").error().message,
              HasSubstr("did you mean 'memory'?"));
  EXPECT_FALSE(set_from_text(patch, vm, "status.state=on"));
  EXPECT_FALSE(set_from_text(patch, vm, "spec.memory"));
}

Result<Value> body_of(std::vector<std::string> args) {
  auto parsed = parse(args);
  if (!parsed) return std::unexpected(parsed.error());
  Value body = Value::object();
  TRY(apply_flags(parsed->call, body));
  return body;
}

TEST(Parse, FlagsBecomeJson) {
  EXPECT_EQ(to_json(*body_of({"vm", "create", "a", "--vcpus=2", "--cpu", "shares=100,limit=2GHz",
                              "--firmware", "uefi", "--tpm", "--autostart-delay", "1m", "--disk",
                              "name=a,size=1G", "--disk", "name=b,size=2G"})),
            R"({"spec":{"vcpus":2,"disks":[{"name":"a","size":1024},{"name":"b","size":2048}],)"
            R"("cpu":{"shares":100,"limit":2000},"firmware":"uefi","tpm":true,)"
            R"("autostart":{"delay":60}}})");
  EXPECT_EQ(to_json(*body_of(
                {"vm", "migrate", "a", "--post-copy", "--bandwidth", "100", "--timeout", "1h"})),
            R"({"post_copy":true,"bandwidth_mib_s":100,"timeout":3600})");
  EXPECT_EQ(to_json(*body_of({"vm", "attach-nic", "a", "--nic", "name=eth1,network=lan"})),
            R"({"nic":{"name":"eth1","network":"lan"}})");
}

TEST(Parse, GlobalFlagsGoAnywhere) {
  auto parsed = parse({"-o", "json", "vm", "start", "host", "ls", "--no-wait", "-q"});
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->options.output, Output::kJson);
  EXPECT_FALSE(parsed->options.wait);
  EXPECT_TRUE(parsed->options.quiet);
  EXPECT_THAT(parsed->call.args, ElementsAre("host", "ls"));  // VMs may be called like commands
  EXPECT_EQ(parse({"vm", "ls", "--sort", "-meta/name"})->call.value("sort"), "-meta/name");
}

TEST(Parse, MistakesNameWhatIsNear) {
  auto message = [](std::vector<std::string> args) {
    auto parsed = parse(args);
    return parsed ? std::string("taken") : parsed.error().message;
  };
  EXPECT_THAT(message({"vm", "strat", "a"}), HasSubstr("did you mean 'start'?"));
  EXPECT_THAT(message({"vmm"}), HasSubstr("did you mean 'vm'?"));
  EXPECT_THAT(message({"vm", "create", "a", "--memroy", "1G"}), HasSubstr("--memory?"));
  EXPECT_THAT(message({"vm", "console"}), HasSubstr("usage: chorok vm console NAME"));
  EXPECT_THAT(message({"vm", "console", "a", "b"}), HasSubstr("'b' is too much"));
  EXPECT_THAT(message({"vm", "ls", "-o", "xml"}), HasSubstr("'xml' is no output"));
}

TEST(Parse, HelpForEverything) {
  EXPECT_THAT(parse({})->help, HasSubstr("usage: chorok COMMAND"));
  EXPECT_THAT(parse({"vm"})->help, HasSubstr("snapshot-delete"));
  EXPECT_EQ(parse({"help", "vm", "migrate"})->help, parse({"vm", "migrate", "-h"})->help);
  EXPECT_EQ(parse({"--version"})->call.command->name, "version");
  EXPECT_THAT(parse({"vm", "--help"})->help, HasSubstr("Move it to another host"));
  EXPECT_THAT(parse({"vm", "migrate", "-h"})->help, HasSubstr("--post-copy"));
  for (const CommandSpec& command : commands()) {
    EXPECT_FALSE(command.doc.empty()) << command.path();
    EXPECT_NE(command.handler, nullptr) << command.path();
    EXPECT_FALSE(help_text(command).empty());
  }
}

std::vector<std::string> candidates(std::vector<std::string> words) {
  auto found = complete(words, [](std::string_view kind) -> std::vector<std::string> {
    if (kind == "vm") return {"web1", "web2", "db1"};
    if (kind == "host") return {"host1", "host2"};
    return kind == "datastore" ? std::vector<std::string>{"shared"} : std::vector<std::string>{};
  });
  std::vector<std::string> texts;
  for (const Candidate& candidate : found.candidates) texts.push_back(candidate.text);
  return texts;
}

TEST(Complete, CommandsFlagsAndNames) {
  EXPECT_THAT(candidates({"ho"}), ElementsAre("host"));
  EXPECT_THAT(candidates({"vm", "mi"}), ElementsAre("migrate"));
  EXPECT_THAT(candidates({"vm", "start", "w"}), ElementsAre("web1", "web2"));
  EXPECT_THAT(candidates({"-o", "json", "vm", "start", "d"}), ElementsAre("db1"));
  EXPECT_THAT(candidates({"vm", "migrate", "web1", "ho"}), ElementsAre("host1", "host2"));
  EXPECT_THAT(candidates({"vm", "migrate", "--post"}), ElementsAre("--post-copy"));
  EXPECT_THAT(candidates({"vm", "migrate", "a", "--host", ""}), ElementsAre("host1", "host2"));
  EXPECT_THAT(candidates({"vm", "migrate", "a", "--host=host1", "--ho"}), ElementsAre());
  EXPECT_THAT(candidates({"vm", "create", "a", "--firmware=u"}), ElementsAre("--firmware=uefi"));
  EXPECT_THAT(candidates({"vm", "ls", "-o", "y"}), ElementsAre("yaml"));
  EXPECT_THAT(candidates({"why", ""}), ElementsAre("vm", "host"));
  EXPECT_THAT(candidates({"why", "host", ""}), ElementsAre("host1", "host2"));
  EXPECT_THAT(candidates({"why", "--last", "5", "vm", "w"}), ElementsAre("web1", "web2"));
  EXPECT_THAT(candidates({"why", "vm", "web1", ""}), ElementsAre());
  EXPECT_THAT(candidates({""}), Not(Contains("__complete")));
}

TEST(Complete, InsidePairs) {
  EXPECT_THAT(candidates({"vm", "create", "a", "--disk", "name=x,dat"}),
              ElementsAre("name=x,datastore="));
  EXPECT_THAT(candidates({"vm", "create", "a", "--disk", "name=x,datastore=s"}),
              ElementsAre("name=x,datastore=shared"));
  EXPECT_THAT(candidates({"vm", "create", "a", "--disk", "bus=s"}),
              ElementsAre("bus=scsi", "bus=sata"));
  EXPECT_THAT(candidates({"explain", "vm.spec.fir"}), ElementsAre("vm.spec.firmware"));
  EXPECT_THAT(candidates({"explain", "vm.mig"}), ElementsAre("vm.migrate"));
}

TEST(Complete, SplitsLikeAShell) {
  EXPECT_THAT(split_line("chorok vm 'a b' c\\ d "), ElementsAre("chorok", "vm", "a b", "c d", ""));
  EXPECT_THAT(split_line("chorok  vm"), ElementsAre("chorok", "vm"));
}

TEST(Explain, FieldsKindsAndVerbs) {
  EXPECT_EQ(*explain("vm.spec.memory", 0),
            "vm.spec.memory: integer (MiB)\n"
            "Memory.\n"
            "\n"
            "  default  512 MiB\n"
            "  limits   16 MiB .. 24.0 TiB\n");
  EXPECT_THAT(*explain("vm.spec.disks.bus", 0), HasSubstr("virtio|scsi|sata"));
  EXPECT_THAT(*explain("vm", 0), HasSubstr("migrate"));
  EXPECT_THAT(*explain("vm.migrate", 0), HasSubstr("post_copy"));
  // As a new cluster has it, not as its type begins.
  EXPECT_THAT(*explain("cluster.settings.balance.automation", 0), HasSubstr("default  partial"));
  EXPECT_THAT(*explain("cluster.settings.balance", 0), ContainsRegex("automation [^\n]* partial"));
  EXPECT_THAT(*explain("cluster.settings.power.target", 0), HasSubstr("default  0.98"));
  EXPECT_THAT(*explain("cluster.settings.power.target", 0), Not(HasSubstr("…")));
  EXPECT_THAT(explain("vm.spec.memroy", 0).error().message, HasSubstr("did you mean 'memory'?"));
  EXPECT_THAT(explain("vmm", 0).error().message, HasSubstr("did you mean 'vm'?"));
  EXPECT_THAT(*explain_schema("vm.spec.memory"), HasSubstr("\"x-unit\":\"MiB\""));
  EXPECT_THAT(*explain_schema("vm.spec.memory"), HasSubstr("\"minimum\":16"));
}

}  // namespace
}  // namespace chorok::cli
