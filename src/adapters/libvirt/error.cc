#include "adapters/libvirt/error.h"

#include <fmt/format.h>
#include <libvirt/virterror.h>

#include <string>
#include <utility>

namespace chorok::adapters::libvirt {

namespace {

struct Row {
  int number;
  Code code;
};

constexpr Row kCodes[] = {
    {VIR_ERR_NO_DOMAIN, Code::kNotFound},
    {VIR_ERR_NO_DOMAIN_SNAPSHOT, Code::kNotFound},
    {VIR_ERR_NO_NETWORK, Code::kNotFound},
    {VIR_ERR_NO_DOMAIN_METADATA, Code::kNotFound},
    {VIR_ERR_DEVICE_MISSING, Code::kNotFound},
    {VIR_ERR_DOM_EXIST, Code::kAlreadyExists},
    {VIR_ERR_OPERATION_INVALID, Code::kFailedPrecondition},
    {VIR_ERR_OPERATION_DENIED, Code::kFailedPrecondition},
    {VIR_ERR_AGENT_UNRESPONSIVE, Code::kFailedPrecondition},
    {VIR_ERR_AGENT_UNSYNCED, Code::kFailedPrecondition},
    {VIR_ERR_RESOURCE_BUSY, Code::kFailedPrecondition},
    {VIR_ERR_MIGRATE_UNSAFE, Code::kFailedPrecondition},
    {VIR_ERR_CPU_INCOMPATIBLE, Code::kFailedPrecondition},
    {VIR_ERR_SNAPSHOT_REVERT_RISKY, Code::kFailedPrecondition},
    {VIR_ERR_NO_SUPPORT, Code::kUnsupported},
    {VIR_ERR_OPERATION_UNSUPPORTED, Code::kUnsupported},
    {VIR_ERR_CONFIG_UNSUPPORTED, Code::kUnsupported},
    {VIR_ERR_ARGUMENT_UNSUPPORTED, Code::kUnsupported},
    {VIR_ERR_INVALID_ARG, Code::kInvalid},
    {VIR_ERR_XML_ERROR, Code::kInvalid},
    {VIR_ERR_XML_DETAIL, Code::kInvalid},
    {VIR_ERR_XML_INVALID_SCHEMA, Code::kInvalid},
    {VIR_ERR_AUTH_FAILED, Code::kPermissionDenied},
    {VIR_ERR_ACCESS_DENIED, Code::kPermissionDenied},
    {VIR_ERR_NO_CONNECT, Code::kUnavailable},
    {VIR_ERR_INVALID_CONN, Code::kUnavailable},
    {VIR_ERR_OPERATION_TIMEOUT, Code::kTimeout},
    {VIR_ERR_OPERATION_ABORTED, Code::kCancelled},
    {VIR_ERR_NO_MEMORY, Code::kExhausted},
};

}  // namespace

Code code_of(int error_number) {
  for (const Row& row : kCodes)
    if (row.number == error_number) return row.code;
  // What is left are failures of the host or of QEMU (VIR_ERR_INTERNAL_ERROR is libvirt's word for
  // "QEMU said no"), not bugs of ours: the thing could not be done as things stand.
  return Code::kFailedPrecondition;
}

Unexpected last_error(std::string_view doing) {
  virErrorPtr error = virGetLastError();
  Code code = Code::kInternal;
  std::string text = "libvirt failed without saying why";
  if (error != nullptr && error->code != VIR_ERR_OK) {
    code = code_of(error->code);
    text = error->message == nullptr ? "no message" : error->message;
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return fail(code, doing.empty() ? text : fmt::format("{}: {}", doing, text));
}

int last_error_number() {
  virErrorPtr error = virGetLastError();
  return error == nullptr ? 0 : error->code;
}

}  // namespace chorok::adapters::libvirt
