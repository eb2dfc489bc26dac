#include "manager/energy_report.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

namespace chorok::manager {
namespace {

using ports::EnergyMeasure;
using ports::Measure;

constexpr std::string_view kFile = "file:";
constexpr double kJoulesPerKwh = 3.6e6;
constexpr std::size_t kFileMax = 8 << 20;  // a year of quarters of an hour is 1 MiB
constexpr std::string_view kMethod =
    "while a cluster kept a host off: its idle watts (as measured, else of its curve) times that "
    "time, less what it drew in it; shutdown, standby and boot are in what it drew";

bool is_plain(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

bool is_given(const model::Calendar& calendar) {
  return calendar.value > 0 || !calendar.bands.empty();
}

model::EnergyCost cost_of(double joules, Time from, Time to, const Tariff& tariff) {
  model::EnergyCost out;
  out.kwh = joules / kJoulesPerKwh;
  if (tariff.price) out.money = out.kwh * tariff.price->mean(from, to);
  if (tariff.carbon) out.co2_kg = out.kwh * tariff.carbon->mean(from, to);
  return out;
}

void add(model::EnergyCost& sum, const model::EnergyCost& more) {
  sum.kwh += more.kwh;
  sum.money += more.money;
  sum.co2_kg += more.co2_kg;
}

void finish(const Tariff& tariff, model::EnergySeries& out) {
  out.kwh = out.joules / kJoulesPerKwh;
  const double elapsed = seconds(out.to - out.from);
  out.watts = elapsed > 0 ? out.joules / elapsed : 0;
  out.pue = tariff.pue;
  out.facility = {out.it.kwh * tariff.pue, out.it.money * tariff.pue, out.it.co2_kg * tariff.pue};
}

}  // namespace

Result<> check_energy(const model::EnergySettings& settings) {
  struct Part {
    const std::string& name;
    const model::Calendar& own;
    bool is_carbon;
    std::string field;
  };
  for (const Part& part : {Part{settings.price, settings.own_price, false, "price"},
                           Part{settings.carbon, settings.own_carbon, true, "carbon"}}) {
    if (auto good = model::check(part.own); !good)
      return fail(Code::kInvalid, good.error().message,
                  "/energy/own_" + part.field + good.error().field);
    if (part.name.empty() || part.name.starts_with(kFile)) continue;
    if (auto known = model::find_calendar(part.name, part.is_carbon); !known)
      return fail(Code::kInvalid, known.error().message, "/energy/" + part.field);
  }
  return {};
}

Result<model::Calendar> CalendarBook::find(const std::string& name, bool is_carbon) {
  if (!name.starts_with(kFile)) return model::find_calendar(name, is_carbon);
  const std::string file = name.substr(kFile.size());
  if (!is_plain(file))
    return fail(Code::kInvalid, "a calendar's file has letters, digits, - and _ in its name");
  const std::string path = folder_ + "/" + file + ".csv";
  struct stat info{};
  if (folder_.empty() || ::stat(path.c_str(), &info) != 0)
    return fail(Code::kNotFound, fmt::format("there is no calendars/{}.csv on the manager", file));
  if (static_cast<std::size_t>(info.st_size) > kFileMax)
    return fail(Code::kInvalid, fmt::format("calendars/{}.csv is larger than 8 MiB", file));
  Loaded& loaded = loaded_[name];
  const std::int64_t modified = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
  if (loaded.modified == modified) return loaded.calendar;
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  model::Calendar calendar{.unit = is_carbon ? "kg" : "", .source = "calendars/" + file + ".csv"};
  calendar.series =
      TRY(model::parse_series(text.str(), calendar.source, 0, {.bytes_max = kFileMax}));
  if (calendar.series.empty()) return fail(Code::kInvalid, calendar.source + " has no line");
  loaded = {modified, calendar};
  return calendar;
}

Result<Tariff> CalendarBook::tariff(const model::EnergySettings& settings) {
  Tariff out;
  out.pue = std::max(1.0, settings.pue);
  if (is_given(settings.own_price))
    out.price = settings.own_price;
  else if (!settings.price.empty())
    out.price = TRY(find(settings.price, false));
  if (is_given(settings.own_carbon))
    out.carbon = settings.own_carbon;
  else if (!settings.carbon.empty())
    out.carbon = TRY(find(settings.carbon, true));
  return out;
}

void summarize(const SeriesInput& input, const Tariff& tariff, model::EnergySeries& out) {
  out.from = input.from;
  out.to = input.to;
  out.step = input.step;
  double measured = 0, estimated = 0, error = 0;
  for (const ports::HistoryPoint& each : input.points) {
    const double joules =
        input.is_share ? each.amounts[Measure::kEnergy] : each.amounts[EnergyMeasure::kTotal];
    const Time end = std::min(each.at + input.points_step, input.to);
    add(out.it, cost_of(joules, each.at, end, tariff));
    out.joules += joules;
    const auto number = (each.at - input.from) / input.step;
    const Time at = input.from + input.step * number;
    if (out.points.empty() || out.points.back().at != at) out.points.push_back({.at = at});
    model::EnergyPoint& point = out.points.back();
    point.joules += joules;
    point.measured += each.measured;
    if (input.is_share) continue;
    const double saved = each.amounts[EnergyMeasure::kSaved];
    add(out.saved, cost_of(saved, each.at, end, tariff));
    out.saved_joules += saved;
    out.idle_joules += each.amounts[EnergyMeasure::kIdle];
    out.unused_joules += each.amounts[EnergyMeasure::kUnused];
    out.standby_joules += each.amounts[EnergyMeasure::kStandby];
    measured += each.amounts[EnergyMeasure::kMeasured];
    estimated += each.amounts[EnergyMeasure::kEstimated];
    error += each.amounts[EnergyMeasure::kError];
    point.unused_watts += each.amounts[EnergyMeasure::kUnused];  // joules until the end
    point.error += each.amounts[EnergyMeasure::kError];
  }
  for (model::EnergyPoint& point : out.points) {
    const double length = seconds(std::min(point.at + input.step, input.to) - point.at);
    // Of one host or VM, what of the step there are accounts of.
    const double known = std::min(length, seconds(point.measured));
    const double over = known > 0 ? known : length;
    point.watts = point.joules / over;
    point.unused_watts /= over;
    point.error = point.joules > 0 ? point.error / point.joules : 0;
    out.peak_watts = std::max(out.peak_watts, point.watts);
  }
  if (out.joules > 0 && !input.is_share) {
    out.measured = measured / out.joules;
    out.estimated = estimated / out.joules;
    out.error = error / out.joules;
  }
  if (!input.is_share) out.saved_method = kMethod;
  if (tariff.price) {
    out.currency = tariff.price->unit;
    out.price_source = tariff.price->source;
  }
  if (tariff.carbon) out.carbon_source = tariff.carbon->source;
  finish(tariff, out);
}

void add_pending(double joules, double measured, double estimated, double error,
                 const Tariff& tariff, model::EnergySeries& out) {
  if (joules <= 0) return;
  const double before = out.joules;
  const double all = before + joules;
  out.pending_joules += joules;
  out.joules = all;
  out.measured = (out.measured * before + measured) / all;
  out.estimated = (out.estimated * before + estimated) / all;
  out.error = (out.error * before + error) / all;
  add(out.it, cost_of(joules, out.to, out.to, tariff));
  finish(tariff, out);
}

Result<std::pair<Time, Time>> month_of(std::string_view text, double utc_offset_h) {
  int year = 0, month = 0;
  auto number = [](std::string_view part, int& value) {
    auto [at, bad] = std::from_chars(part.data(), part.data() + part.size(), value);
    return bad == std::errc() && at == part.data() + part.size();
  };
  const bool ok = text.size() == 7 && text[4] == '-' && number(text.substr(0, 4), year) &&
                  number(text.substr(5), month) && year >= 1970 && year <= 2200 && month >= 1 &&
                  month <= 12;
  if (!ok) return fail(Code::kInvalid, "a month is written 2026-11", "?month");
  auto begin = [&](std::chrono::year_month at) {
    return Time(std::chrono::sys_days(at / 1)) - from_seconds(utc_offset_h * 3600);
  };
  const std::chrono::year_month first{std::chrono::year(year),
                                      std::chrono::month(static_cast<unsigned>(month))};
  return std::pair{begin(first), begin(first + std::chrono::months(1))};
}

}  // namespace chorok::manager
