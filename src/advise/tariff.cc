#include "advise/tariff.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace chorok::advise {

namespace {

constexpr double kPerKwhMost = 1e6;
constexpr double kCarbonMost = 10;  // the dirtiest grids reach 1

// The number that the text begins with; the text is what follows it.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !std::isfinite(value) || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

}  // namespace

Result<Tariff> parse_tariff(std::string_view text) {
  const auto wrong = [shown = text.substr(0, 40)] {
    return fail(Code::kInvalid,
                fmt::format("'{}' is no tariff; write an amount a kWh and the currency's three "
                            "letters, as in 178KRW or 0.21EUR",
                            shown));
  };
  auto amount = take_number(text);
  if (!amount || *amount > kPerKwhMost) return wrong();
  while (text.starts_with(' ')) text.remove_prefix(1);
  Tariff tariff{.per_kwh = *amount, .source = "as given"};
  if (text.empty()) return tariff;
  const auto is_letter = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (text.size() != 3 || !std::ranges::all_of(text, is_letter)) return wrong();
  tariff.currency = text;
  return tariff;
}

Result<Carbon> parse_carbon(std::string_view text) {
  std::string_view rest = text;
  auto amount = take_number(rest);
  if (!amount || !rest.empty() || *amount > kCarbonMost)
    return fail(Code::kInvalid,
                fmt::format("'{}' is no factor; write kilograms of CO2 a kWh, 0 to 10, as in "
                            "0.4173",
                            text.substr(0, 40)));
  return Carbon{.kg_per_kwh = *amount, .source = "as given"};
}

}  // namespace chorok::advise
