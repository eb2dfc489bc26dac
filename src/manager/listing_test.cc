#include <boost/json.hpp>

#include "manager/api_test_support.h"
#include "manager/listing_select.h"
#include "model/host.h"

namespace chorok::manager {
namespace {

model::Vm sample() {
  model::Vm vm;
  vm.meta.name = "web1";
  vm.meta.labels = {{"app", "web"}, {"tier", "gold"}};
  vm.spec.vcpus = 4;
  vm.status.state = model::VmState::kOn;
  vm.status.ips = {"10.0.0.7", "fd00::7"};
  return vm;
}

bool labels_match(std::string_view text) {
  Selector selector;
  auto parsed = selector.add_labels(model::Vm::type(), text);
  EXPECT_TRUE(parsed) << text;
  const model::Vm vm = sample();
  return parsed && selector.matches(model::Vm::type(), &vm);
}

bool fields_match(std::string_view text) {
  Selector selector;
  auto parsed = selector.add_fields(model::Vm::type(), text);
  EXPECT_TRUE(parsed) << text;
  const model::Vm vm = sample();
  return parsed && selector.matches(model::Vm::type(), &vm);
}

TEST(Selector, Labels) {
  for (auto text : {"app=web", "app==web", "app!=db", "app", "!zone", "app in (db, web)",
                    "app notin (db,cache)", "app=web,tier=gold,!zone", "zone!=eu"})
    EXPECT_TRUE(labels_match(text)) << text;
  for (auto text : {"app=db", "app!=web", "zone", "!app", "app in (db)", "app notin (web)",
                    "app=web,tier=silver"})
    EXPECT_FALSE(labels_match(text)) << text;
  Selector selector;
  EXPECT_FALSE(selector.add_labels(model::Vm::type(), "=x"));
  EXPECT_FALSE(selector.add_labels(model::Vm::type(), "a in (b"));
  EXPECT_FALSE(selector.add_labels(model::Task::type(), "a=b")) << "tasks have no labels";
}

TEST(Selector, Fields) {
  for (auto text : {"status/state=on", "spec/vcpus=4", "spec/vcpus!=2", "status/ips=10.0.0.7",
                    "adopted=false", "meta/name=web1,status/state!=off"})
    EXPECT_TRUE(fields_match(text)) << text;
  for (auto text : {"status/state=off", "spec/vcpus=04x", "status/ips=10.0.0.8", "adopted=true"})
    EXPECT_FALSE(fields_match(text)) << text;
}

TEST(Selector, Globs) {
  EXPECT_TRUE(glob_match("web*", "web1"));
  EXPECT_TRUE(glob_match("*", ""));
  EXPECT_TRUE(glob_match("w?b*1", "web-and-1"));
  EXPECT_TRUE(glob_match("*a*b", "aab-a-b"));
  EXPECT_FALSE(glob_match("web", "web1"));
  EXPECT_FALSE(glob_match("?", ""));
  EXPECT_FALSE(glob_match("*z", "web1"));
}

TEST(Projection, NestsAsTheRecordDoes) {
  const model::Vm vm = sample();
  auto show = [&](std::string_view paths) {
    Projection projection;
    EXPECT_TRUE(projection.parse(model::Vm::type(), paths)) << paths;
    std::string out;
    projection.encode_to(out, model::Vm::type(), &vm);
    return out;
  };
  EXPECT_EQ(show("meta/name,status/state"), R"({"meta":{"name":"web1"},"status":{"state":"on"}})");
  EXPECT_EQ(show("status/ips"), R"({"status":{"ips":["10.0.0.7","fd00::7"]}})");
  EXPECT_EQ(show("status/last_migration/total"), R"({"status":{"last_migration":null}})");
  EXPECT_EQ(show("meta/labels,meta/name"),
            R"({"meta":{"labels":{"app":"web","tier":"gold"},"name":"web1"}})");
  EXPECT_EQ(show("spec/disks/name"), R"({"spec":{"disks":[]}})");
  EXPECT_EQ(show(""), json::encode(vm));
  EXPECT_EQ(show("status/ips,status"), show("status"));
}

class ListTest : public ApiTest {
 protected:
  void make(std::initializer_list<const char*> names) {
    Changes changes;
    for (const char* name : names) changes.put(vm_record(std::string("vm-") + name, name));
    commit(std::move(changes));
  }
  std::string names(const Reply& reply) {
    std::string out;
    for (const auto& item : boost::json::parse(reply.body).at("items").as_array())
      out += (out.empty() ? "" : " ") + std::string(item.at("meta").at("name").as_string());
    return out;
  }
};

TEST_F(ListTest, PagesShowOneRevision) {
  make({"a", "b", "c", "d", "e"});
  Reply first = get("/vms?limit=2");
  EXPECT_EQ(names(first), "a b");
  EXPECT_EQ(first.at("/total"), "5");
  Changes changes;
  changes.erase<model::Vm>("vm-c");
  changes.put(vm_record("vm-bb", "bb"));
  commit(std::move(changes));
  Reply second = get("/vms?limit=2&continue=" + first.at("/continue"));
  EXPECT_EQ(names(second), "c d") << "as it was at the first page";
  EXPECT_EQ(second.at("/revision"), first.at("/revision"));
  Reply third = get("/vms?limit=2&continue=" + second.at("/continue"));
  EXPECT_EQ(names(third), "e");
  EXPECT_EQ(third.at("/continue"), "");
  EXPECT_EQ(names(get("/vms?limit=0")), "a b bb d e");
}

TEST_F(ListTest, AListThatIsGoneIsGone) {
  make({"a", "b"});
  Reply gone = get("/vms?continue=nosuchlist.2");
  EXPECT_EQ(gone.status, 410);
  EXPECT_EQ(get("/vms?continue=rubbish").status, 400);
  const std::string next = get("/vms?limit=1").at("/continue");
  EXPECT_EQ(get("/hosts?continue=" + next).status, 410) << "of another kind";
  acting = make_user("vic", "", "viewer");
  EXPECT_EQ(get("/vms?continue=" + next).status, 410) << "of another user";
  acting.clear();
  for (int i = 0; i < 64; ++i) get("/vms?limit=1");
  EXPECT_EQ(get("/vms?continue=" + next).status, 410) << "no more than 64 are kept";
}

TEST_F(ListTest, SortsAndSelects) {
  make({"web1", "web2", "db1"});
  EXPECT_EQ(names(get("/vms")), "db1 web1 web2") << "by name unless asked otherwise";
  EXPECT_EQ(names(get("/vms?sort=-meta/name")), "web2 web1 db1");
  EXPECT_EQ(names(get("/vms?name=web*")), "web1 web2");
  EXPECT_EQ(names(get("/vms?field=meta/name!%3Dweb1&field=meta/name!%3Ddb1")), "web2");
  EXPECT_EQ(get("/vms?name=nothing").at("/items"), "[]");
}

TEST_F(ListTest, RowsFollowTheirRecords) {
  make({"a", "b"});
  const std::string path = "/vms?fields=meta/notes";
  EXPECT_EQ(get(path).at("/items"), R"([{"meta":{"notes":""}},{"meta":{"notes":""}}])");
  EXPECT_EQ(call("PATCH", "/vms/b", R"({"meta":{"notes":"new"}})").status, 200);
  EXPECT_EQ(get(path).at("/items"), R"([{"meta":{"notes":""}},{"meta":{"notes":"new"}}])");
}

}  // namespace
}  // namespace chorok::manager
