// A consolidation plan for physical machines (and for VMware clusters, from RVTools exports): how
// many hosts would carry what these servers do, and what that saves in energy, money, CO2 and rack
// units. Two numbers a server are packed, its CPU demand and its memory; there is no time in it, so
// the CPU figures should be those of the busiest hour.
//
// Three cases:
//   low   hosts filled to half of their CPU, memory as installed, one host to spare
//   mid   to 63 % (VMware DPM's target), memory in use and a quarter, one host to spare
//   high  to 81 %, memory in use and a tenth, no host to spare
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "advise/host_class.h"
#include "advise/prices.h"
#include "base/reflect.h"
#include "base/result.h"

namespace chorok::advise {

struct P2vLimits {
  std::uint64_t file_bytes_max = std::uint64_t{64} << 20;  // an RVTools row is about 2 KiB
  std::size_t rows_max = 20'000;
  std::size_t columns_max = 300;    // RVTools has about 100, and custom attributes
  std::size_t parts_max = 100'000;  // loads, after machines were split into their VMs
};

// Something that stands in a rack now.
struct Machine {
  std::string name;
  double watts = 0;  // at its present load
  double rack_units = 1;
};

// Something that needs a place.
struct Load {
  std::string name;
  std::size_t machine = 0;  // where it runs now
  double cpu_mhz = 0;       // demand; where the file has no clock, of the new host's cores
  double cores = 0;         // demand in cores, where cpu_mhz is not known
  double memory_mib = 0;
  double used_mib = 0;
};

struct Fleet {
  std::string source;
  std::string format;  // "plain", "RVTools vHost" or "RVTools vInfo"
  std::vector<Machine> machines;
  std::vector<Load> loads;
  std::vector<std::string> notes;  // what was assumed
};

// By the header. Plain: name,cores,mhz,memory_mib,cpu_percent and, where known,
// memory_used_mib,watts_idle,watts_full,rack_units; another column is an error. RVTools: the sheets
// vHost and vInfo as CSV, other columns are passed over. Comma or semicolon; quotes as in RFC 4180.
// `vcpu_percent`: how busy a vCPU of vInfo is taken to be, which has no figure for it. Errors name
// file, line and column.
Result<Fleet> read_fleet(const std::filesystem::path& file, double vcpu_percent,
                         const P2vLimits& limits = {});
// The same from text that was read; `source` is for messages.
Result<Fleet> parse_fleet(std::string_view text, std::string source, double vcpu_percent,
                          const P2vLimits& limits = {});

struct P2vStays {
  std::string name;
  std::string why;
  static const Type& type();
};

struct P2vCase {
  std::string name;
  std::string how;
  std::int32_t hosts = 0;  // those to spare among them
  std::int32_t spare = 0;
  double watts_now = 0;
  double watts_then = 0;
  double year_kwh = 0;  // saved
  double year_money = 0;
  double year_co2_kg = 0;
  std::optional<double> year_facility_kwh;  // these three by PUE; absent where it is 1
  std::optional<double> year_facility_money;
  std::optional<double> year_facility_co2_kg;
  double rack_units_now = 0;
  double rack_units_then = 0;
  double cpu_share = 0;  // of the hosts' CPU that is asked for, the spare ones not counted
  double memory_share = 0;
  std::vector<P2vStays> stays;  // machines that no host can take the place of
  static const Type& type();
};

struct P2vPlan {
  std::string from;
  std::string format;
  std::int64_t machines = 0;
  std::int64_t loads = 0;
  std::string host_class;
  std::string host_source;
  std::int32_t host_cores = 0;
  double host_core_mhz = 0;
  double host_memory_mib = 0;
  double host_rack_units = 0;
  double tariff_per_kwh = 0;
  std::string currency;
  std::string tariff_source;
  double co2_kg_per_kwh = 0;
  std::string co2_source;
  double pue = 1;              // 1: not applied
  std::vector<P2vCase> cases;  // low, mid, high
  std::vector<std::string> notes;
  static const Type& type();
};

// First fit by decreasing need, O(loads * hosts). A stated count of hosts is kept to unless it is
// too small, which a note says.
P2vPlan plan_p2v(const Fleet& fleet, const HostClass& hosts, double host_rack_units,
                 const Prices& prices);

}  // namespace chorok::advise
