#include "adapters/work/process.h"

#include <gtest/gtest.h>

#include <chrono>

namespace chorok::adapters::work {
namespace {

TEST(Process, TellsHowItEnded) {
  StopFlag stop;
  ProcessLimits limits{.silence = std::chrono::seconds(10)};
  auto result = run_process({"sh", "-c", "echo out; echo err >&2; exit 3"}, limits, stop);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "out\n");
  EXPECT_EQ(result->errors, "err\n");
  EXPECT_EQ(run_process({"/nowhere/program"}, limits, stop).error().code, Code::kUnavailable);
  limits.silence = std::chrono::milliseconds(50);
  EXPECT_EQ(run_process({"sleep", "100"}, limits, stop).error().code, Code::kTimeout);
  limits = {.silence = std::chrono::seconds(10), .max_output = 10};
  EXPECT_EQ(run_process({"seq", "1000"}, limits, stop)->output.size(), 10);
  stop.set();
  EXPECT_EQ(run_process({"true"}, limits, stop).error().code, Code::kCancelled);
}

TEST(Process, ReadsWhatItIsGivenAndNotFromItsArguments) {
  StopFlag stop;
  ProcessLimits limits{.total = std::chrono::seconds(10)};
  auto result = run_process({"cat"}, limits, stop, {}, "a secret\n");
  ASSERT_TRUE(result);
  EXPECT_EQ(result->output, "a secret\n");
  // ipmitool opens it by name.
  EXPECT_EQ(run_process({"cat", "/dev/stdin"}, limits, stop, {}, "again")->output, "again");
  std::string large(1 << 20, 'x');  // more than a pipe holds, for one that does not read
  EXPECT_EQ(run_process({"true"}, limits, stop, {}, large)->exit_code, 0);
}

TEST(Process, ATotalBoundEndsWhatNeverIsSilentAndWhatClosedItsOutput) {
  StopFlag stop;
  ProcessLimits limits{.total = std::chrono::milliseconds(200), .max_output = 100};
  auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(run_process({"yes"}, limits, stop).error().code, Code::kTimeout);
  EXPECT_EQ(run_process({"sh", "-c", "exec >&- 2>&-; sleep 100"}, limits, stop).error().code,
            Code::kTimeout);
  // A grandchild that keeps the pipe is in the same process group.
  EXPECT_EQ(run_process({"sh", "-c", "sleep 100 & exit 0"}, limits, stop).error().code,
            Code::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
}

}  // namespace
}  // namespace chorok::adapters::work
