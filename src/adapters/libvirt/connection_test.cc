// The adapter without a daemon, and with libvirt's built-in test driver.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "adapters/libvirt/libvirt_hypervisor.h"
#include "ports/real_loop.h"

namespace chorok::adapters::libvirt {
namespace {

using ::testing::HasSubstr;

class Connection : public ::testing::Test {
 protected:
  void open(const std::string& uri) {
    LibvirtOptions options;
    options.uri = uri;
    auto opened = LibvirtHypervisor::create(loop_, options);
    ASSERT_TRUE(opened) << opened.error().message;
    hypervisor_ = std::move(*opened);
  }
  template <class T, class Start>
  Result<T> await(Start start) {
    std::optional<Result<T>> answer;
    start([&](Result<T> result) { answer = std::move(result); });
    EXPECT_FALSE(answer.has_value());
    EXPECT_TRUE(loop_.run_until([&] { return answer.has_value(); }, std::chrono::seconds(20)));
    return answer ? std::move(*answer) : fail(Code::kTimeout, "never completed");
  }
  Result<std::vector<model::Instance>> list() {
    return await<std::vector<model::Instance>>(
        [&](auto done) { hypervisor_->list(std::move(done)); });
  }

  ports::RealLoop loop_;
  std::unique_ptr<LibvirtHypervisor> hypervisor_;
};

TEST_F(Connection, WithoutADaemonNothingIsKnown) {
  open("qemu+unix:///system?socket=/nowhere/libvirt-sock");
  std::vector<bool> links;
  hypervisor_->subscribe([&](const std::string&, bool connected) { links.push_back(connected); });
  auto instances = list();
  ASSERT_FALSE(instances);
  EXPECT_EQ(instances.error().code, Code::kUnavailable);
  EXPECT_THAT(instances.error().message, HasSubstr("/nowhere/libvirt-sock"));
  auto started = await<void>([&](auto done) { hypervisor_->start("x", false, std::move(done)); });
  EXPECT_EQ(started.error().code, Code::kUnavailable);
  loop_.run_until([] { return false; }, std::chrono::milliseconds(500));
  EXPECT_EQ(links, std::vector<bool>{false}) << "told once, however often it tries";
}

TEST_F(Connection, ADriverThatIsNotThereIsNamed) {
  open("hyperv://example.org/");
  auto instances = list();
  ASSERT_FALSE(instances);
  EXPECT_EQ(instances.error().code, Code::kUnsupported) << instances.error().message;
  EXPECT_THAT(instances.error().message, HasSubstr("hyperv"));
}

TEST_F(Connection, AnotherDriverIsUsedAsFarAsItGoes) {
  open("test:///default");
  auto inventory =
      await<model::HostInventory>([&](auto done) { hypervisor_->inventory(std::move(done)); });
  ASSERT_TRUE(inventory) << inventory.error().message;
  EXPECT_EQ(inventory->hypervisor, "TEST");
  EXPECT_THAT(inventory->capabilities, ::testing::Not(::testing::Contains("live-migration")));
  auto instances = list();
  ASSERT_TRUE(instances) << instances.error().message;
  ASSERT_EQ(instances->size(), 1);
  const model::Instance& instance = instances->front();
  EXPECT_EQ(instance.name, "test");
  EXPECT_EQ(instance.state, model::VmState::kOn);
  auto suspended =
      await<void>([&](auto done) { hypervisor_->suspend(instance.uuid, std::move(done)); });
  EXPECT_TRUE(suspended) << suspended.error().message;
  EXPECT_EQ(list()->front().state, model::VmState::kPaused);
  ports::MigrateRequest request;
  request.target_uri = "test:///other";
  request.target_address = "192.0.2.1";
  auto moved = await<model::MigrationStats>(
      [&](auto done) { hypervisor_->migrate(instance.uuid, request, {}, std::move(done)); });
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code, Code::kUnsupported) << moved.error().message;
  auto statistics =
      await<model::HostSample>([&](auto done) { hypervisor_->statistics(std::move(done)); });
  EXPECT_TRUE(statistics) << statistics.error().message;
}

TEST_F(Connection, ADestroyedAdapterIsSilent) {
  open("test:///default");
  bool completed = false;
  hypervisor_->list([&](Result<std::vector<model::Instance>>) { completed = true; });
  hypervisor_.reset();
  loop_.run_until([] { return false; }, std::chrono::milliseconds(200));
  EXPECT_FALSE(completed);
}

}  // namespace
}  // namespace chorok::adapters::libvirt
