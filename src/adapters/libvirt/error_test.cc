#include "adapters/libvirt/error.h"

#include <gtest/gtest.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

namespace chorok::adapters::libvirt {
namespace {

TEST(LibvirtError, CodesSayWhatACallerCanDo) {
  EXPECT_EQ(code_of(VIR_ERR_NO_DOMAIN), Code::kNotFound);
  EXPECT_EQ(code_of(VIR_ERR_OPERATION_INVALID), Code::kFailedPrecondition);
  EXPECT_EQ(code_of(VIR_ERR_NO_SUPPORT), Code::kUnsupported);
  EXPECT_EQ(code_of(VIR_ERR_OPERATION_TIMEOUT), Code::kTimeout);
  EXPECT_EQ(code_of(VIR_ERR_OPERATION_ABORTED), Code::kCancelled);
  EXPECT_EQ(code_of(VIR_ERR_INTERNAL_ERROR), Code::kFailedPrecondition);
}

TEST(LibvirtError, KeepsItsText) {
  EXPECT_EQ(virConnectOpen("nonsense:///here"), nullptr);
  Unexpected error = last_error("cannot connect");
  EXPECT_TRUE(error.error().message.starts_with("cannot connect: ")) << error.error().message;
  EXPECT_NE(last_error_number(), 0);
}

}  // namespace
}  // namespace chorok::adapters::libvirt
