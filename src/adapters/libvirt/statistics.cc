// How much the host and its domains use: one bulk call for the domains, a few files for the host.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "adapters/libvirt/calls.h"
#include "adapters/libvirt/host_load.h"

namespace chorok::adapters::libvirt {

namespace {

Duration nanoseconds(std::uint64_t value) {
  return Duration(static_cast<std::int64_t>(value));
}
Bytes bytes(std::uint64_t value) {
  return Bytes(static_cast<std::int64_t>(value));
}
Mib from_kib(std::uint64_t value) {
  return Mib(static_cast<std::int64_t>(value / 1024));
}

std::uint64_t value_of(const virTypedParameter& parameter) {
  switch (parameter.type) {
    case VIR_TYPED_PARAM_INT:
      return static_cast<std::uint64_t>(std::max(parameter.value.i, 0));
    case VIR_TYPED_PARAM_UINT:
      return parameter.value.ui;
    case VIR_TYPED_PARAM_LLONG:
      return static_cast<std::uint64_t>(std::max(parameter.value.l, 0LL));
    case VIR_TYPED_PARAM_ULLONG:
      return parameter.value.ul;
    default:
      return 0;
  }
}

// Reads one record of virConnectGetAllDomainStats in one pass: looking every name up would be
// quadratic, and vCPUs that were unplugged leave holes in the numbering.
class RecordReader {
 public:
  explicit RecordReader(Time now) : now_(now) {}

  model::VmSample read(const virDomainStatsRecord& record) {
    std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
    virDomainGetUUIDString(record.dom, uuid.data());
    sample_.uuid = uuid.data();
    sample_.life = virDomainGetID(record.dom);
    for (int i = 0; i < record.nparams; ++i) take(record.params[i]);
    sample_.state = vm_state({state_, reason_}, false);
    // Two of the kernel's counters of the same wait; which of them there is depends on its
    // settings.
    sample_.cpu_ready = nanoseconds(std::max(delay_, wait_));
    return std::move(sample_);
  }

 private:
  void take(const virTypedParameter& parameter) {
    const std::string_view name = parameter.field;
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos) return;
    const std::string_view group = name.substr(0, dot);
    const std::string_view field = name.substr(dot + 1);
    const std::uint64_t value = value_of(parameter);
    if (group == "state") return state(field, value);
    if (group == "cpu") return cpu(field, value);
    if (group == "balloon") return balloon(field, value);
    // The rest is counted: GROUP.NUMBER.FIELD, but for GROUP.current.
    if (group == "vcpu" && field == "current") {
      sample_.vcpus = static_cast<std::int32_t>(value);
      return;
    }
    const std::size_t second = field.find('.');
    if (second == std::string_view::npos) return;
    const std::string_view item = field.substr(second + 1);
    if (group == "vcpu") return vcpu(item, value);
    if (group == "block") return block(item, value);
    if (group == "net") return net(item, value);
  }
  void state(std::string_view field, std::uint64_t value) {
    if (field == "state") state_ = static_cast<int>(value);
    if (field == "reason") reason_ = static_cast<int>(value);
  }
  void cpu(std::string_view field, std::uint64_t value) {
    if (field == "time") sample_.cpu_time = nanoseconds(value);
    if (field == "user") sample_.cpu_user = nanoseconds(value);
    if (field == "system") sample_.cpu_system = nanoseconds(value);
  }
  void vcpu(std::string_view field, std::uint64_t value) {
    if (field == "time") sample_.cpu_vcpus += nanoseconds(value);
    if (field == "delay") delay_ += value;
    if (field == "wait") wait_ += value;
  }
  void balloon(std::string_view field, std::uint64_t value) {
    struct Amount {
      std::string_view name;
      Mib model::VmSample::* member;
    };
    static constexpr Amount kAmounts[] = {
        {"current", &model::VmSample::memory},
        {"maximum", &model::VmSample::memory_maximum},
        {"rss", &model::VmSample::memory_resident},
        {"available", &model::VmSample::guest_available},
        {"unused", &model::VmSample::guest_unused},
        {"usable", &model::VmSample::guest_usable},
        {"disk_caches", &model::VmSample::guest_caches},
    };
    for (const Amount& each : kAmounts)
      if (field == each.name) sample_.*each.member = from_kib(value);
    if (field == "swap_in") sample_.swap_in = bytes(value * 1024);
    if (field == "swap_out") sample_.swap_out = bytes(value * 1024);
    if (field == "last-update" && value > 0)
      sample_.guest_age = std::max(Duration{}, now_ - Time(std::chrono::seconds(value)));
  }
  void block(std::string_view field, std::uint64_t value) {
    if (field == "rd.bytes") sample_.disk_read += bytes(value);
    if (field == "wr.bytes") sample_.disk_written += bytes(value);
    if (field == "rd.reqs") sample_.disk_reads += static_cast<std::int64_t>(value);
    if (field == "wr.reqs") sample_.disk_writes += static_cast<std::int64_t>(value);
  }
  void net(std::string_view field, std::uint64_t value) {
    if (field == "rx.bytes") sample_.net_received += bytes(value);
    if (field == "tx.bytes") sample_.net_sent += bytes(value);
  }

  Time now_;
  model::VmSample sample_;
  int state_ = 0;
  int reason_ = 0;
  std::uint64_t delay_ = 0;
  std::uint64_t wait_ = 0;
};

// For drivers without bulk statistics (Xen, LXC).
Result<std::vector<model::VmSample>> samples_one_by_one(const Session& session) {
  virDomainPtr* domains = nullptr;
  int count = virConnectListAllDomains(session.conn(), &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
  if (count < 0) return last_error("cannot list the domains");
  std::vector<model::VmSample> all;
  for (int i = 0; i < count; ++i) {
    const Domain domain(domains[i]);
    virDomainInfo info{};
    if (virDomainGetInfo(domain.get(), &info) < 0 || !is_active({info.state, 0})) continue;
    model::VmSample sample;
    std::array<char, VIR_UUID_STRING_BUFLEN> uuid{};
    virDomainGetUUIDString(domain.get(), uuid.data());
    sample.uuid = uuid.data();
    sample.life = virDomainGetID(domain.get());
    sample.state = vm_state({info.state, 0}, false);
    sample.vcpus = static_cast<std::int32_t>(info.nrVirtCpu);
    sample.cpu_time = nanoseconds(info.cpuTime);
    sample.memory = from_kib(info.memory);
    sample.memory_maximum = from_kib(info.maxMem);
    all.push_back(std::move(sample));
  }
  std::free(static_cast<void*>(domains));
  return all;
}

Result<std::vector<model::VmSample>> samples(const Session& session) {
  constexpr unsigned kGroups = VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_CPU_TOTAL |
                               VIR_DOMAIN_STATS_VCPU | VIR_DOMAIN_STATS_BALLOON |
                               VIR_DOMAIN_STATS_BLOCK | VIR_DOMAIN_STATS_INTERFACE;
  constexpr unsigned kFlags =
      VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE | VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
  virDomainStatsRecordPtr* records = nullptr;
  int count = virConnectGetAllDomainStats(session.conn(), kGroups, &records, kFlags);
  if (count < 0) {
    if (last_error_number() == VIR_ERR_NO_SUPPORT) return samples_one_by_one(session);
    return last_error("cannot read the domains' statistics");
  }
  const Time now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  std::vector<model::VmSample> all;
  all.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) all.push_back(RecordReader(now).read(*records[i]));
  virDomainStatsRecordListFree(records);
  return all;
}

// QEMU asks the balloon driver only when it is told how often. What Chorok defined says so; what
// was defined before, or came from elsewhere, is told here, once. In the domain's lane: this waits
// for a migration.
void ask_for_guest_memory(const Session& session, const std::string& uuid) {
  session.core.run<void>(
      uuid, Effect::kChanges,
      [uuid](Session& inner) -> Result<> {
        Domain domain = TRY(find_domain(inner, uuid));
        // Fails where there is no balloon device, which is as good.
        virDomainSetMemoryStatsPeriod(domain.get(), kBalloonPeriodSeconds, VIR_DOMAIN_AFFECT_LIVE);
        return {};
      },
      [](const Result<>&) {});
}

}  // namespace

Result<model::HostSample> read_statistics(const Session& session) {
  model::HostSample sample =
      read_host_load(session.options.simulated_cores ? HostSlice::kCgroup : HostSlice::kMachine);
  if (session.options.simulated_memory) limit_memory(sample, *session.options.simulated_memory);
  sample.vms = TRY(samples(session));
  std::vector<std::pair<std::string, std::uint64_t>> silent;
  for (const model::VmSample& each : sample.vms)
    if (each.state == model::VmState::kOn && !each.guest_known())
      silent.emplace_back(each.uuid, each.life);
  for (const std::string& uuid : session.core.newly_silent(std::move(silent)))
    ask_for_guest_memory(session, uuid);
  return sample;
}

Result<> start_dirty_rate(const Session& session, const std::string& uuid, Duration window) {
  Domain domain = TRY(find_domain(session, uuid));
  if (!is_active(TRY(raw_state(domain.get()))))
    return fail(Code::kFailedPrecondition,
                fmt::format("'{}' does not run: it has no dirty rate", name_of(domain.get())));
  const auto whole = std::chrono::ceil<std::chrono::seconds>(window).count();
  if (virDomainStartDirtyRateCalc(domain.get(), static_cast<int>(whole), 0) < 0)
    return last_error([&] {
      return fmt::format("cannot measure the dirty rate of '{}'", name_of(domain.get()));
    });
  return {};
}

Result<std::optional<double>> read_dirty_rate(const Session& session, const std::string& uuid) {
  Domain domain = TRY(find_domain(session, uuid));
  std::array<virDomainPtr, 2> one = {domain.get(), nullptr};
  virDomainStatsRecordPtr* records = nullptr;
  int count = virDomainListGetStats(one.data(), VIR_DOMAIN_STATS_DIRTYRATE, &records, 0);
  if (count < 0) return last_error("cannot read the dirty rate");
  int status = VIR_DOMAIN_DIRTYRATE_UNSTARTED;
  std::optional<double> rate;
  if (count > 0) {
    const virDomainStatsRecord& record = *records[0];
    long long mib_s = 0;
    virTypedParamsGetInt(record.params, record.nparams, "dirtyrate.calc_status", &status);
    if (status == VIR_DOMAIN_DIRTYRATE_MEASURED &&
        virTypedParamsGetLLong(record.params, record.nparams, "dirtyrate.megabytes_per_second",
                               &mib_s) == 1)
      rate = static_cast<double>(mib_s);
  }
  virDomainStatsRecordListFree(records);
  if (!rate && status == VIR_DOMAIN_DIRTYRATE_UNSTARTED)
    return fail(Code::kUnsupported, "QEMU does not measure dirty rates here");
  return rate;
}

}  // namespace chorok::adapters::libvirt
