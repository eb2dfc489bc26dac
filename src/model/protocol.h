// What the manager and an agent say to each other: JSON-RPC 2.0 over one connection that the agent
// dials. Methods are named below with their parameters and answers. Version N talks to N-1: fields
// are only added, unknown ones skipped.
#pragma once

#include <string>
#include <vector>

#include "model/host.h"
#include "model/task.h"
#include "model/telemetry.h"
#include "model/vm.h"

namespace chorok::model {

// 2: the agent sends telemetry.
inline constexpr int kProtocolVersion = 2;
inline constexpr int kProtocolOldest = 1;

// ---- agent to manager
// --------------------------------------------------------------------------------------------

// "hello" -> Welcome. First on every connection.
struct Hello {
  std::int32_t version = kProtocolVersion;
  std::int32_t oldest = kProtocolOldest;
  std::string host;  // id from its certificate; checked against it
  std::string boot_id;
  std::string agent_version;
  Time started{};          // of the agent's process, by its own clock
  std::uint64_t term = 0;  // highest it has accepted
  HostInventory inventory;
  static const Type& type();
};

// What the agent works with, from the manager; sent with Welcome and as "config" (notification)
// when it changes.
struct AgentConfig {
  std::vector<Datastore> datastores;
  std::vector<Network> networks;
  Cluster cluster;
  Duration sample_interval = std::chrono::seconds(10);  // of telemetry; 0: none
  static const Type& type();
};

struct Welcome {
  std::int32_t version = kProtocolVersion;
  std::uint64_t term = 0;
  std::string host_name;
  AgentConfig config;
  static const Type& type();
};

// "observe" (notification): what the host looks like now, whole. Sent after Welcome, after every
// change that libvirt reports (coalesced), and before "op.done" of an operation that changed
// something: the manager never sees a result whose effect it cannot see.
struct Observation {
  std::uint64_t sequence = 0;  // ascending within one connection
  bool libvirt_connected = true;
  std::string libvirt_message;
  std::vector<Instance> instances;  // meaningless when libvirt is not connected
  std::vector<DatastoreReach> datastores;
  std::vector<NetworkReach> networks;
  static const Type& type();
};

// "op.progress" (notification).
struct OpProgress {
  std::string id;
  Progress progress;
  static const Type& type();
};

// "op.done" (call) -> {}: answered when the manager has it in its store; the agent then forgets the
// operation. phase is succeeded, failed or unknown (it was interrupted by the agent's death).
struct OpDone {
  std::string id;
  OpPhase phase = OpPhase::kSucceeded;
  std::optional<Problem> error;
  TaskResult result;
  static const Type& type();
};

// "beat" (notification, every 2 s, no parameters): I am alive.

// "telemetry" (call): TelemetryBatch -> {} (model/telemetry.h). From version 2 on.

// ---- manager to agent
// --------------------------------------------------------------------------------------------

// "op.start": an Operation -> OpAccepted. Idempotent by id: an operation that it has is not begun
// again; its state is answered, and op.done follows if it is finished. kConflict when the term is
// older than one it has seen.
struct OpAccepted {
  OpPhase phase = OpPhase::kRunning;
  static const Type& type();
};

// "op.cancel": {id} -> {}: asks to stop it; op.done says what came of it.
struct OpRef {
  std::string id;
  static const Type& type();
};

// "vm.check": what stands against running this VM here -> Problems.
struct CheckRequest {
  VmTarget vm;
  std::string cpu_definition;
  static const Type& type();
};
struct Problems {
  std::vector<std::string> problems;
  static const Type& type();
};

// "vm.dirty_rate": how fast its guest writes to its memory now -> DirtyRateAnswer. Answers when the
// window, of 1 to 60 whole seconds, is over.
struct DirtyRateRequest {
  std::string uuid;
  Duration window = std::chrono::seconds(1);
  static const Type& type();
};
struct DirtyRateAnswer {
  double mib_s = 0;
  static const Type& type();
};

// "cpu.baseline": the richest CPU that all can offer.
struct BaselineRequest {
  std::vector<std::string> definitions;
  static const Type& type();
};
struct BaselineAnswer {
  std::string definition;
  std::string model;
  static const Type& type();
};

// "stream.open" -> {}: the agent opens a connection of its own to GET /agent/v1/stream/<ticket>
// (WebSocket) and joins it to what is asked for: kind "console" or "vnc" of a VM. "file.receive":
// it fetches GET /agent/v1/transfer/<ticket> and stores the body as datastore:path -> FileInfo. The
// ticket works once.
struct StreamRequest {
  std::string ticket;
  std::string kind;
  std::string uuid;
  static const Type& type();
};
struct FileRequest {
  std::string ticket;     // file.receive
  std::string datastore;  // id
  std::string path;
  std::string sha256;  // expected, hex; empty: not checked
  std::uint64_t size = 0;
  static const Type& type();
};
struct FileInfo {
  std::string path;
  std::uint64_t size = 0;
  std::string sha256;
  std::string format;
  Time modified{};
  static const Type& type();
};
// "file.list": FileRequest (datastore, path as prefix) -> FileList. "file.remove": FileRequest ->
// {}.
struct FileList {
  std::vector<FileInfo> items;
  static const Type& type();
};

// "host.standby": the host is to shut down, or to be suspended to RAM -> {}, when no VM runs there,
// nothing is under way, and what its agent has to tell is told or on the disk; it goes right after.
// kFailedPrecondition: a VM runs, or an operation; kUnsupported says what the host lacks.
struct StandbyRequest {
  std::uint64_t term = 0;
  Standby how = Standby::kOff;
  Duration wake_after = std::chrono::hours(12);  // of a suspended host
  static const Type& type();
};

// "host.prepare": the host's power is about to be taken from outside -> {}, when no VM runs there,
// nothing is under way, and what its agent has to tell is told or on the disk; it begins nothing
// from then on, for `hold` at most. The same when asked again. Of `hold` 0: the power stays, and
// operations are taken again. kFailedPrecondition: a VM runs, or may, or an operation; kExhausted:
// the disk is full.
struct PrepareRequest {
  std::uint64_t term = 0;
  Duration hold{};
  static const Type& type();
};

// ---- joining, over the API
// ---------------------------------------------------------------------------------------

struct JoinRequest {
  std::string token;
  std::string csr;  // PEM
  std::string name;
  std::string address;  // for migration streams
  static const Type& type();
};
struct JoinAnswer {
  std::string id;
  std::string certificate;
  std::string ca;
  static const Type& type();
};

}  // namespace chorok::model
