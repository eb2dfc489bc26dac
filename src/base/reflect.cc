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

namespace {

bool equal_maps(const Type& type, const void* a, const void* b) {
  struct Context {
    std::vector<std::pair<std::string_view, const void*>> entries;
  } left, right;
  auto collect = [](void* context, std::string_view key, const void* value) {
    static_cast<Context*>(context)->entries.emplace_back(key, value);
  };
  type.access.visit(a, &left, collect);
  type.access.visit(b, &right, collect);
  return std::ranges::equal(left.entries, right.entries, [&](const auto& x, const auto& y) {
    return x.first == y.first && equal(type.element(), x.second, y.second);
  });
}

}  // namespace

bool equal(const Type& type, const void* a, const void* b) {
  switch (type.kind) {
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kEnum:
    case Kind::kTime:
    case Kind::kDuration:
      return type.access.get_int(a) == type.access.get_int(b);
    case Kind::kDouble:
      return type.access.get_double(a) == type.access.get_double(b);
    case Kind::kString:
      return *static_cast<const std::string*>(a) == *static_cast<const std::string*>(b);
    case Kind::kStruct:
      return std::ranges::all_of(type.fields, [&](const Field& field) {
        return equal(field.type(), field_at(field, a), field_at(field, b));
      });
    case Kind::kList:
    case Kind::kOptional: {
      std::size_t count = type.access.count(a);
      if (count != type.access.count(b)) return false;
      for (std::size_t i = 0; i < count; ++i)
        if (!equal(type.element(), type.access.at(a, i), type.access.at(b, i))) return false;
      return true;
    }
    case Kind::kMap:
      return type.access.count(a) == type.access.count(b) && equal_maps(type, a, b);
  }
  return false;
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
