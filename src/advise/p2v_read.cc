// Lists of servers out of CSV: our own columns, or what RVTools exports.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <span>

#include "advise/p2v.h"
#include "sim/datacenter/archive.h"
#include "sim/datacenter/curves.h"

namespace chorok::advise {

namespace {

constexpr std::string_view kAssumedCurve = "spec-median-2017";  // of servers that are replaced now
constexpr std::size_t kNoColumn = static_cast<std::size_t>(-1);
constexpr std::size_t kShown = 40;  // bytes of a cell in a message
constexpr double kPartsOfAMachineMost = 1000;

// ---- CSV ----

class Csv {
 public:
  Csv(std::string_view text, std::string_view source, const P2vLimits& limits)
      : rest_(text), source_(source), limits_(limits) {
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);  // Excel's mark of UTF-8
    const std::string_view header = rest_.substr(0, rest_.find('\n'));
    separator_ = header.contains(',') || !header.contains(';') ? ',' : ';';
  }

  // The next row that is not empty, or false at the end.
  Result<bool> next(std::vector<std::string>& cells) {
    do {
      if (rest_.empty()) return false;
      cells.clear();
      line_ = next_line_;
      TRY(row(cells));
    } while (cells.size() == 1 && cells[0].empty());
    return true;
  }
  std::size_t line() const { return line_; }

  Unexpected wrong(std::size_t column, std::string_view what) const {
    return fail(Code::kInvalid, fmt::format("{}:{}:{}: {}", source_, line_, column + 1, what));
  }

 private:
  Result<void> row(std::vector<std::string>& cells) {
    while (true) {
      if (cells.size() >= limits_.columns_max)
        return wrong(cells.size(),
                     fmt::format("more than {} columns; export fewer", limits_.columns_max));
      cells.push_back(TRY(cell(cells.size())));
      if (rest_.empty()) return {};
      const char end = rest_.front();
      rest_.remove_prefix(1);
      if (end == separator_) continue;
      ++next_line_;
      return {};
    }
  }

  // Up to the separator, line end or end of text, which stays.
  Result<std::string> cell(std::size_t column) {
    if (!rest_.starts_with('"')) {
      const std::size_t end = std::min(rest_.find(separator_), rest_.find('\n'));
      std::string_view text = rest_.substr(0, end);
      rest_.remove_prefix(text.size());
      while (text.ends_with('\r') || text.ends_with(' ')) text.remove_suffix(1);
      while (text.starts_with(' ')) text.remove_prefix(1);
      return std::string(text);
    }
    rest_.remove_prefix(1);
    std::string out;
    while (true) {
      const std::size_t quote = rest_.find('"');
      if (quote == std::string_view::npos)
        return wrong(column, "a quote is opened and not closed; close it");
      out += rest_.substr(0, quote);
      next_line_ += static_cast<std::size_t>(std::ranges::count(rest_.substr(0, quote), '\n'));
      rest_.remove_prefix(quote + 1);
      if (!rest_.starts_with('"')) break;
      out += '"';
      rest_.remove_prefix(1);
    }
    if (rest_.starts_with('\r')) rest_.remove_prefix(1);
    if (!rest_.empty() && rest_.front() != separator_ && rest_.front() != '\n')
      return wrong(column, "text after the closing quote; double the quotes inside a cell");
    return out;
  }

  std::string_view rest_;
  std::string_view source_;
  const P2vLimits& limits_;
  char separator_ = ',';
  std::size_t line_ = 1;
  std::size_t next_line_ = 1;
};

// ---- Columns by name ----

struct ColumnSpec {
  std::string_view name;
  std::string_view other;  // the name RVTools gives when it exports without a person; may be empty
  bool needed;
};

// RVTools 3.9 to 4.x; the names in the middle are those of its command line exports.
enum PlainColumn : std::uint8_t { kName, kCores, kMhz, kMemory, kCpu, kUsed, kIdle, kFull, kUnits };
constexpr std::array<ColumnSpec, 9> kPlain = {{{"name", "", true},
                                               {"cores", "", true},
                                               {"mhz", "", true},
                                               {"memory_mib", "", true},
                                               {"cpu_percent", "", true},
                                               {"memory_used_mib", "", false},
                                               {"watts_idle", "", false},
                                               {"watts_full", "", false},
                                               {"rack_units", "", false}}};
enum HostColumn : std::uint8_t {
  kHost,
  kSpeed,
  kHostCores,
  kHostMemory,
  kCpuUsage,
  kMemoryUsage,
  kVms
};
constexpr std::array<ColumnSpec, 7> kHostSheet = {
    {{"Host", "vHostName", true},
     {"Speed", "vHostCpuMhz", true},
     {"# Cores", "vHostNumCpuCores", true},
     {"# Memory", "vHostMemorySize", true},
     {"CPU usage %", "vHostOverallCpuUsage", true},
     {"Memory usage %", "vHostOverallMemoryUsage", true},
     {"# VMs", "vHostVMs", false}}};
enum InfoColumn : std::uint8_t {
  kVm,
  kPower,
  kTemplate,
  kPlaceholder,
  kVmCpus,
  kVmMemory,
  kVmHost
};
constexpr std::array<ColumnSpec, 7> kInfoSheet = {
    {{"VM", "vInfoVMName", true},
     {"Powerstate", "vInfoPowerstate", true},
     {"Template", "vInfoTemplate", false},
     {"SRM Placeholder", "vInfoSRMPlaceholder", false},
     {"CPUs", "vInfoCPUs", true},
     {"Memory", "vInfoMemory", true},
     {"Host", "vInfoHost", true}}};

// Where the columns of a sheet stand, and the cells of one row by them.
class Sheet {
 public:
  Sheet(Csv& csv, std::span<const ColumnSpec> columns) : csv_(csv), columns_(columns) {}

  Result<void> header(const std::vector<std::string>& cells, bool others_too) {
    places_.assign(columns_.size(), kNoColumn);
    for (std::size_t at = 0; at < cells.size(); ++at) {
      const auto known = std::ranges::find_if(columns_, [&](const ColumnSpec& column) {
        return column.name == cells[at] || (!column.other.empty() && column.other == cells[at]);
      });
      if (known != columns_.end()) {
        std::size_t& place = places_[static_cast<std::size_t>(known - columns_.begin())];
        if (place != kNoColumn)
          return csv_.wrong(at, fmt::format("column '{}' is there twice; keep one", known->name));
        place = at;
      } else if (!others_too) {
        return csv_.wrong(at, fmt::format("column '{}' is unknown; there are {}, or a sheet vHost "
                                          "or vInfo of RVTools",
                                          cells[at].substr(0, kShown), names(false)));
      }
    }
    for (std::size_t i = 0; i < columns_.size(); ++i)
      if (columns_[i].needed && places_[i] == kNoColumn)
        return csv_.wrong(0, fmt::format("there is no column '{}'; needed are {}", columns_[i].name,
                                         names(true)));
    return {};
  }

  bool has(std::size_t column) const { return places_[column] != kNoColumn; }
  std::string_view text(const std::vector<std::string>& cells, std::size_t column) const {
    const std::size_t at = places_[column];
    return at < cells.size() ? std::string_view(cells[at]) : std::string_view();
  }
  Result<std::string> name(const std::vector<std::string>& cells, std::size_t column) const {
    const std::string_view value = text(cells, column);
    if (value.empty())
      return csv_.wrong(places_[column], fmt::format("no {}; give one", columns_[column].name));
    return std::string(value.substr(0, 256));
  }
  Result<double> amount(const std::vector<std::string>& cells, std::size_t column, double least,
                        double most) const {
    const std::string_view value = text(cells, column);
    double number = 0;
    auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || !(number >= least) ||
        !(number <= most))
      return csv_.wrong(places_[column],
                        fmt::format("{} is '{}'; write a number from {:g} to {:g}, without signs "
                                    "between its digits",
                                    columns_[column].name, value.substr(0, kShown), least, most));
    return number;
  }
  // RVTools writes these without a point: one would be a thousands sign of the spreadsheet between.
  Result<double> whole(const std::vector<std::string>& cells, std::size_t column, double least,
                       double most) const {
    const std::string_view value = text(cells, column);
    if (value.contains('.'))
      return csv_.wrong(places_[column],
                        fmt::format("{} is '{}'; write a whole number, without signs between its "
                                    "digits",
                                    columns_[column].name, value.substr(0, kShown)));
    return amount(cells, column, least, most);
  }
  // Where the column or the cell is empty, `otherwise`.
  Result<double> amount_or(const std::vector<std::string>& cells, std::size_t column, double least,
                           double most, double otherwise) const {
    if (text(cells, column).empty()) return otherwise;
    return amount(cells, column, least, most);
  }

 private:
  std::string names(bool needed) const {
    std::string out;
    for (const ColumnSpec& column : columns_)
      if (column.needed || !needed)
        out += fmt::format("{}{}", out.empty() ? "" : ", ", column.name);
    return out;
  }

  Csv& csv_;
  std::span<const ColumnSpec> columns_;
  std::vector<std::size_t> places_;
};

constexpr double kCoresMost = 4096;
// Below these a server is not one: its GHz or GiB were written where MHz or MiB are asked for.
constexpr double kMhzLeast = 100;
constexpr double kMibLeast = 256;
constexpr double kMhzMost = 20'000;
constexpr double kMibMost = 256.0 * 1024 * 1024;
constexpr double kWattsMost = 100'000;
constexpr double kUnitsMost = 100;

double assumed_watts(double load) {
  return sim::datacenter::known_curve(kAssumedCurve).curve.at(load);
}

// ---- The three kinds of file ----

class Reader {
 public:
  Reader(Csv& csv, double vcpu_percent, const P2vLimits& limits, Fleet& fleet)
      : csv_(csv), vcpu_share_(vcpu_percent / 100), limits_(limits), fleet_(fleet) {}

  Result<void> read() {
    std::vector<std::string> cells;
    if (!TRY(csv_.next(cells))) return csv_.wrong(0, "nothing in it; give a header and servers");
    const auto has = [&](const ColumnSpec& column) {
      return std::ranges::any_of(cells, [&](const std::string& cell) {
        return cell == column.name || cell == column.other;
      });
    };
    if (has(kHostSheet[kCpuUsage]) || has(kHostSheet[kHostCores])) {
      fleet_.format = "RVTools vHost";
      TRY(rows(kHostSheet, cells, true, &Reader::take_host));
    } else if (has(kInfoSheet[kPower])) {
      fleet_.format = "RVTools vInfo";
      TRY(rows(kInfoSheet, cells, true, &Reader::take_vm));
    } else {
      fleet_.format = "plain";
      TRY(rows(kPlain, cells, false, &Reader::take_plain));
    }
    if (fleet_.loads.empty()) return csv_.wrong(0, "no server in it that is on; give one");
    tell();
    return {};
  }

 private:
  using Take = Result<void> (Reader::*)(const Sheet&, const std::vector<std::string>&);

  Result<void> rows(std::span<const ColumnSpec> columns, std::vector<std::string>& cells,
                    bool others_too, Take take) {
    Sheet sheet(csv_, columns);
    TRY(sheet.header(cells, others_too));
    std::size_t count = 0;
    while (TRY(csv_.next(cells))) {
      if (++count > limits_.rows_max)
        return csv_.wrong(0, fmt::format("more than {} rows; split the file", limits_.rows_max));
      TRY((this->*take)(sheet, cells));
    }
    return {};
  }

  Result<void> take_plain(const Sheet& sheet, const std::vector<std::string>& cells) {
    const std::string name = TRY(sheet.name(cells, kName));
    TRY(once(name));
    const double cores = TRY(sheet.amount(cells, kCores, 1, kCoresMost));
    const double mhz = TRY(sheet.amount(cells, kMhz, kMhzLeast, kMhzMost));
    const double memory = TRY(sheet.amount(cells, kMemory, kMibLeast, kMibMost));
    const double load = TRY(sheet.amount(cells, kCpu, 0, 100)) / 100;
    const double used = TRY(sheet.amount_or(cells, kUsed, 0, memory, -1));
    const double idle = TRY(sheet.amount_or(cells, kIdle, 0, kWattsMost, -1));
    const double full = TRY(sheet.amount_or(cells, kFull, 0, kWattsMost, -1));
    const double units = TRY(sheet.amount_or(cells, kUnits, 0, kUnitsMost, -1));
    // Half a pair of watts is not taken for a pair.
    const bool watts_known = idle >= 0 && full >= idle;
    watts_assumed_ += !watts_known;
    units_assumed_ += units < 0;
    used_assumed_ += used < 0;
    fleet_.machines.push_back(
        {.name = name,
         .watts = watts_known ? idle + (full - idle) * load : assumed_watts(load),
         .rack_units = units < 0 ? 1 : units});
    fleet_.loads.push_back({.name = name,
                            .machine = fleet_.machines.size() - 1,
                            .cpu_mhz = cores * mhz * load,
                            .memory_mib = memory,
                            .used_mib = used < 0 ? memory : used});
    return {};
  }

  Result<void> take_host(const Sheet& sheet, const std::vector<std::string>& cells) {
    const std::string name = TRY(sheet.name(cells, kHost));
    TRY(once(name));
    const double mhz = TRY(sheet.whole(cells, kSpeed, kMhzLeast, kMhzMost));
    const double cores = TRY(sheet.whole(cells, kHostCores, 1, kCoresMost));
    const double memory = TRY(sheet.whole(cells, kHostMemory, kMibLeast, kMibMost));
    const double load = TRY(sheet.amount(cells, kCpuUsage, 0, 100)) / 100;
    const double used = TRY(sheet.amount(cells, kMemoryUsage, 0, 100)) / 100;
    const double vms = TRY(sheet.amount_or(cells, kVms, 0, 1e6, 1));
    const double parts = std::clamp(vms, 1.0, kPartsOfAMachineMost);
    ++watts_assumed_;
    ++units_assumed_;
    fleet_.machines.push_back({.name = name, .watts = assumed_watts(load)});
    if (fleet_.loads.size() + static_cast<std::size_t>(parts) > limits_.parts_max)
      return csv_.wrong(0, fmt::format("more than {} VMs; split the file", limits_.parts_max));
    for (double part = 0; part < parts; ++part)
      fleet_.loads.push_back({.name = name,
                              .machine = fleet_.machines.size() - 1,
                              .cpu_mhz = cores * mhz * load / parts,
                              .memory_mib = memory / parts,
                              .used_mib = memory * used / parts});
    return {};
  }

  Result<void> take_vm(const Sheet& sheet, const std::vector<std::string>& cells) {
    const std::string_view state = sheet.text(cells, kPower);
    const auto is_true = [&](InfoColumn column) {
      const std::string_view value = sheet.text(cells, column);
      return value == "True" || value == "TRUE" || value == "true";
    };
    // A placeholder of Site Recovery stands for a VM that runs elsewhere.
    if (state != "poweredOn" || is_true(kTemplate) || is_true(kPlaceholder)) {
      ++not_on_;
      return {};
    }
    const std::string host = TRY(sheet.name(cells, kVmHost));
    const double cpus = TRY(sheet.whole(cells, kVmCpus, 1, kCoresMost));
    const double memory = TRY(sheet.whole(cells, kVmMemory, 1, kMibMost));
    auto [known, fresh] = machine_.emplace(host, fleet_.machines.size());
    if (fresh) {
      fleet_.machines.push_back({.name = host, .watts = assumed_watts(0)});
      ++units_assumed_;
      ++watts_assumed_;
    }
    fleet_.loads.push_back({.name = TRY(sheet.name(cells, kVm)),
                            .machine = known->second,
                            .cores = cpus * vcpu_share_,
                            .memory_mib = memory,
                            .used_mib = memory});
    return {};
  }

  Result<void> once(const std::string& name) {
    if (machine_.emplace(name, 0).second) return {};
    return csv_.wrong(0, fmt::format("server '{}' is there twice; keep one row", name));
  }

  void tell() {
    auto& notes = fleet_.notes;
    const auto& curve = sim::datacenter::known_curve(kAssumedCurve);
    if (watts_assumed_ > 0)
      notes.push_back(fmt::format(
          "{} machines have no watts in the file; taken is {} ({:g} W idle, {:g} W full){}.",
          watts_assumed_, kAssumedCurve, curve.curve.watts[0], curve.curve.watts[10],
          fleet_.format == "RVTools vInfo" ? ", at idle" : ""));
    if (units_assumed_ > 0)
      notes.push_back(
          fmt::format("{} machines have no rack units in the file; taken is 1.", units_assumed_));
    if (used_assumed_ > 0)
      notes.push_back(fmt::format(
          "{} machines have no memory_used_mib; all of it is taken as used.", used_assumed_));
    if (fleet_.format == "RVTools vInfo")
      notes.push_back(
          fmt::format("vInfo has no CPU use; a vCPU is taken to be {:g} % busy "
                      "(--vcpu-percent), all configured memory as used. {} VMs that "
                      "are off, templates or placeholders were left out.",
                      vcpu_share_ * 100, not_on_));
    if (fleet_.format == "RVTools vHost")
      notes.push_back(
          "Each host's use is split evenly over its VMs. It is that of the moment of "
          "the export.");
  }

  Csv& csv_;
  double vcpu_share_;
  const P2vLimits& limits_;
  Fleet& fleet_;
  std::map<std::string, std::size_t, std::less<>> machine_;
  std::int64_t watts_assumed_ = 0;
  std::int64_t units_assumed_ = 0;
  std::int64_t used_assumed_ = 0;
  std::int64_t not_on_ = 0;
};

}  // namespace

Result<Fleet> parse_fleet(std::string_view text, std::string source, double vcpu_percent,
                          const P2vLimits& limits) {
  Fleet fleet{.source = std::move(source)};
  Csv csv(text, fleet.source, limits);
  TRY(Reader(csv, vcpu_percent, limits, fleet).read());
  return fleet;
}

Result<Fleet> read_fleet(const std::filesystem::path& file, double vcpu_percent,
                         const P2vLimits& limits) {
  const std::string text = TRY(sim::datacenter::read_file(
      file, {.total_bytes_max = limits.file_bytes_max, .file_bytes_max = limits.file_bytes_max}));
  return parse_fleet(text, file.filename().string(), vcpu_percent, limits);
}

}  // namespace chorok::advise
