#include "cli/bar.h"

#include <fmt/format.h>

namespace chorok::cli {

namespace {

constexpr std::size_t kCells = 30;
constexpr std::string_view kWipe = "\r\x1b[K";

}  // namespace

Bar::Bar(Session& session, std::string_view interrupted)
    : terminal_(session.terminal()),
      paints_(terminal_.err_is_terminal() && !session.options().quiet) {
  terminal_.set_interrupt_note(fmt::format("{}{}\n", paints_ ? kWipe : "", interrupted));
}

Bar::~Bar() {
  if (!shown_.empty()) terminal_.err(kWipe);
  terminal_.set_interrupt_note("");
}

void Bar::show(double share, const std::string& words) {
  if (!paints_) return;
  const auto full = static_cast<std::size_t>(share * kCells);
  std::string line(kWipe);
  for (std::size_t i = 0; i < kCells; ++i) line += i < full ? "█" : "░";
  line += " " + words;
  if (line == shown_) return;
  terminal_.err(line);
  shown_ = std::move(line);
}

}  // namespace chorok::cli
