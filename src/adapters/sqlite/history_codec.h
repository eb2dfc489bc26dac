// How series lie in their rows: floats, because a mean to seven digits is more than is measured.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ports/history.h"

namespace chorok::sqlite {

// One source's interval: what each series used in it.
struct FineUse {
  std::uint32_t series = 0;
  ports::HistoryAmounts amounts;
};
struct FineRow {
  Time from{};
  Time to{};
  std::vector<FineUse> uses;
};
std::string encode_fine(Time from, Time to, const std::vector<FineUse>& uses);
// Only the uses of `series`; 0: all. False: damaged.
bool decode_fine(std::string_view bytes, std::uint32_t series, FineRow& out);

// One bucket of a series.
struct Slot {
  double measured = 0;  // seconds
  double cpu_peak = 0;
  ports::HistoryAmounts amounts;
  void add(const Slot& other);
  void scale(double share);
};
// A run of buckets; those in which nothing was measured take no room.
struct SlotRow {
  std::vector<Slot> slots;
  explicit SlotRow(std::size_t count) : slots(count) {}
};
std::string encode_slots(const SlotRow& row);
bool decode_slots(std::string_view bytes, SlotRow& out);  // into as many slots as there are

}  // namespace chorok::sqlite
