// A host's BMC, asked over HTTP.
#include <gmock/gmock.h>

#include "manager/api_test_support.h"
#include "manager/host_switching.h"
#include "sim/fake_bmc.h"

namespace chorok::manager {
namespace {

using testing::HasSubstr;

class PowerApiTest : public ApiTest {
 protected:
  struct Switches final : PowerSwitches {
    ports::PowerSwitch* find(const model::Host& host) override {
      return host.meta.name == "sol" ? bmc : nullptr;
    }
    ports::PowerSwitch* bmc = nullptr;
  };
  ServiceSettings settings() const override {
    ServiceSettings out;
    out.switches = &switches;
    return out;
  }
  void SetUp() override {
    switches.bmc = &bmc;
    ApiTest::SetUp();
    Changes changes;
    for (const char* name : {"sol", "luna"}) {
      model::Host host;
      host.meta.id = std::string("host-") + name;
      host.meta.name = name;
      host.cluster = service->engine().cluster().meta.id;
      changes.put(host);
    }
    commit(std::move(changes));
  }

  mutable Switches switches;
  sim::FakeBmc bmc{loop, {}, {.answers_in = std::chrono::milliseconds(1)}};
};

TEST_F(PowerApiTest, AsksABmcNow) {
  Reply reply = get("/hosts/sol/bmc");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.at("/chassis"), "on");
  EXPECT_EQ(reply.at("/can/off"), "true");

  bmc.stopped();
  EXPECT_EQ(get("/hosts/sol/bmc").at("/chassis"), "off");
}

TEST_F(PowerApiTest, SaysWhyThereIsNoAnswer) {
  Reply reply = get("/hosts/luna/bmc");
  EXPECT_EQ(reply.status, 409) << reply.body;
  EXPECT_THAT(reply.body, HasSubstr("chorok host bmc luna --driver"));
  EXPECT_EQ(get("/hosts/venus/bmc").status, 404);

  bmc.faults().unreachable = true;
  reply = get("/hosts/sol/bmc");
  EXPECT_EQ(reply.status, 503) << reply.body;
}

TEST_F(PowerApiTest, OnlyForOperatorsOfEverything) {
  acting = make_user("eve", "", "viewer");
  EXPECT_EQ(get("/hosts/sol/bmc").status, 403);
}

}  // namespace
}  // namespace chorok::manager
