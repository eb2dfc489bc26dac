#include "advise/prices.h"

#include <fmt/format.h>

#include <cmath>

#include "sim/datacenter/html_page.h"

namespace chorok::advise {

std::string source_of(const model::Calendar& calendar) {
  return calendar.as_of.empty() ? calendar.source
                                : fmt::format("{}, as of {}", calendar.source, calendar.as_of);
}

std::string money_text(double amount) {
  return sim::datacenter::grouped(amount, std::abs(amount) < 100 ? 2 : 0);
}

}  // namespace chorok::advise
