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
  out.pue = tariff.pue;
  out.facility = {out.it.kwh * tariff.pue, out.it.money * tariff.pue, out.it.co2_kg * tariff.pue};
}

Duration length_of(const model::EnergySeries& series, const model::EnergyPoint& point) {
  return std::min(point.at + series.step, series.to) - point.at;
}

// The step that a time is in, made where there is none yet.
model::EnergyPoint& point_at(model::EnergySeries& series, Time time) {
  const Time at = series.from + series.step * ((time - series.from) / series.step);
  auto place = std::ranges::lower_bound(series.points, at, {}, &model::EnergyPoint::at);
  if (place == series.points.end() || place->at != at)
    place = series.points.insert(place, {.at = at});
  return *place;
}

}  // namespace

Result<> check_energy(const model::EnergySettings& settings, const model::EnergySettings* before,
                      const FindCalendar& find) {
  struct Part {
    const std::string& name;
    const model::Calendar& own;
    bool is_carbon;
    std::string field;
    const std::string* before;
  };
  for (const Part& part : {Part{settings.price, settings.own_price, false, "price",
                                before == nullptr ? nullptr : &before->price},
                           Part{settings.carbon, settings.own_carbon, true, "carbon",
                                before == nullptr ? nullptr : &before->carbon}}) {
    if (auto good = model::check(part.own); !good)
      return fail(Code::kInvalid, good.error().message,
                  "/energy/own_" + part.field + good.error().field);
    if (part.name.empty()) continue;
    Result<> known;
    if (!part.name.starts_with(kFile)) {
      if (auto found = model::find_calendar(part.name, part.is_carbon); !found)
        known = Unexpected(found.error());
    } else if (find && (part.before == nullptr || *part.before != part.name)) {
      known = find(part.name, part.is_carbon);
    }
    if (!known) return fail(Code::kInvalid, known.error().message, "/energy/" + part.field);
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

Tariff CalendarBook::tariff(const model::EnergySettings& settings,
                            std::vector<std::string>& notes) {
  auto choose = [&](const model::Calendar& own, const std::string& name, bool is_carbon) {
    std::optional<model::Calendar> out;
    if (is_given(own)) {
      out = own;
    } else if (!name.empty()) {
      auto found = find(name, is_carbon);
      if (found)
        out = std::move(*found);
      else
        notes.push_back(fmt::format("no {}: {} (energy.{} is {})", is_carbon ? "CO2" : "price",
                                    found.error().message, is_carbon ? "carbon" : "price", name));
    }
    return out;
  };
  return {.price = choose(settings.own_price, settings.price, false),
          .carbon = choose(settings.own_carbon, settings.carbon, true),
          .pue = std::max(1.0, settings.pue)};
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
    model::EnergyPoint& point = point_at(out, each.at);
    point.joules += joules;
    point.measured += each.measured;
    point.covered += std::min(each.measured, end - each.at);
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
    point.covered = std::min(point.covered, length_of(out, point));
    const double over = seconds(point.covered);
    if (over > 0) point.watts = point.joules / over;
    if (over > 0) point.unused_watts /= over;
    point.error = point.joules > 0 ? point.error / point.joules : 0;
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
  conclude(out);
}

void conclude(model::EnergySeries& out) {
  out.measured_for = {};
  out.peak_watts = 0;
  for (const model::EnergyPoint& point : out.points) {
    out.measured_for += point.covered;
    out.peak_watts = std::max(out.peak_watts, point.watts);
  }
  const double over = seconds(out.measured_for);
  out.watts = over > 0 ? out.joules / over : 0;
}

void add_pending(const Pending& pending, const Tariff& tariff, model::EnergySeries& out) {
  if (pending.joules <= 0 || pending.to <= pending.from) return;
  const double before = out.joules;
  const double all = before + pending.joules;
  out.pending_joules += pending.joules;
  out.joules = all;
  out.measured = (out.measured * before + pending.measured) / all;
  out.estimated = (out.estimated * before + pending.estimated) / all;
  out.error = (out.error * before + pending.error) / all;
  add(out.it, cost_of(pending.joules, pending.from, pending.to, tariff));
  finish(tariff, out);
  const Duration whole = pending.to - pending.from;
  for (Time at = pending.from; at < pending.to;) {
    model::EnergyPoint& point = point_at(out, at);
    const Time end = std::min(point.at + out.step, pending.to);
    const double part = seconds(end - at) / seconds(whole);
    const double joules = point.joules + pending.joules * part;
    const double unused = point.unused_watts * seconds(point.covered);
    point.error = (point.error * point.joules + pending.error * part) / joules;
    point.joules = joules;
    point.measured += end - at;
    point.covered = std::min(point.covered + (end - at), length_of(out, point));
    point.watts = joules / seconds(point.covered);
    point.unused_watts = unused / seconds(point.covered);
    at = end;
  }
  conclude(out);
}

bool is_partial(const model::EnergySeries& series, const model::EnergyPoint& point) {
  const double length = seconds(length_of(series, point));
  if (length <= 0) return false;
  const double hosts = seconds(point.measured) / length;
  return seconds(point.covered) < 0.98 * length ||
         std::abs(hosts - std::round(hosts)) > 0.02 * std::max(1.0, hosts);
}

void refine(const std::vector<HostStep>& hosts, model::EnergyPoint& point) {
  double watts = 0, unused = 0, longest = 0;
  for (const HostStep& host : hosts) {
    if (host.measured <= 0) continue;
    watts += host.joules / host.measured;
    unused += host.unused / host.measured;
    longest = std::max(longest, host.measured);
  }
  if (longest <= 0) return;
  point.watts = watts;
  point.unused_watts = unused;
  point.covered = from_seconds(longest);
}

void take_from_cluster(const model::EnergySeries& cluster, bool is_pool, model::EnergySeries& out) {
  out.measured = cluster.measured;
  out.estimated = cluster.estimated;
  out.error = cluster.error;
  out.sources = cluster.sources;
  for (model::EnergySource& each : out.sources) each.joules = each.share * out.joules;
  for (model::EnergyPoint& point : out.points) {
    auto theirs = std::ranges::lower_bound(cluster.points, point.at, {}, &model::EnergyPoint::at);
    const bool known = theirs != cluster.points.end() && theirs->at == point.at;
    point.error = known ? theirs->error : cluster.error;
    if (!is_pool || !known || theirs->covered <= Duration{}) continue;
    point.covered = theirs->covered;
    point.watts = point.joules / seconds(point.covered);
  }
  conclude(out);
}

namespace {

// Where a source's joules stand in a "meter/…" series; never renumbered, since files keep them.
struct SourceSlot {
  model::WattSource source;
  model::MeterMethod method;
  bool estimated = false;
};
constexpr SourceSlot kSlots[] = {
    {model::WattSource::kModelled, model::MeterMethod::kModel},
    {model::WattSource::kMeasured, model::MeterMethod::kRapl},
    {model::WattSource::kMeasured, model::MeterMethod::kIpmiDcmi},
    {model::WattSource::kMeasured, model::MeterMethod::kRedfish},
    {model::WattSource::kMeasured, model::MeterMethod::kHwmon},
    {model::WattSource::kSimulated, model::MeterMethod::kModel},
    {model::WattSource::kModelled, model::MeterMethod::kModel, true},
};
static_assert(std::size(kSlots) <= ports::kMeasures);

}  // namespace

ports::HistoryAmounts by_source(model::WattSource source, model::MeterMethod method, double joules,
                                double estimated) {
  ports::HistoryAmounts out;
  estimated = std::clamp(estimated, 0.0, std::max(0.0, joules));
  for (std::size_t i = 0; i < std::size(kSlots); ++i) {
    const SourceSlot& slot = kSlots[i];
    // A BMC that is simulated is no other source than a simulated host.
    const bool same =
        slot.source == source && (source != model::WattSource::kMeasured || slot.method == method);
    if (slot.estimated)
      out.values[i] += estimated;
    else if (same)
      out.values[i] += joules - estimated;
  }
  return out;
}

std::vector<model::EnergySource> sources_of(const ports::HistoryAmounts& amounts) {
  std::vector<model::EnergySource> out;
  double all = 0;
  for (std::size_t i = 0; i < std::size(kSlots); ++i) {
    if (amounts.values[i] <= 0) continue;
    all += amounts.values[i];
    out.push_back({.source = kSlots[i].source,
                   .method = kSlots[i].method,
                   .estimated = kSlots[i].estimated,
                   .joules = amounts.values[i]});
  }
  for (model::EnergySource& each : out) each.share = each.joules / all;
  std::ranges::sort(out, std::ranges::greater{}, &model::EnergySource::joules);
  return out;
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
