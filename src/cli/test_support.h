// For the CLI's tests only: a terminal that remembers what was said, and a manager that keeps its
// objects in memory and lets tasks run when it is told to.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/session.h"
#include "cli/value.h"
#include "net/tls.h"

namespace chorok::cli::testing {

class FakeTerminal : public Terminal {
 public:
  std::string said, complained;
  std::map<std::string, std::string> environment = {{"NO_COLOR", "1"}};
  std::vector<std::string> answers;  // to questions, in order
  std::vector<std::string> asked;
  std::string input;
  std::string keys;  // pressed, one a look; then q
  bool is_terminal = false;
  std::size_t columns = 0;
  std::function<Result<>(const std::string& path)> editor;
  std::string interrupt_note;

  void out(std::string_view text) override { said += text; }
  void err(std::string_view text) override { complained += text; }
  bool out_is_terminal() const override { return is_terminal; }
  bool err_is_terminal() const override { return is_terminal; }
  bool in_is_terminal() const override { return is_terminal; }
  std::size_t width() const override { return columns; }
  std::size_t height() const override { return 0; }
  std::string env(const char* name) const override {
    auto it = environment.find(name);
    return it == environment.end() ? "" : it->second;
  }
  Time now() const override { return *json::parse_time("2026-11-21T12:00:00Z"); }
  Result<std::string> ask(std::string_view prompt, bool) override {
    asked.emplace_back(prompt);
    if (asked.size() > answers.size()) return fail(Code::kFailedPrecondition, "no terminal");
    return answers[asked.size() - 1];
  }
  std::optional<char> key(Duration) override {
    if (keys.empty()) return 'q';
    const char pressed = keys.front();
    keys.erase(0, 1);
    return pressed;
  }
  Result<std::string> read_all_input() override { return input; }
  Result<> run_editor(const std::string& path) override {
    return editor ? editor(path) : Result<>{};
  }
  void set_interrupt_note(std::string_view note) override {
    if (!note.empty()) interrupt_note = note;
  }
};

// Serves plain HTTP, or TLS when it is given an identity, on a thread of its own.
class FakeManager {
 public:
  struct Tls {
    net::TlsIdentity identity;
    std::string ca_pem;
  };
  explicit FakeManager(const Tls* tls = nullptr);
  ~FakeManager();
  FakeManager(const FakeManager&) = delete;
  FakeManager& operator=(const FakeManager&) = delete;

  std::string url() const;
  // Before the first request, or under what a request does.
  void put(std::string_view plural, Value object);
  // The states that a new task goes through, as the watch stream tells them.
  void set_task_course(std::vector<Value> states);
  // The first so many watch streams break after one event, as when the manager restarts.
  void break_watches(int count);
  // What one watch stream says before it ends, and what there is then. After the last of them a
  // watch is answered with 401, which ends a command.
  struct Watch {
    std::string says;
    std::string plural;
    std::vector<Value> then;
  };
  void script_watches(std::vector<Watch> watches);
  // "POST /api/v1/vms/web1/start {\"paused\":true}", in order.
  std::vector<std::string> requests() const;
  // Whatever is read is another revision right after, as a host's record that its agent keeps new.
  void change_what_is_read();
  std::string last_header(const std::string& name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The rest of a sentence for tests: one run of the program.
struct Ran {
  int code = 0;
  std::string out, err;
};
Ran run_with(FakeTerminal& terminal, std::vector<std::string> args);

}  // namespace chorok::cli::testing
