// For tests: clusters, pools and rules as people ask for them, over real agents on fake hosts,
// three of 20,000 MHz and 32 GiB.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "manager/seeds_cluster.h"

namespace chorok::manager {

class ClusterRequests : public ::testing::Test {
 protected:
  ClusterRequests() : c(1, 3, {}) {
    c.loop().advance_until([&] { return c.all_connected(); }, std::chrono::seconds(30));
    c.loop().run_for(std::chrono::seconds(1));
  }
  const Inventory& inventory() { return c.inventory(); }
  Result<std::string> create(std::string_view kind, const std::string& body) {
    return c.ask([&](Answered done) {
      c.manager->requests.create(c.admin(), kind, body, false, {}, std::move(done));
    });
  }
  Result<std::string> patch(std::string_view kind, const std::string& ref,
                            const std::string& body) {
    return c.ask([&](Answered done) {
      c.manager->requests.patch(c.admin(), kind, ref, body, {}, std::move(done));
    });
  }
  Result<std::string> remove(std::string_view kind, const std::string& ref,
                             model::TaskArgs args = {}) {
    return c.ask([&](Answered done) {
      c.manager->requests.remove(c.admin(), kind, ref, std::move(args), {}, std::move(done));
    });
  }
  // Asserts that it is refused, and answers "FIELD: MESSAGE".
  static std::string refusal(const Result<std::string>& asked) {
    EXPECT_FALSE(asked);
    return asked ? "" : asked.error().field + ": " + asked.error().message;
  }
  void make(std::string_view kind, const std::string& body) {
    const auto made = create(kind, body);
    EXPECT_TRUE(made) << refusal(made);
  }
  void change(std::string_view kind, const std::string& ref, const std::string& body) {
    const auto changed = patch(kind, ref, body);
    EXPECT_TRUE(changed) << refusal(changed);
  }
  void done(const Result<std::string>& asked) {
    ASSERT_TRUE(asked) << refusal(asked);
    const model::Task task = c.wait(*asked);
    c.loop().run_for(std::chrono::seconds(2));
    EXPECT_EQ(task.state, model::TaskState::kSucceeded) << task.kind << ": " << task.message;
  }
  auto pool(std::string_view name) { return inventory().pools().find_name(name); }
  auto rule(std::string_view name) { return inventory().rules().find_name(name); }
  std::string host_of(std::string_view vm) {
    return inventory().hosts().find(c.vm(vm)->host)->meta.name;
  }

  SeedsCluster c;
};

}  // namespace chorok::manager
