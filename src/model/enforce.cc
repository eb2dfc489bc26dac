#include "model/enforce.h"

namespace chorok::model {
namespace {

constexpr Limits kUuid{.max_length = 64};
constexpr Limits kVms{.max_count = 20000};

}  // namespace

const Type& VmEnforcement::type() {
  static const Type kType =
      describe<VmEnforcement>("VmEnforcement", "What a VM is given while it runs.")
          .field("uuid", &VmEnforcement::uuid, "", kUuid)
          .field("shares", &VmEnforcement::shares, "CPU weight; 1000 a vCPU is normal.",
                 {.min = 0, .max = 1'000'000'000})
          .field("limit", &VmEnforcement::limit, "Of CPU; 0 is none.", {.min = 0})
          .field("memory", &VmEnforcement::memory, "0 is all of its own.", {.min = 0});
  return kType;
}

const Type& EnforceRequest::type() {
  static const Type kType = describe<EnforceRequest>("EnforceRequest", "")
                                .field("term", &EnforceRequest::term, "")
                                .field("sequence", &EnforceRequest::sequence, "")
                                .field("vms", &EnforceRequest::vms, "", kVms);
  return kType;
}

const Type& EnforceProblem::type() {
  static const Type kType = describe<EnforceProblem>("EnforceProblem", "")
                                .field("uuid", &EnforceProblem::uuid, "", kUuid)
                                .field("message", &EnforceProblem::message, "");
  return kType;
}

const Type& EnforceAnswer::type() {
  static const Type kType = describe<EnforceAnswer>("EnforceAnswer", "")
                                .field("problems", &EnforceAnswer::problems, "", kVms);
  return kType;
}

}  // namespace chorok::model
