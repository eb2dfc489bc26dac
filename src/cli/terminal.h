// Where the program speaks and listens: standard output and error, the person at the keyboard, the
// environment. Virtual, so that tests run whole commands and read what they said.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/units.h"

namespace chorok::cli {

class Terminal {
 public:
  virtual ~Terminal() = default;
  virtual void out(std::string_view text) = 0;
  virtual void err(std::string_view text) = 0;
  virtual bool out_is_terminal() const = 0;
  virtual bool err_is_terminal() const = 0;
  virtual bool in_is_terminal() const = 0;
  virtual std::size_t width() const = 0;                // columns; 0 when the output is no terminal
  virtual std::size_t height() const = 0;               // rows; 0 when the output is no terminal
  virtual std::string env(const char* name) const = 0;  // empty when unset
  virtual Time now() const = 0;
  // Asks on the terminal itself, without echo where it is secret.
  virtual Result<std::string> ask(std::string_view prompt, bool secret) = 0;
  virtual Result<std::string> read_all_input() = 0;
  // The next key that is pressed in that time; while a RawMode lives, without Enter.
  virtual std::optional<char> key(Duration wait) = 0;
  // Runs the person's editor on a file until it ends.
  virtual Result<> run_editor(const std::string& path) = 0;
  // What Ctrl-C says before it ends the program with 130.
  virtual void set_interrupt_note(std::string_view note) = 0;
};

std::unique_ptr<Terminal> system_terminal();

// Whether to colour: on a terminal, unless NO_COLOR is set or TERM is dumb.
bool wants_colours(const Terminal& terminal, bool is_terminal);

// Keys go to the guest as they are typed, until destroyed or until the program ends by a signal.
class RawMode {
 public:
  RawMode();  // does nothing when standard input is no terminal
  ~RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
};

}  // namespace chorok::cli
