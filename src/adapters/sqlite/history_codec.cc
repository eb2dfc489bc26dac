#include "adapters/sqlite/history_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace chorok::sqlite {
namespace {

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}
template <class T>
T take(std::string_view& in) {
  T value{};
  std::memcpy(&value, in.data(), sizeof value);
  in.remove_prefix(sizeof value);
  return value;
}

void put_float(std::string& out, double value) {
  const bool fits = std::isfinite(value) && std::abs(value) < 3e38;
  put(out, fits ? static_cast<float>(value) : 0.0F);
}
double take_float(std::string_view& in) {
  const float value = take<float>(in);
  return std::isfinite(value) ? static_cast<double>(value) : 0;
}

constexpr std::size_t kAmountBytes = ports::kMeasures * sizeof(float);
constexpr std::size_t kUseBytes = sizeof(std::uint32_t) + kAmountBytes;
constexpr std::size_t kSlotBytes = sizeof(std::uint16_t) + 2 * sizeof(float) + kAmountBytes;

void put_amounts(std::string& out, const ports::HistoryAmounts& amounts) {
  for (const double value : amounts.values) put_float(out, value);
}
void take_amounts(std::string_view& in, ports::HistoryAmounts& amounts) {
  for (double& value : amounts.values) value = take_float(in);
}

}  // namespace

std::string encode_fine(Time from, Time to, const std::vector<FineUse>& uses) {
  std::string out;
  out.reserve(16 + uses.size() * kUseBytes);
  put(out, from.time_since_epoch().count());
  put(out, to.time_since_epoch().count());
  for (const FineUse& use : uses) {
    put(out, use.series);
    put_amounts(out, use.amounts);
  }
  return out;
}

bool decode_fine(std::string_view bytes, std::uint32_t series, FineRow& out) {
  out.uses.clear();
  if (bytes.size() < 16 || (bytes.size() - 16) % kUseBytes != 0) return false;
  out.from = Time(Duration(take<std::int64_t>(bytes)));
  out.to = Time(Duration(take<std::int64_t>(bytes)));
  while (!bytes.empty()) {
    std::string_view rest = bytes;
    bytes.remove_prefix(kUseBytes);
    FineUse use;
    use.series = take<std::uint32_t>(rest);
    if (series != 0 && use.series != series) continue;
    take_amounts(rest, use.amounts);
    out.uses.push_back(use);
  }
  return out.from <= out.to;
}

void Slot::add(const Slot& other) {
  measured += other.measured;
  cpu_peak = std::max(cpu_peak, other.cpu_peak);
  for (std::size_t i = 0; i < ports::kMeasures; ++i) amounts.values[i] += other.amounts.values[i];
}

void Slot::scale(double share) {
  measured *= share;
  for (double& value : amounts.values) value *= share;
}

std::string encode_slots(const SlotRow& row) {
  std::string out;
  for (std::size_t i = 0; i < row.slots.size(); ++i) {
    const Slot& slot = row.slots[i];
    if (slot.measured <= 0) continue;
    put(out, static_cast<std::uint16_t>(i));
    put_float(out, slot.measured);
    put_float(out, slot.cpu_peak);
    put_amounts(out, slot.amounts);
  }
  return out;
}

bool decode_slots(std::string_view bytes, SlotRow& out) {
  if (bytes.size() % kSlotBytes != 0) return false;
  while (!bytes.empty()) {
    const auto index = take<std::uint16_t>(bytes);
    Slot slot;
    slot.measured = take_float(bytes);
    slot.cpu_peak = take_float(bytes);
    take_amounts(bytes, slot.amounts);
    if (index < out.slots.size()) out.slots[index] = slot;
  }
  return true;
}

}  // namespace chorok::sqlite
