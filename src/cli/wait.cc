#include "cli/wait.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/objects.h"
#include "cli/progress.h"
#include "cli/text.h"

namespace chorok::cli {
namespace {

class Waiter {
 public:
  Waiter(Session& session, std::vector<Value> tasks)
      : session_(session), tasks_(std::move(tasks)), told_(tasks_.size()) {
    Terminal& terminal = session.terminal();
    paints_ = terminal.err_is_terminal() && !session.options().quiet;
    colours_ = wants_colours(terminal, terminal.err_is_terminal());
  }

  Result<int> run() {
    std::string note = interrupt_note();
    session_.terminal().set_interrupt_note(note);
    show();
    auto followed = all_over() ? Result<>{} : follow();
    wipe();
    session_.terminal().set_interrupt_note("");
    if (!followed) {
      session_.note(note);
      return std::unexpected(followed.error());
    }
    return finish();
  }

 private:
  std::string interrupt_note() const {
    std::string ids;
    for (const Value& task : tasks_)
      if (ids.size() < 256) ids += fmt::format(" {}", id_of(task));
    return fmt::format(
        "\nThe work goes on. To wait again: chorok task wait{}\nTo stop it: chorok task cancel{}\n",
        ids, ids);
  }

  bool all_over() const { return std::ranges::all_of(tasks_, is_over); }

  Result<> follow() {
    Api& api = *TRY(session_.api());
    while (true) {
      // A change counts from the store's revision, which a list tells; an object's own is another.
      auto since = TRY(api.list("tasks", {{"limit", "1"}})).get("revision").integer();
      TRY(read_again(api));
      if (all_over()) return {};
      const WatchEnd end = TRY(api.watch("task", since, [&](const Change& change) {
        take(change);
        return !all_over();
      }));
      if (end == WatchEnd::kEnough) return {};
    }
  }

  Result<> read_again(Api& api) {
    for (Value& task : tasks_) task = TRY(api.get(ref_path("tasks", id_of(task))));
    show();
    return {};
  }

  void take(const Change& change) {
    for (Value& task : tasks_) {
      if (id_of(task) != change.id || change.what != Change::What::kPut) continue;
      // The stream may begin with what the answer to the POST already held.
      if (revision_of(change.object) < revision_of(task)) continue;
      task = change.object;
      show();
    }
  }

  void show() {
    if (paints_) return paint();
    if (session_.options().quiet || session_.is_structured()) return;
    for (std::size_t i = 0; i < tasks_.size(); ++i) tell(tasks_[i], told_[i]);
  }

  // As many lines as tasks that still run, rewritten in place.
  void paint() {
    constexpr std::size_t kLinesMax = 12;
    wipe();
    std::string out;
    std::size_t running = 0;
    for (const Value& task : tasks_) {
      if (is_over(task) || ++running > kLinesMax) continue;
      out += progress_line(task, session_.terminal().width(), colours_) + "\n";
      ++painted_;
    }
    session_.terminal().err(out);
  }

  void wipe() {
    if (painted_ > 0) session_.terminal().err(fmt::format("\x1b[{}A\x1b[J", painted_));
    painted_ = 0;
  }

  // Plain lines: when the phase changes, and every ten percent.
  void tell(const Value& task, std::string& told) {
    if (is_over(task)) return;
    auto tens = static_cast<int>(task.get("percent").number() / 10);
    std::string mark = fmt::format("{}:{}", tens, task.get("progress/phase").text());
    if (mark == told) return;
    if (tens > 0 || !task.get("progress/phase").text().empty())
      session_.note(fmt::format("{}: {:.0f}% {}\n", task_title(task), task.get("percent").number(),
                                progress_words(task)));
    told = mark;
  }

  Result<int> finish() {
    bool failed = !std::ranges::all_of(tasks_, has_succeeded);
    if (session_.is_structured()) {
      session_.out_value(tasks_.size() == 1 ? tasks_[0] : Value(tasks_));
    } else {
      for (const Value& task : tasks_) {
        if (has_succeeded(task) && session_.options().quiet) continue;
        std::string text = outcome_text(task, has_succeeded(task) ? session_.colours() : colours_);
        if (has_succeeded(task))
          session_.out(text);
        else
          session_.terminal().err(text);
      }
    }
    return failed ? exit_code::kTaskFailed : exit_code::kOk;
  }

  Session& session_;
  std::vector<Value> tasks_;
  std::vector<std::string> told_;
  bool paints_ = false;
  bool colours_ = false;
  std::size_t painted_ = 0;
};

}  // namespace

Result<int> wait_for_tasks(Session& session, std::vector<Value> tasks) {
  return Waiter(session, std::move(tasks)).run();
}

void tell_started(Session& session, const std::vector<Value>& tasks) {
  if (session.is_structured())
    return session.out_value(tasks.size() == 1 ? tasks[0] : Value(tasks));
  for (const Value& task : tasks)
    session.out(session.options().quiet
                    ? fmt::format("{}\n", id_of(task))
                    : fmt::format("{}: task {} is under way (chorok task wait {})\n",
                                  task_title(task), id_of(task), id_of(task)));
}

}  // namespace chorok::cli
