#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "cli/quantity.h"
#include "cli/text.h"

namespace chorok::cli {
namespace {

constexpr double kMib = 1048576;

void add(std::string& words, std::string more) {
  if (more.empty()) return;
  if (!words.empty()) words += ", ";
  words += more;
}

std::string took(const Value& task) {
  auto from = json::parse_time(task.get("started").text());
  if (!from) from = json::parse_time(task.get("created").text());
  auto to = json::parse_time(task.get("finished").text());
  if (!from || !to || *to < *from || task.get("finished").text().empty()) return {};
  return human_seconds(seconds(*to - *from));
}

double percent_of(const Value& task) {
  double percent = task.get("percent").number();
  if (percent <= 0) percent = task.get("progress/percent").number();
  return std::clamp(percent, 0.0, 100.0);
}

std::string migration_words(const Value& stats) {
  std::string from(stats.get("from").text()), to(stats.get("to").text());
  std::string words = from == to ? from : fmt::format("{} to {}", from, to);
  if (double downtime = stats.get("downtime").number(); downtime > 0)
    add(words, "downtime " + human_seconds(downtime));
  if (double bytes = stats.get("transferred").number(); bytes > 0) {
    add(words, human_bytes(bytes));
    if (auto rounds = stats.get("rounds").integer(); rounds > 0)
      words += fmt::format(" in {} round{}", rounds, rounds == 1 ? "" : "s");
  }
  if (stats.get("post_copy").boolean()) add(words, "post-copy");
  if (stats.get("tls").boolean()) add(words, "TLS");
  return printable(words);
}

std::string list_words(std::string_view title, const Value& list) {
  std::string words;
  for (const Value& item : list.items()) add(words, printable(item.text()));
  return words.empty() ? words : fmt::format("\n  {}: {}", title, words);
}

}  // namespace

std::string task_title(const Value& task) {
  std::string_view kind = task.get("kind").text();
  std::string_view name = task.get("target_name").text();
  if (name.empty()) name = task.get("target").text();
  return printable(fmt::format("{} {}", name, kind.substr(kind.find('.') + 1)));
}

bool is_over(const Value& task) {
  std::string_view state = task.get("state").text();
  return state == "succeeded" || state == "failed" || state == "cancelled";
}

bool has_succeeded(const Value& task) {
  return task.get("state").text() == "succeeded";
}

std::string progress_words(const Value& task) {
  const Value& progress = task.get("progress");
  std::string words;
  std::string_view phase = progress.get("phase").text();
  if (phase.empty()) phase = task.get("message").text();
  if (phase.empty()) phase = task.get("state").text();
  add(words, printable(phase));
  double done = progress.get("transferred").number(), left = progress.get("remaining").number();
  if (done > 0 || left > 0)
    add(words, fmt::format("{:.0f} of {:.0f} MiB", done / kMib, (done + left) / kMib));
  if (double rate = progress.get("bandwidth_mib_s").number(); rate > 0)
    add(words, fmt::format("{:.0f} MiB/s", rate));
  if (double rate = progress.get("dirty_rate_mib_s").number(); rate > 0)
    add(words, fmt::format("dirty {:.0f} MiB/s", rate));
  if (double downtime = progress.get("expected_downtime").number(); downtime > 0)
    add(words, "downtime " + human_seconds(downtime));
  return words;
}

std::string progress_line(const Value& task, std::size_t width, bool colours) {
  constexpr std::size_t kBar = 20;
  double percent = percent_of(task);
  auto full = static_cast<std::size_t>(percent / 100 * kBar + 0.5);
  std::string bar;
  for (std::size_t i = 0; i < kBar; ++i) bar += i < full ? "█" : "░";
  std::string title = clip(task_title(task), 28);
  std::size_t used = display_width(title) + 1 + kBar + 7;
  std::string words = progress_words(task);
  if (width > 0) words = clip(words, width > used ? width - used - 1 : 0);
  return fmt::format("{} {} {:3.0f}%  {}", title, coloured(bar, Tone::kGood, colours), percent,
                     words);
}

std::string outcome_text(const Value& task, bool colours) {
  std::string_view state = task.get("state").text();
  std::string text = task_title(task) + ": ";
  Tone tone = state == "succeeded" ? Tone::kGood : Tone::kBad;
  text += coloured(state == "succeeded" ? "done" : state, tone, colours);
  std::string time = took(task);
  if (!time.empty()) text += (state == "succeeded" ? " in " : " after ") + time;
  std::string more;
  const Value& result = task.get("result");
  if (const Value* stats = result.at("migration"); stats && stats->is_object())
    more = migration_words(*stats);
  if (state != "succeeded") {
    std::string_view why = task.get("error/message").text();
    more = printable(why.empty() ? task.get("message").text() : why);
  } else if (auto message = result.get("message").text(); !message.empty()) {
    add(more, printable(message));
  }
  if (!more.empty()) text += ": " + more;
  if (auto field = task.get("error/field").text(); !field.empty() && state != "succeeded")
    text += fmt::format(" (field {})", printable(field));
  text += list_words("changed at once", result.get("live"));
  text += list_words("waits for the next boot", result.get("next_boot"));
  return text + "\n";
}

}  // namespace chorok::cli
