// Quantities as people write and read them: 2G, 1.5T, 30s, 5m, "3 min ago". Sizes count in powers
// of 1024; a bare number is in the field's own unit (MiB, seconds).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"

namespace chorok::cli {

// "512M", "2G", "1.5T", "2GiB", "2048" (MiB), "4096K". Must come out as whole MiB.
Result<Mib> parse_size(std::string_view text);
// "300ms", "30s", "5m", "1h", "2d", "1h30m", "45" (seconds).
Result<Duration> parse_duration(std::string_view text);
// A time as the API's queries take it: "2h" is two hours ago, "2026-11-21", "2026-11-21T10:00" and
// "2026-11-21T10:00:00Z" are times (UTC).
Result<std::string> moment(std::string_view text);
// "2400", "2.4GHz", "2400MHz".
Result<Mhz> parse_mhz(std::string_view text);

std::string human_mib(double mib);            // "512 MiB", "2.0 GiB"
std::string human_bytes(double bytes);        // "118 B", "4.2 KiB"
std::string human_mhz(double mhz);            // "800 MHz", "2.4 GHz"
std::string human_joules(double joules);      // "63.33 Wh", "2.00 kWh"
std::string human_watts(double watts);        // "126.7 W", "12.40 kW"
std::string human_seconds(double seconds);    // "118 ms", "1.4 s", "3 min 20 s", "2 h 5 min"
std::string human_time(Time time, Time now);  // "12 s ago", "3 h ago", "in 29 d"

}  // namespace chorok::cli
