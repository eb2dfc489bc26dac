// What goes to the screen: tables, CSV, YAML, show, progress, errors.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/json.h"
#include "cli/cluster.h"
#include "cli/errors.h"
#include "cli/format.h"
#include "cli/patch.h"
#include "cli/progress.h"
#include "cli/schema.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/yaml.h"
#include "model/host.h"
#include "model/pool.h"
#include "model/verbs.h"
#include "model/vm.h"

namespace chorok::cli {
namespace {

using ::testing::HasSubstr;

const Time kNow = *json::parse_time("2026-11-21T12:00:00Z");

TEST(Text, WidthCountsColumns) {
  EXPECT_EQ(display_width("web1"), 4U);
  EXPECT_EQ(display_width("초록"), 4U);
  EXPECT_EQ(display_width("e\xCC\x81"), 1U);  // e and a combining accent
  EXPECT_EQ(display_width("\xFF"), 1U);
  EXPECT_EQ(clip("초록초록", 5), "초록…");
  EXPECT_EQ(clip("초록초록", 4), "초…");
  EXPECT_EQ(clip("web", 3), "web");
  EXPECT_EQ(pad("초", 4), "초  ");
}

TEST(Text, NothingFromOutsideMovesTheCursor) {
  EXPECT_EQ(printable("a\x1b[2Jb\r\nc"), "a?[2Jb? c");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m\xFF"),
            "?31m?");  // C1's CSI, a broken byte
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "abc"),
            "?abc");  // right-to-left override
}

Table sample() {
  Table table;
  table.columns = {{.title = "NAME"},
                   {.title = "N", .right_aligned = true},
                   {.title = "NOTES", .shrinks = true},
                   {.title = "ID"}};
  table.rows = {{{"web1"}, {"2"}, {"a rather long note about nothing"}, {"vm-1"}},
                {{"초록"}, {"128"}, {"x"}, {"vm-2"}}};
  return table;
}

TEST(Table, AsWideAsItIs) {
  EXPECT_EQ(render_table(sample()),
            "NAME    N  NOTES                             ID\n"
            "web1    2  a rather long note about nothing  vm-1\n"
            "초록  128  x                                 vm-2\n");
}

TEST(Table, ShrinksProseThenDropsColumns) {
  EXPECT_EQ(render_table(sample(), {.width = 32}),
            "NAME    N  NOTES            ID\n"
            "web1    2  a rather long …  vm-1\n"
            "초록  128  x                vm-2\n");
  EXPECT_EQ(render_table(sample(), {.width = 24}),
            "NAME    N  NOTES\n"
            "web1    2  a rather lon…\n"
            "초록  128  x\n");
  EXPECT_EQ(render_table(sample(), {.width = 3, .titles = false}), "web1\n초록\n");
}

TEST(Table, ColoursOnlyWhereAsked) {
  Table table;
  table.columns = {{.title = "STATE"}};
  table.rows = {{{"on", tone_of("on")}}};
  EXPECT_EQ(render_table(table, {.colours = true, .titles = false}), "\x1b[32mon\x1b[0m\n");
  EXPECT_EQ(render_table(table, {.titles = false}), "on\n");
}

TEST(Csv, QuotesByRfc4180) {
  EXPECT_EQ(csv_line({"a", "b,c", "say \"hi\"", "two\nlines", ""}),
            "a,\"b,c\",\"say \"\"hi\"\"\",\"two\nlines\",\r\n");
}

TEST(Format, UnitsComeFromTheTables) {
  auto cell = [](std::string_view path, Value value) {
    return table_cell(resolve(model::Vm::type(), path)->type, value, kNow).text;
  };
  EXPECT_EQ(cell("spec/memory", 2048), "2.0 GiB");
  EXPECT_EQ(cell("spec/cpu/reservation", 2400), "2.4 GHz");
  EXPECT_EQ(cell("status/since", "2026-11-21T11:57:00.000Z"), "3 min ago");
  EXPECT_EQ(cell("status/last_migration/downtime", 0.118), "118 ms");
  EXPECT_EQ(cell("spec/tpm", true), "yes");
  EXPECT_EQ(cell("meta/labels", *parse_json(R"({"app":"web","tier":"1"})")), "app=web,tier=1");
  EXPECT_EQ(cell("status/ips", *parse_json(R"(["10.0.0.1","10.0.0.2"])")), "10.0.0.1, 10.0.0.2");
  EXPECT_EQ(column_title("status/host_name"), "HOST");
}

TEST(Format, ShowsOneObject) {
  Value vm = *parse_json(R"({"meta":{"id":"vm-1","name":"web1","notes":"","revision":3},
    "spec":{"vcpus":2,"memory":1024,"firmware":"bios","cpu":{"shares":0,"reservation":0},
            "disks":[{"name":"root","datastore":"shared","size":10240,"bus":"virtio"},
                     {"name":"data","datastore":"fast","size":512,"keep":true}]},
    "status":{"state":"on"}})");
  EXPECT_EQ(describe_object(model::Vm::type(), vm, kNow, {}),
            "meta\n"
            "  id        vm-1\n"
            "  name      web1\n"
            "  revision  3\n"
            "spec\n"
            "  vcpus     2\n"
            "  memory    1.0 GiB\n"
            "  firmware  bios\n"
            "  disks\n"
            "    NAME  DATASTORE      SIZE  BUS     KEEP\n"
            "    root  shared     10.0 GiB  virtio\n"
            "    data  fast        512 MiB          yes\n"
            "status\n"
            "  state  on\n");
}

TEST(Format, SettingsAreShownAsTheyAre) {
  const Value cluster = *parse_json(R"({"meta":{"name":"lab"},"settings":{
      "power":{"target":0.98,"require_wake_test":false,"hosts_on_min":0,"changes_max":0},
      "ha":{"enabled":false,"failures":1},"balance":{"evenness":0.0,"deviations":2.0}}})");
  const std::string shown = describe_object(model::Cluster::type(), cluster, kNow, {});
  EXPECT_THAT(shown, ::testing::ContainsRegex("target +0.98\n"));
  EXPECT_THAT(shown, ::testing::ContainsRegex("require_wake_test +no\n"));
  EXPECT_THAT(shown, ::testing::ContainsRegex("enabled +no\n"));
  EXPECT_THAT(shown, ::testing::ContainsRegex("hosts_on_min +0\n")) << "it is usually 1";
  EXPECT_THAT(shown, ::testing::Not(HasSubstr("changes_max"))) << "it is usually 0";
  const Value pool =
      *parse_json(R"({"meta":{"name":"gold"},"cpu":{"expandable":false,"shares":1}})");
  EXPECT_THAT(describe_object(model::Pool::type(), pool, kNow, {}),
              ::testing::ContainsRegex("expandable +no\n"));
  auto cell = [](double value) { return table_cell(&type_of<double>(), Value(value), kNow).text; };
  EXPECT_EQ(cell(1502.3333333), "1502.3");
  EXPECT_EQ(cell(0.123456789), "0.1235");
  EXPECT_EQ(cell(2.5), "2.5");
}

TEST(Format, NoTwoColumnsAreCalledTheSame) {
  for (const model::ResourceKind& kind : model::resource_kinds()) {
    std::vector<std::string_view> paths = kind.columns;
    paths.insert(paths.end(), kind.wide.begin(), kind.wide.end());
    std::set<std::string> titles;
    for (const std::string_view path : paths)
      EXPECT_TRUE(titles.insert(column_title(path)).second) << kind.kind << ": " << path;
    const std::string csv = make_csv(paths, {}, true);
    std::set<std::string> fields;
    for (std::size_t at = 0; at < csv.size();) {
      const std::size_t end = csv.find_first_of(",\r", at);
      EXPECT_TRUE(fields.insert(csv.substr(at, end - at)).second) << kind.kind << ": " << csv;
      at = csv[end] == ',' ? end + 1 : csv.size();
    }
  }
  EXPECT_EQ(column_title("settings/power/automation"), "DPM");
  EXPECT_EQ(column_title("memory/limit"), "MEMORY LIMIT");
  EXPECT_EQ(make_csv({"meta/name", "cpu/limit", "memory/limit"}, {}, true),
            "name,cpu_limit,memory_limit\r\n");
}

TEST(Format, ShowsPoolsAsATree) {
  const Value use = *parse_json(R"({"rows":[
      {"kind":"cluster","name":"default","depth":0,"vms":3,"vms_on":2,
       "cpu":{"reservation":40000,"limit":40000,"promised":8000,"demand":900.4,"entitled":5000},
       "memory":{"reservation":65536,"promised":0,"demand":0,"entitled":0}},
      {"kind":"pool","name":"gold","depth":1,"vms":1,"vms_on":1,
       "cpu":{"shares":8000,"reservation":8000,"expandable":true,"promised":1000,"limit":9000,
              "demand":700,"entitled":600},
       "memory":{"shares":163840,"reservation":0,"promised":0,"demand":0,"entitled":0}},
      {"kind":"vm","name":"db1","depth":2,"vms":1,"vms_on":1,
       "cpu":{"shares":2000,"reservation":1000,"promised":1000,"demand":700,"entitled":600},
       "memory":{"shares":20480,"reservation":0,"promised":0,"demand":0,"entitled":0}}]})");
  EXPECT_THAT(
      use_tables(use, {}),
      ::testing::StartsWith("CPU, MHz  VMS  SHARES  RESERVED  PROMISED  LIMIT  DEMAND  ENTITLED\n"
                            "default   2/3             40000      8000            900      5000\n"
                            "  gold    1/1    8000     8000+      1000   9000     700       600\n"
                            "    db1          2000      1000      1000            700       600\n"
                            "\n"
                            "MEMORY, MiB"));
}

TEST(Format, ShowsWhatHostsWereTold) {
  const Value use = *parse_json(R"({"rows":[
      {"kind":"vm","name":"db1","cpu":{"shares":2000},"memory":{"shares":20480},
       "enforced":{"host":"rack1","shares":750,"limit":200,"memory":512,"in_force":true}},
      {"kind":"vm","name":"db2","cpu":{"shares":2000},"memory":{"shares":20480},
       "enforced":{"host":"rack1","shares":1500,"limit":0,"memory":300,"in_force":true,
                   "problem":"no balloon"}}]})");
  const std::string shown = use_tables(use, {});
  EXPECT_THAT(shown, ::testing::ContainsRegex("ENTITLED +WEIGHT +CAP\n"));
  EXPECT_THAT(shown, ::testing::ContainsRegex("db1 .* 750 +200\n"));
  EXPECT_THAT(shown, ::testing::ContainsRegex("db2 .* 1500\\?\n"));
  EXPECT_THAT(shown, ::testing::ContainsRegex("db1 .* 512\n"));
  EXPECT_THAT(shown, ::testing::ContainsRegex("db2 .* 300\\?\n"));
}

TEST(Yaml, QuotesWhatAnotherReaderWouldMistake) {
  Value value = *parse_json(
      R"({"a":"yes","b":"12","c":"a: b","d":"plain text","e":"","f":["x",{"g":1,"h":[]}],
          "i":"two\nlines\n","j":{},"k":null,"l":1.5,"m":"- x","n":"#no","o":"1:30","p":"a\tb"})");
  EXPECT_EQ(to_yaml(value),
            "a: \"yes\"\n"
            "b: \"12\"\n"
            "c: \"a: b\"\n"
            "d: plain text\n"
            "e: \"\"\n"
            "f:\n"
            "  - x\n"
            "  - g: 1\n"
            "    h: []\n"
            "i: |\n"
            "  two\n"
            "  lines\n"
            "j: {}\n"
            "k: null\n"
            "l: 1.5\n"
            "m: \"- x\"\n"
            "\"n\": \"#no\"\n"
            "o: \"1:30\"\n"
            "p: \"a\\tb\"\n");
  EXPECT_EQ(*parse_yaml(to_yaml(value)), value);
}

TEST(Yaml, ReadsNumbersAndSaysWhereItIsWrong) {
  EXPECT_EQ(to_json(*parse_yaml("{a: 1, b: '1', c: 1.5, d: true, e: yes, f: ~, g: 0x10}")),
            R"({"a":1,"b":"1","c":1.5,"d":true,"e":"yes","f":null,"g":"0x10"})");
  auto wrong = parse_yaml("a: 1\nb: [1,\n");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message, HasSubstr("line 3"));
  EXPECT_FALSE(parse_yaml("a: 1\na: 2"));
  EXPECT_FALSE(parse_yaml(std::string(200, '[')));
}

TEST(Patch, HoldsOnlyWhatChanged) {
  Value before = *parse_json(R"({"a":1,"b":{"c":2,"d":3},"e":[1]})");
  Value after = *parse_json(R"({"a":1,"b":{"c":5,"x":1},"e":[2]})");
  EXPECT_EQ(to_json(merge_patch(before, after)), R"({"b":{"d":null,"c":5,"x":1},"e":[2]})");
  EXPECT_TRUE(merge_patch(before, before).is_empty());
}

TEST(Progress, OneLine) {
  Value task = *parse_json(R"({"kind":"vm.migrate","target_name":"web1","state":"running",
    "percent":57,"progress":{"phase":"memory","transferred":432013312,"remaining":641728512,
    "dirty_rate_mib_s":12,"expected_downtime":0.08}})");
  EXPECT_EQ(progress_line(task, 0, false),
            "web1 migrate ███████████░░░░░░░░░  57%  memory, 412 of 1024 MiB, dirty 12 MiB/s, "
            "downtime 80 ms");
  EXPECT_LE(display_width(progress_line(task, 60, false)), 60U);
}

TEST(Progress, Outcome) {
  Value task = *parse_json(R"({"kind":"vm.migrate","target_name":"web1","state":"succeeded",
    "started":"2026-11-21T12:00:00.000Z","finished":"2026-11-21T12:00:01.400Z",
    "result":{"migration":{"from":"host1","to":"host2","downtime":0.118,"transferred":432013312,
    "rounds":3,"tls":true}}})");
  EXPECT_EQ(outcome_text(task, false),
            "web1 migrate: done in 1.4 s: host1 to host2, downtime 118 ms, 412 MiB in 3 rounds, "
            "TLS\n");
}

TEST(Errors, SayWhatToDoNext) {
  EXPECT_EQ(error_text({Code::kInvalid, "must be at least 1", "/spec/vcpus"}),
            "error: must be at least 1 (field /spec/vcpus)\n");
  EXPECT_EQ(error_text({Code::kInvalid, "hours ahead of UTC, -12 to 14", "?utc_offset"}),
            "error: hours ahead of UTC, -12 to 14 (--utc-offset)\n");
  EXPECT_EQ(error_text({Code::kUnavailable, "connection refused", ""}, {.url = "https://m:8443"}),
            "error: connection refused\n"
            "hint: is the manager running at https://m:8443? name another with --url\n");
  EXPECT_THAT(error_text({Code::kUnavailable, "no host", ""}, {.url = "x", .answered = true}),
              HasSubstr("hint: this may pass"));
  EXPECT_THAT(error_text({Code::kUnauthenticated, "no", ""}),
              HasSubstr("hint: log in: chorok login URL"));
  // Not every conflict is somebody else's change.
  const Error conflict{Code::kConflict, "rec-1-2-3 has expired", ""};
  EXPECT_EQ(error_text(conflict), "error: rec-1-2-3 has expired\n");
  EXPECT_THAT(error_text(conflict, {.stale = true}), HasSubstr("hint: somebody changed it"));
  EXPECT_EQ(error_text(conflict, {.stale = true, .advice = "list them"}),
            "error: rec-1-2-3 has expired\nhint: list them\n");
  EXPECT_EQ(exit_code_of({Code::kNotFound, "", ""}), exit_code::kNotFound);
  EXPECT_EQ(exit_code_of(usage_error("x", "--memory")), exit_code::kUsage);
}

}  // namespace
}  // namespace chorok::cli
