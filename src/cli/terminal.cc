#include "cli/terminal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace chorok::cli {
namespace {

// What a signal handler needs: it can reach nothing else, so these are the program's only globals.
constexpr std::size_t kNoteMax = 1024;
char g_note[kNoteMax];
std::atomic<std::size_t> g_note_size{0};
termios g_cooked;
std::atomic<bool> g_is_raw{false};

void restore_terminal() {
  if (g_is_raw.exchange(false)) ::tcsetattr(STDIN_FILENO, TCSANOW, &g_cooked);
}

extern "C" void end_by_signal(int signal) {
  restore_terminal();
  std::size_t size = g_note_size.load();
  if (size > 0 && ::write(STDERR_FILENO, g_note, size) < 0) ::_exit(128 + signal);
  ::_exit(128 + signal);
}

void catch_signals() {
  struct sigaction action{};
  action.sa_handler = end_by_signal;
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

// At once and without a buffer: what was told before a signal ends the program must not be lost.
void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t count = ::write(fd, text.data(), text.size());
    if (count < 0 && errno != EINTR && errno != EAGAIN) return;
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
}

Result<std::string> read_line(int fd) {
  constexpr std::size_t kLineMax = 4096;
  std::string line;
  char c = 0;
  while (line.size() < kLineMax) {
    ssize_t got = ::read(fd, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 && line.empty()) return fail(Code::kCancelled, "there was no answer");
    if (got <= 0 || c == '\n') break;
    line += c;
  }
  return line;
}

class SystemTerminal : public Terminal {
 public:
  SystemTerminal() { catch_signals(); }

  void out(std::string_view text) override { write_all(STDOUT_FILENO, text); }
  void err(std::string_view text) override { write_all(STDERR_FILENO, text); }
  bool out_is_terminal() const override { return out_; }
  bool err_is_terminal() const override { return err_; }
  bool in_is_terminal() const override { return in_; }

  std::size_t width() const override {
    constexpr std::size_t kUsual = 80;
    return size_or(&winsize::ws_col, kUsual);
  }
  std::size_t height() const override {
    constexpr std::size_t kUsual = 24;
    return size_or(&winsize::ws_row, kUsual);
  }
  std::string env(const char* name) const override {
    const char* value = std::getenv(name);
    return value ? value : "";
  }
  Time now() const override { return std::chrono::system_clock::now(); }

  Result<std::string> ask(std::string_view prompt, bool secret) override {
    int fd = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
    if (fd < 0) return fail(Code::kFailedPrecondition, "there is no terminal to ask on");
    termios before{};
    bool hides = secret && ::tcgetattr(fd, &before) == 0;
    if (hides) hide_echo(fd, before);
    bool asked = ::write(fd, prompt.data(), prompt.size()) >= 0;
    auto line = asked ? read_line(fd) : fail(Code::kUnavailable, "the terminal is gone");
    if (hides) {
      g_is_raw = false;
      ::tcsetattr(fd, TCSAFLUSH, &before);
      if (::write(fd, "\n", 1) < 0) line = fail(Code::kUnavailable, "the terminal is gone");
    }
    ::close(fd);
    return line;
  }

  Result<std::string> read_all_input() override {
    constexpr std::size_t kInputMax = 16 << 20;  // far above any spec
    std::string all;
    char part[65536];
    while (true) {
      ssize_t got = ::read(STDIN_FILENO, part, sizeof part);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(Code::kUnavailable, "standard input cannot be read");
      if (got == 0) return all;
      all.append(part, static_cast<std::size_t>(got));
      if (all.size() > kInputMax) return fail(Code::kExhausted, "standard input is too large");
    }
  }

  std::optional<char> key(Duration wait) override {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    const auto limit = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
    if (::poll(&input, 1, static_cast<int>(limit)) <= 0) return std::nullopt;
    char pressed = 0;
    // Nobody is there to press anything any more.
    if (::read(STDIN_FILENO, &pressed, 1) != 1) return '\x04';
    return pressed;
  }

  Result<> run_editor(const std::string& path) override {
    std::string editor = env("VISUAL");
    if (editor.empty()) editor = env("EDITOR");
    if (editor.empty()) editor = "vi";
    // The shell, because EDITOR may hold arguments; the path comes as $1 and is never parsed.
    std::string command = editor + " \"$1\"";
    pid_t child = ::fork();
    if (child < 0) return fail(Code::kExhausted, "no process for the editor");
    if (child == 0) {
      ::execl("/bin/sh", "sh", "-c", command.c_str(), "sh", path.c_str(), nullptr);
      ::_exit(127);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    return fail(Code::kCancelled,
                fmt::format("'{}' ended with an error; set EDITOR to another", editor));
  }

  void set_interrupt_note(std::string_view note) override {
    g_note_size = 0;
    std::size_t size = std::min(note.size(), kNoteMax);
    std::memcpy(g_note, note.data(), size);
    g_note_size = size;
  }

 private:
  std::size_t size_or(unsigned short winsize::* member, std::size_t usual) const {
    if (!out_ && !err_) return 0;
    winsize size{};
    int fd = out_ ? STDOUT_FILENO : STDERR_FILENO;
    return ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.*member > 0 ? size.*member : usual;
  }
  static void hide_echo(int fd, const termios& before) {
    termios hidden = before;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    g_cooked = before;
    g_is_raw = true;
    ::tcsetattr(fd, TCSAFLUSH, &hidden);
  }
  bool out_ = ::isatty(STDOUT_FILENO) == 1;
  bool err_ = ::isatty(STDERR_FILENO) == 1;
  bool in_ = ::isatty(STDIN_FILENO) == 1;
};

}  // namespace

std::unique_ptr<Terminal> system_terminal() {
  return std::make_unique<SystemTerminal>();
}

bool wants_colours(const Terminal& terminal, bool is_terminal) {
  return is_terminal && terminal.env("NO_COLOR").empty() && terminal.env("TERM") != "dumb";
}

RawMode::RawMode() {
  if (::tcgetattr(STDIN_FILENO, &g_cooked) != 0) return;
  termios raw = g_cooked;
  ::cfmakeraw(&raw);
  g_is_raw = true;
  ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

RawMode::~RawMode() {
  restore_terminal();
}

}  // namespace chorok::cli
