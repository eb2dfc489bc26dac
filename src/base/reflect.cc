#include "base/reflect.h"

#include <algorithm>

namespace chorok {
namespace {

// Levenshtein distance, O(a * b); callers bound both by the length limits of names.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

const Field* Type::find(std::string_view field_name) const {
  auto it = std::ranges::find(fields, field_name, &Field::name);
  return it == fields.end() ? nullptr : &*it;
}

std::string_view enum_name(const Type& type, std::int64_t value) {
  for (const EnumValue& candidate : type.values)
    if (candidate.value == value) return candidate.name;
  return "?";
}

std::string_view nearest(std::string_view typed, const std::vector<std::string_view>& known) {
  constexpr std::size_t kLongestTyped = 64;
  if (typed.empty() || typed.size() > kLongestTyped) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, typed.size() / 3) + 1;
  for (std::string_view candidate : known) {
    std::size_t d = distance(typed, candidate);
    if (d < best_distance) {
      best = candidate;
      best_distance = d;
    }
  }
  return best;
}

}  // namespace chorok
