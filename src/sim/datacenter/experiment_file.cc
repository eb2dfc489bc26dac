#include "sim/datacenter/experiment_file.h"

#include <fmt/format.h>

#include <charconv>

#include "base/json.h"
#include "sim/datacenter/toml.h"

namespace chorok::sim::datacenter {

namespace {

constexpr Limits kPositive = {.min = 1e-9, .max = 1e12};
constexpr Limits kAmount = {.min = 0, .max = 1e12};
constexpr double kYear = 366 * 86400.0;
constexpr double kHostsMost = 100'000;
constexpr double kVmsMost = 1'000'000;

// What is left of a path, and its next name.
std::string_view next_name(std::string_view& path) {
  const std::size_t end = path.find_first_of("./");
  std::string_view name = path.substr(0, end);
  path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
  return name;
}

// A value as JSON: what reads as a number, a truth or a list stands as it is, the rest is text.
std::string as_json(const Type& type, std::string_view text) {
  switch (type.kind) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kDouble:
    case Kind::kDuration:
    case Kind::kList:
    case Kind::kStruct:
    case Kind::kMap:
      return std::string(text);
    case Kind::kOptional:
      return as_json(type.element(), text);
    default:
      return json::quoted(text);
  }
}

bool is_policy_setting(std::string_view name) {
  return ExperimentFile::type().find(name) == nullptr &&
         model::PolicySettings::type().find(name) != nullptr;
}

}  // namespace

// ---- Tables ----

const Type& enum_type(const Mode*) {
  static const Type kType = describe_enum<Mode>(
      "Mode", "Whose rules hold.",
      {{0, "honest", "VMs live on, memory is enforced, boots and idling cost"},
       {1, "compat", "CloudSim 3.0.3's released semantics, to compare with it"}});
  return kType;
}

const Type& enum_type(const MemoryRule*) {
  static const Type kType = describe_enum<MemoryRule>(
      "MemoryRule", "Which memory of a VM must fit into a host.",
      {{0, "provisioned", "what it was given"}, {1, "used", "what it uses, as the trace says"}});
  return kType;
}

const Type& HostSet::type() {
  static const Type kType =
      describe<HostSet>("HostSet", "Hosts of one kind.")
          .field("count", &HostSet::count,
                 "How many; 0, of a single set: what VMs' sizes need and a fifth more.",
                 {.min = 0, .max = kHostsMost})
          .field("curve", &HostSet::curve, "Power curve of the library, by name …")
          .field("watts", &HostSet::watts, "… or eleven watts, from idle to full load.",
                 {.min = 0, .max = 1e6, .max_count = 11})
          .field("standby_w", &HostSet::standby_w, "Watts when off.", {.min = 0, .max = 1e6})
          .field("cores", &HostSet::cores, "0: those of the machine whose curve it is.",
                 {.min = 0, .max = 4096})
          .field("core_mhz", &HostSet::core_mhz, "Of each core.",
                 {.min = 1, .max = 1e6, .required = true})
          .field("memory_mib", &HostSet::memory_mib, "Memory.",
                 {.min = 1, .max = 1e9, .required = true})
          .field("boot_s", &HostSet::boot_s, "Seconds from off to on.",
                 {.min = 0.001, .max = kYear})
          .field("boot_j", &HostSet::boot_j,
                 "Joules of a boot; 0: idle power and a sixth of what full load adds.", kAmount)
          .field("shutdown_s", &HostSet::shutdown_s, "Seconds from on to off.",
                 {.min = 0.001, .max = kYear})
          .field("shutdown_j", &HostSet::shutdown_j, "Joules of a stop; 0: at idle power.",
                 kAmount);
  return kType;
}

const Type& VmSet::type() {
  static const Type kType =
      describe<VmSet>("VmSet", "VMs of one size, in the order of the trace.")
          .field("count", &VmSet::count,
                 "How many; 0: those that are left, in equal parts with other such sets.",
                 {.min = 0, .max = kVmsMost})
          .field("mhz", &VmSet::mhz, "Of the whole VM.", {.min = 1, .max = 1e7, .required = true})
          .field("cores", &VmSet::cores,
                 "Honest mode: 0 as the trace says, and one where it does not.",
                 {.min = 0, .max = 4096})
          .field("memory_mib", &VmSet::memory_mib, "Memory it was given.",
                 {.min = 1, .max = 1e9, .required = true});
  return kType;
}

const Type& MigrationCosts::type() {
  static const Type kType =
      describe<MigrationCosts>("MigrationCosts", "What a live migration takes (honest mode).")
          .field("link_mib_s", &MigrationCosts::link_mib_s,
                 "One way of a host's link, shared by the migrations on it.", kPositive)
          .field("parallel", &MigrationCosts::parallel, "At once, in and out of one host.",
                 {.min = 1, .max = 1000})
          .field("dirty_mib_s", &MigrationCosts::dirty_mib_s,
                 "Memory that a VM at full CPU writes a second.", kAmount)
          .field("slowed", &MigrationCosts::slowed, "Part of its CPU that a VM loses meanwhile.",
                 {.min = 0, .max = 1})
          .field("load_mhz", &MigrationCosts::load_mhz, "CPU that copying takes at both ends.",
                 kAmount);
  return kType;
}

const Type& SyntheticDemand::type() {
  static const Type kType =
      describe<SyntheticDemand>("SyntheticDemand", "Demand made up from the seed.")
          .field("vms", &SyntheticDemand::vms, "How many VMs.", {.min = 1, .max = 100'000})
          .field("days", &SyntheticDemand::days, "How long.", {.min = 0.01, .max = 366})
          .field("level", &SyntheticDemand::level, "Mean share of its CPU that a VM asks for.",
                 {.min = 0.001, .max = 1});
  return kType;
}

const Type& ExperimentFile::type() {
  static const Type kType =
      describe<ExperimentFile>("Experiment", "A data centre, what it is asked for, who decides.")
          .field("name", &ExperimentFile::name, "What reports call it.")
          .field("doc", &ExperimentFile::doc, "What it is for.", {.max_length = 4096})
          .field("mode", &ExperimentFile::mode, "Whose rules hold.")
          .field("traces", &ExperimentFile::traces,
                 "File, folder or archive, seen from this file; --traces says otherwise.",
                 {.max_length = 4096})
          .field("synthetic", &ExperimentFile::synthetic, "Instead of traces.")
          .field("interval_s", &ExperimentFile::interval_s,
                 "Seconds a sample, of CSV and synthetic demand.", {.min = 1, .max = kYear})
          .field("duration_s", &ExperimentFile::duration_s, "0: as long as the traces are.",
                 {.min = 0, .max = kYear})
          .field("seed", &ExperimentFile::seed, "Of what is made up.", {.min = 0, .max = 1e15})
          .field("policy", &ExperimentFile::policy, "Who decides.", {.max_length = 64})
          .field("hosts", &ExperimentFile::hosts, "Sets of hosts.",
                 {.max_count = 32, .required = true})
          .field("vms", &ExperimentFile::vms, "Sizes of VMs, where the traces say none.",
                 {.max_count = 1000})
          .field("memory", &ExperimentFile::memory, "Which memory must fit (honest mode).")
          .field("cpu_overcommit", &ExperimentFile::cpu_overcommit,
                 "Where nobody plans, cores are sold so often at the start.",
                 {.min = 0.1, .max = 1000})
          .field("keep_vms", &ExperimentFile::keep_vms,
                 "Compat mode: a VM that asks for nothing lives on.")
          .field("migration", &ExperimentFile::migration, "What a migration takes.")
          .field("start", &ExperimentFile::start,
                 "When the trace begins, as 2026-03-01T00:00:00+09:00; without a zone on the "
                 "price's clock. Prices and CO2 that go by the hour need it.",
                 {.max_length = 40})
          .field("pue", &ExperimentFile::pue,
                 "Facility energy over IT energy (PUE); 1: not applied.", {.min = 1, .max = 5})
          .field("price", &ExperimentFile::price, "What a kWh costs.")
          .field("carbon", &ExperimentFile::carbon, "Kilograms of CO2 a kWh.")
          .field("faults", &ExperimentFile::faults, "What goes wrong, and when (honest mode).",
                 {.max_count = 100'000})
          .field("fault_rates", &ExperimentFile::fault_rates, "What goes wrong by chance.")
          .field("round_s", &ExperimentFile::round_s, "Seconds between plans; 0: one a sample.",
                 {.min = 0, .max = 86400})
          .field("settings", &ExperimentFile::settings, "What the policy goes by.");
  return kType;
}

// ---- Reading ----

Result<ExperimentFile> parse_experiment(std::string_view toml) {
  return json::decode<ExperimentFile>(TRY(toml_to_json(toml)));
}

Result<ExperimentFile> read_experiment(const std::filesystem::path& file) {
  constexpr std::uint64_t kBytesMax = 1 << 20;
  const std::string text =
      TRY(read_file(file, {.total_bytes_max = kBytesMax, .file_bytes_max = kBytesMax}));
  auto experiment = parse_experiment(text);
  if (!experiment) return std::unexpected(experiment.error().within(file.string()));
  if (!experiment->traces.empty())
    experiment->traces = (file.parent_path() / experiment->traces).string();
  for (auto* calendar : {&experiment->price, &experiment->carbon})
    if (*calendar && !(*calendar)->file.empty())
      (*calendar)->file = (file.parent_path() / (*calendar)->file).string();
  if (experiment->name.empty()) experiment->name = file.stem().string();
  return experiment;
}

Result<void> set_field(ExperimentFile& experiment, std::string_view path, std::string_view text) {
  const std::string_view whole = path;
  const Type* type = &ExperimentFile::type();
  void* object = &experiment;
  std::string pointer;
  std::string_view first = path;
  if (is_policy_setting(next_name(first))) {
    const Field* settings = type->find("settings");
    object = field_at(*settings, object);
    type = &settings->type();
    pointer = "/settings";
  }
  auto wrong = [&](std::string message) {
    return fail(Code::kInvalid, fmt::format("{}: {}", whole.substr(0, 80), message), pointer);
  };
  while (true) {
    const std::string_view name = next_name(path);
    if (type->kind == Kind::kList) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
      const std::size_t count = type->access.count(object);
      if (error != std::errc{} || end != name.data() + name.size() || index >= count)
        return wrong(fmt::format("'{}' is no place in a list of {}", name, count));
      object = const_cast<void*>(type->access.at(object, index));  // our own experiment's
      type = &type->element();
      pointer += fmt::format("/{}", index);
      if (path.empty()) return wrong("say which field of it");
      continue;
    }
    const Field* field = type->kind == Kind::kStruct ? type->find(name) : nullptr;
    const bool is_last = path.empty();
    const bool is_deeper = field != nullptr && (field->type().kind == Kind::kStruct ||
                                                field->type().kind == Kind::kList);
    if (field != nullptr && !is_last && is_deeper) {
      object = field_at(*field, object);
      type = &field->type();
      pointer += fmt::format("/{}", name);
      continue;
    }
    if (type->kind != Kind::kStruct) return wrong("there is nothing below it");
    // An optional struct is merged whole: {"synthetic": {"vms": 3}}.
    std::string patch;
    if (field != nullptr && !is_last) {
      const Type& inner =
          field->type().kind == Kind::kOptional ? field->type().element() : field->type();
      const Field* below = inner.kind == Kind::kStruct ? inner.find(path) : nullptr;
      patch = fmt::format("{{{}:{{{}:{}}}}}", json::quoted(name), json::quoted(path),
                          below != nullptr ? as_json(below->type(), text) : json::quoted(text));
    } else {
      patch = fmt::format("{{{}:{}}}", json::quoted(name),
                          field != nullptr ? as_json(field->type(), text) : "0");
    }
    auto merged = json::merge(*type, object, patch);
    if (merged) return {};
    Error error = std::move(merged).error();
    if (error.message.starts_with("not valid JSON"))
      error.message = fmt::format("'{}' is no value for it", text.substr(0, 64));
    error.field = pointer + error.field;
    return Unexpected(error.within(whole.substr(0, 80)));
  }
}

}  // namespace chorok::sim::datacenter
