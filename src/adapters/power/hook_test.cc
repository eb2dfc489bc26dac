#include "adapters/power/hook.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "adapters/power/test_support.h"

namespace chorok::adapters::power {
namespace {

using ::testing::HasSubstr;
using Command = PowerDriver::Command;

class HookSwitches : public ::testing::Test {
 protected:
  HookSwitches() {
    root.write("state", "off\n");
    script("status", "cat " + root.at("state"));
    script("on", "echo on > " + root.at("state"));
    script("off", "echo off > " + root.at("state"));
  }
  void script(const std::string& what, const std::string& body) {
    root.write("hooks.d/rack7-" + what, "#!/bin/sh\n" + body + "\n", 0755);
  }
  std::unique_ptr<PowerDriver> make() {
    return std::move(*make_hook_switch(
        {.name = "rack7", .hooks = {.folder = root.at("hooks.d"), .owner = getuid()}}));
  }
  Folder root;
};

TEST_F(HookSwitches, ScriptsSwitchAndSay) {
  auto hook = make();
  EXPECT_EQ(hook->status().value(), model::ChassisPower::kOff);
  EXPECT_TRUE(hook->send(Command::kOn));
  EXPECT_EQ(hook->status().value(), model::ChassisPower::kOn);
  EXPECT_TRUE(hook->send(Command::kOff));
  EXPECT_EQ(hook->status().value(), model::ChassisPower::kOff);
  const auto can = hook->capabilities();
  ASSERT_TRUE(can) << can.error().message;
  EXPECT_TRUE(can->on && can->off && can->cycle);
  EXPECT_FALSE(can->shutdown);
  EXPECT_EQ(hook->send(Command::kSoftOff).error().code, Code::kUnsupported);
  script("shutdown", "echo off > " + root.at("state"));
  EXPECT_TRUE(hook->send(Command::kSoftOff));
}

TEST_F(HookSwitches, WhatCannotBeToldIsNotSuccess) {
  auto hook = make();
  script("on", "echo no relay >&2; exit 3");
  EXPECT_EQ(hook->send(Command::kOn).error().code, Code::kUnknown);
  root.write("state", "perhaps\n");
  EXPECT_EQ(hook->status().error().code, Code::kUnavailable);
  EXPECT_THAT(hook->status().error().message, HasSubstr("perhaps"));
}

TEST_F(HookSwitches, NamesThatAreNoneAreRefused) {
  for (const char* name : {"", "../rack7", "a b", "a/b", "x;reboot"})
    EXPECT_EQ(make_hook_switch({.name = name, .hooks = {}}).error().code, Code::kInvalid) << name;
}

}  // namespace
}  // namespace chorok::adapters::power
