#include "model/protocol.h"

namespace chorok::model {
namespace {

constexpr Limits kMany{.max_length = 1024, .max_count = 20000};
constexpr Limits kPem{.max_length = 65536};

}  // namespace

const Type& Hello::type() {
  static const Type kType = describe<Hello>("Hello", "")
                                .field("version", &Hello::version, "")
                                .field("oldest", &Hello::oldest, "")
                                .field("host", &Hello::host, "")
                                .field("boot_id", &Hello::boot_id, "")
                                .field("agent_version", &Hello::agent_version, "")
                                .field("started", &Hello::started, "Of the agent's process.")
                                .field("term", &Hello::term, "")
                                .field("inventory", &Hello::inventory, "");
  return kType;
}
const Type& AgentConfig::type() {
  static const Type kType = describe<AgentConfig>("AgentConfig", "")
                                .field("datastores", &AgentConfig::datastores, "", kMany)
                                .field("networks", &AgentConfig::networks, "", kMany)
                                .field("cluster", &AgentConfig::cluster, "")
                                .field("sample_interval", &AgentConfig::sample_interval, "");
  return kType;
}
const Type& Welcome::type() {
  static const Type kType = describe<Welcome>("Welcome", "")
                                .field("version", &Welcome::version, "")
                                .field("term", &Welcome::term, "")
                                .field("host_name", &Welcome::host_name, "")
                                .field("config", &Welcome::config, "");
  return kType;
}
const Type& Observation::type() {
  static const Type kType = describe<Observation>("Observation", "")
                                .field("sequence", &Observation::sequence, "")
                                .field("libvirt_connected", &Observation::libvirt_connected, "")
                                .field("libvirt_message", &Observation::libvirt_message, "", kMany)
                                .field("instances", &Observation::instances, "", kMany)
                                .field("datastores", &Observation::datastores, "", kMany)
                                .field("networks", &Observation::networks, "", kMany);
  return kType;
}
const Type& OpProgress::type() {
  static const Type kType = describe<OpProgress>("OpProgress", "")
                                .field("id", &OpProgress::id, "")
                                .field("progress", &OpProgress::progress, "");
  return kType;
}
const Type& OpDone::type() {
  static const Type kType = describe<OpDone>("OpDone", "")
                                .field("id", &OpDone::id, "")
                                .field("phase", &OpDone::phase, "")
                                .field("error", &OpDone::error, "")
                                .field("result", &OpDone::result, "");
  return kType;
}
const Type& OpAccepted::type() {
  static const Type kType =
      describe<OpAccepted>("OpAccepted", "").field("phase", &OpAccepted::phase, "");
  return kType;
}
const Type& OpRef::type() {
  static const Type kType = describe<OpRef>("OpRef", "").field("id", &OpRef::id, "");
  return kType;
}
const Type& CheckRequest::type() {
  static const Type kType = describe<CheckRequest>("CheckRequest", "")
                                .field("vm", &CheckRequest::vm, "")
                                .field("cpu_definition", &CheckRequest::cpu_definition, "", kPem);
  return kType;
}
const Type& Problems::type() {
  static const Type kType =
      describe<Problems>("Problems", "").field("problems", &Problems::problems, "", kMany);
  return kType;
}
const Type& DirtyRateRequest::type() {
  static const Type kType = describe<DirtyRateRequest>("DirtyRateRequest", "")
                                .field("uuid", &DirtyRateRequest::uuid, "")
                                .field("window", &DirtyRateRequest::window, "");
  return kType;
}
const Type& DirtyRateAnswer::type() {
  static const Type kType =
      describe<DirtyRateAnswer>("DirtyRateAnswer", "").field("mib_s", &DirtyRateAnswer::mib_s, "");
  return kType;
}
const Type& BaselineRequest::type() {
  static const Type kType = describe<BaselineRequest>("BaselineRequest", "")
                                .field("definitions", &BaselineRequest::definitions, "",
                                       {.max_length = 65536, .max_count = 1000});
  return kType;
}
const Type& BaselineAnswer::type() {
  static const Type kType = describe<BaselineAnswer>("BaselineAnswer", "")
                                .field("definition", &BaselineAnswer::definition, "", kPem)
                                .field("model", &BaselineAnswer::model, "");
  return kType;
}
const Type& StreamRequest::type() {
  static const Type kType = describe<StreamRequest>("StreamRequest", "")
                                .field("ticket", &StreamRequest::ticket, "")
                                .field("kind", &StreamRequest::kind, "")
                                .field("uuid", &StreamRequest::uuid, "");
  return kType;
}
const Type& FileRequest::type() {
  static const Type kType =
      describe<FileRequest>("FileRequest", "")
          .field("ticket", &FileRequest::ticket, "")
          .field("datastore", &FileRequest::datastore, "")
          .field("path", &FileRequest::path, "", {.max_length = 512, .pattern = Pattern::kPath})
          .field("sha256", &FileRequest::sha256, "")
          .field("size", &FileRequest::size, "");
  return kType;
}
const Type& FileInfo::type() {
  static const Type kType = describe<FileInfo>("FileInfo", "A file of a datastore.")
                                .field("path", &FileInfo::path, "", {.max_length = 512})
                                .field("size", &FileInfo::size, "Bytes.")
                                .field("sha256", &FileInfo::sha256, "")
                                .field("format", &FileInfo::format, "")
                                .field("modified", &FileInfo::modified, "");
  return kType;
}
const Type& FileList::type() {
  static const Type kType =
      describe<FileList>("FileList", "").field("items", &FileList::items, "", kMany);
  return kType;
}
const Type& StandbyRequest::type() {
  static const Type kType = describe<StandbyRequest>("StandbyRequest", "")
                                .field("term", &StandbyRequest::term, "")
                                .field("how", &StandbyRequest::how, "")
                                .field("wake_after", &StandbyRequest::wake_after, "");
  return kType;
}
const Type& PrepareRequest::type() {
  static const Type kType = describe<PrepareRequest>("PrepareRequest", "")
                                .field("term", &PrepareRequest::term, "")
                                .field("hold", &PrepareRequest::hold, "");
  return kType;
}
const Type& JoinRequest::type() {
  static const Type kType =
      describe<JoinRequest>("JoinRequest", "A host asks to be let in.")
          .field("token", &JoinRequest::token, "From `chorok token create --purpose host`.",
                 {.max_length = 512, .required = true, .secret = true})
          .field("csr", &JoinRequest::csr, "Certificate request, PEM.",
                 {.max_length = 16384, .required = true})
          .field("name", &JoinRequest::name, "",
                 {.max_length = 63, .pattern = Pattern::kName, .required = true})
          .field("address", &JoinRequest::address, "For migration streams.", {.max_length = 63});
  return kType;
}
const Type& JoinAnswer::type() {
  static const Type kType = describe<JoinAnswer>("JoinAnswer", "The host's identity.")
                                .field("id", &JoinAnswer::id, "")
                                .field("certificate", &JoinAnswer::certificate, "PEM.", kPem)
                                .field("ca", &JoinAnswer::ca, "PEM.", kPem);
  return kType;
}

}  // namespace chorok::model
