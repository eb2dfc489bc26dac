#include "policy/plan.h"

#include <gtest/gtest.h>

#include <set>

#include "base/json.h"
#include "policy/named_plan.h"

namespace chorok::policy {
namespace {

TEST(Plan, EveryWhyHasANameAndASentence) {
  const Type& type = type_of<Why>();
  std::set<std::string_view> names;
  std::set<std::string_view> sentences;
  // The last one of the list: a value added without its row is found here.
  for (int i = 0; i <= static_cast<int>(Why::kHostIsBack); ++i) {
    Why why = static_cast<Why>(i);
    EXPECT_NE(name_of(why), "?") << i;
    EXPECT_GT(sentence(why).size(), 10u) << name_of(why);
    EXPECT_TRUE(names.insert(name_of(why)).second) << name_of(why);
    EXPECT_TRUE(sentences.insert(sentence(why)).second) << sentence(why);
  }
  EXPECT_EQ(names.size(), type.values.size());
}

TEST(Plan, IsShownWithNames) {
  Snapshot s;
  s.hosts.resize(2);
  s.hosts[0].name = "sol";
  s.hosts[1].name = "luna";
  s.vms.resize(1);
  s.vms[0].name = "web1";
  Plan plan;
  plan.actions.push_back({.vm = 0,
                          .from = 0,
                          .to = 1,
                          .why = Why::kOverload,
                          .reason = "because",
                          .alternatives = {{.host = 0, .why = Why::kNoMemory, .value = 12}}});
  plan.violations.push_back({.why = Why::kRule, .host = 1, .text = "broken"});
  plan.turned_down.push_back({.why = Why::kPinned, .count = 3});
  std::string text = json::encode(named(plan, s), {.defaults = false});
  EXPECT_EQ(text,
            R"({"actions":[{"vm":"web1","from":"sol","to":"luna","why":"overload",)"
            R"("reason":"because","alternatives":[{"host":"sol","why":"no_memory","value":12}]}],)"
            R"("violations":[{"why":"rule","host":"luna","text":"broken"}],)"
            R"("turned_down":[{"why":"pinned","count":3,"sentence":"the VM may not be moved"}]})");
  EXPECT_TRUE(json::decode<NamedPlan>(text));
}

}  // namespace
}  // namespace chorok::policy
