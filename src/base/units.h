// Units are types, not comments: MHz cannot be added to MiB. A quantity is a number with a tag; it
// is as cheap as the number. Time is nanoseconds inside and seconds at the edges.
#pragma once

#include <chrono>
#include <cmath>
#include <compare>
#include <cstdint>
#include <string_view>

namespace chorok {

template <class Tag, class Rep = std::int64_t>
struct Quantity {
  using rep = Rep;
  Rep value{};

  constexpr Quantity() = default;
  constexpr explicit Quantity(Rep v) : value(v) {}

  friend constexpr Quantity operator+(Quantity a, Quantity b) {
    return Quantity(a.value + b.value);
  }
  friend constexpr Quantity operator-(Quantity a, Quantity b) {
    return Quantity(a.value - b.value);
  }
  friend constexpr Quantity operator*(Quantity a, Rep factor) { return Quantity(a.value * factor); }
  friend constexpr Quantity operator*(Rep factor, Quantity a) { return Quantity(a.value * factor); }
  friend constexpr Quantity operator/(Quantity a, Rep divisor) {
    return Quantity(a.value / divisor);
  }
  friend constexpr double operator/(Quantity a, Quantity b) {
    return static_cast<double>(a.value) / static_cast<double>(b.value);
  }
  constexpr Quantity& operator+=(Quantity other) {
    value += other.value;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    value -= other.value;
    return *this;
  }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;
};

struct MhzTag {
  static constexpr std::string_view kUnit = "MHz";
};
struct MibTag {
  static constexpr std::string_view kUnit = "MiB";
};
struct BytesTag {
  static constexpr std::string_view kUnit = "bytes";
};
struct WattsTag {
  static constexpr std::string_view kUnit = "W";
};
struct JoulesTag {
  static constexpr std::string_view kUnit = "J";
};

using Mhz = Quantity<MhzTag>;                // of a reference core: host speed times cores
using Mib = Quantity<MibTag>;                // memory and disk sizes
using Bytes = Quantity<BytesTag>;            // transfers
using Watts = Quantity<WattsTag, double>;    // power
using Joules = Quantity<JoulesTag, double>;  // energy

using Duration = std::chrono::nanoseconds;
// Nanoseconds since 1970-01-01 UTC in production, since the start of the run in the simulator.
using Time = std::chrono::time_point<std::chrono::system_clock, Duration>;

constexpr double seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e9;  // times 1e-9 makes 0.3 s 0.30000000000000004
}
inline Duration from_seconds(double value) {
  return Duration(static_cast<std::int64_t>(std::llround(value * 1e9)));
}

constexpr Joules operator*(Watts power, Duration time) {
  return Joules(power.value * seconds(time));
}

}  // namespace chorok
