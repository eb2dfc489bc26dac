#include "adapters/power/sleep.h"

#include <unistd.h>

#include "adapters/power/test_support.h"

namespace chorok::adapters::power {
namespace {

struct Hooks {
  Folder root;
  work::StopFlag stop;
  HookOptions options() const { return {.folder = root.at("hooks.d"), .owner = getuid()}; }
  Hooks() {
    root.write("hooks.d/socket-off", "#!/bin/sh\necho off \"$#\"\n", 0755);
    root.write("hooks.d/fails", "#!/bin/sh\necho no relay >&2\nexit 3\n", 0755);
    root.write("outside", "#!/bin/sh\necho outside\n", 0755);
  }
  Result<std::string> run(std::string_view name) { return run_hook(options(), name, stop); }
  Code code(std::string_view name) {
    auto ran = run(name);
    return ran ? Code::kInternal : ran.error().code;
  }
};

TEST(Hook, RunsAScriptByItsNameAlone) {
  Hooks hooks;
  EXPECT_EQ(hooks.run("socket-off").value(), "off 0\n");
  auto failed = hooks.run("fails");
  EXPECT_EQ(failed.error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(failed.error().message.contains("no relay"));
  EXPECT_EQ(hooks.code("missing"), Code::kNotFound);
  for (const char* bad :
       {"", "../outside", "socket-off; reboot", "/bin/sh", "-x", ".hidden", "a b"})
    EXPECT_EQ(hooks.code(bad), Code::kInvalid) << bad;
}

TEST(Hook, OnlyWhatRootAloneCanChange) {
  Hooks hooks;
  symlink(hooks.root.at("outside").c_str(), hooks.root.at("hooks.d/link").c_str());
  EXPECT_EQ(hooks.code("link"), Code::kPermissionDenied);
  chmod(hooks.root.at("hooks.d/socket-off").c_str(), 0775);
  EXPECT_EQ(hooks.code("socket-off"), Code::kPermissionDenied);
  chmod(hooks.root.at("hooks.d/socket-off").c_str(), 0755);
  chmod(hooks.root.at("hooks.d").c_str(), 0777);
  EXPECT_EQ(hooks.code("socket-off"), Code::kPermissionDenied);
  chmod(hooks.root.at("hooks.d").c_str(), 0755);
  HookOptions others = hooks.options();
  others.owner = getuid() + 1;
  EXPECT_EQ(run_hook(others, "socket-off", hooks.stop).error().code, Code::kPermissionDenied);
  hooks.root.write("hooks.d/plain", "#!/bin/sh\n", 0644);
  EXPECT_EQ(hooks.code("plain"), Code::kPermissionDenied);
}

TEST(Suspend, SetsTheTimerBeforeItSleeps) {
  Folder root;
  SuspendOptions options{.state = root.at("state"), .rtc = root.at("rtc0")};
  EXPECT_EQ(suspend(options, std::chrono::minutes(1)).error().code, Code::kUnsupported);
  root.write("state", "freeze disk\n");
  root.write("rtc0/wakealarm", "\n");
  EXPECT_EQ(can_suspend(options).error().code, Code::kUnsupported);
  root.write("state", "freeze mem disk\n");
  EXPECT_TRUE(can_suspend(options));
  EXPECT_EQ(suspend(options, Duration{}).error().code, Code::kInvalid);
  EXPECT_TRUE(root.read("state").starts_with("freeze"));
  ASSERT_TRUE(suspend(options, std::chrono::milliseconds(89'500)));
  EXPECT_TRUE(root.read("rtc0/wakealarm").starts_with("+90"));
  EXPECT_TRUE(root.read("state").starts_with("mem"));
}

}  // namespace
}  // namespace chorok::adapters::power
