#include "cli/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

namespace chorok::cli {
namespace {

struct Range {
  char32_t first, last;
};

// Unicode's East Asian Width W and F, and emoji, joined where what lies between is unassigned.
constexpr std::array kWide = {
    Range{0x1100, 0x115F},   Range{0x231A, 0x231B},   Range{0x23E9, 0x23EC},
    Range{0x25FD, 0x25FE},   Range{0x2614, 0x2615},   Range{0x2648, 0x2653},
    Range{0x26A1, 0x26A1},   Range{0x26BD, 0x26BE},   Range{0x2705, 0x2705},
    Range{0x270A, 0x270B},   Range{0x274C, 0x274C},   Range{0x2753, 0x2757},
    Range{0x2795, 0x2797},   Range{0x2B1B, 0x2B1C},   Range{0x2E80, 0x303E},
    Range{0x3041, 0x33FF},   Range{0x3400, 0x4DBF},   Range{0x4E00, 0x9FFF},
    Range{0xA000, 0xA4CF},   Range{0xA960, 0xA97F},   Range{0xAC00, 0xD7A3},
    Range{0xF900, 0xFAFF},   Range{0xFE30, 0xFE6F},   Range{0xFF00, 0xFF60},
    Range{0xFFE0, 0xFFE6},   Range{0x1F300, 0x1F64F}, Range{0x1F680, 0x1F6FF},
    Range{0x1F900, 0x1F9FF}, Range{0x20000, 0x3FFFD},
};
constexpr std::array kZero = {
    Range{0x0300, 0x036F}, Range{0x1160, 0x11FF}, Range{0x1AB0, 0x1AFF}, Range{0x1DC0, 0x1DFF},
    Range{0x200B, 0x200F}, Range{0x202A, 0x202E}, Range{0x2060, 0x206F}, Range{0x20D0, 0x20FF},
    Range{0xFE00, 0xFE0F}, Range{0xFE20, 0xFE2F}, Range{0xFEFF, 0xFEFF},
};

bool is_in(char32_t c, std::span<const Range> ranges) {
  auto it = std::ranges::upper_bound(ranges, c, {}, &Range::first);
  return it != ranges.begin() && c <= std::prev(it)->last;
}

constexpr char32_t kBroken = 0xFFFFFFFF;

struct Rune {
  char32_t code = kBroken;
  std::size_t bytes = 1;
};

// The first code point; one broken byte where it is no UTF-8.
Rune first_rune(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1};
  std::size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  char32_t code = lead & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xC0) != 0x80) return {};
    code = code << 6 | (next & 0x3F);
  }
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  bool valid = code >= kLeast[bytes] && code <= 0x10FFFF && !(code >= 0xD800 && code <= 0xDFFF);
  return valid ? Rune{code, bytes} : Rune{};
}

std::size_t width_of(char32_t code) {
  if (code == kBroken) return 1;
  if (code < 0x20 || is_in(code, kZero)) return 0;
  return is_in(code, kWide) ? 2 : 1;
}

// C0, C1 and the marks that turn the direction of what follows: none of them is text.
bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069) || code == kBroken;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    Rune rune = first_rune(text);
    width += width_of(rune.code);
    text.remove_prefix(rune.bytes);
  }
  return width;
}

std::string clip(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  std::size_t used = 0, bytes = 0;
  while (bytes < text.size()) {
    Rune rune = first_rune(text.substr(bytes));
    if (used + width_of(rune.code) > width - 1) break;
    used += width_of(rune.code);
    bytes += rune.bytes;
  }
  return std::string(text.substr(0, bytes)) + "…";
}

std::string pad(std::string_view text, std::size_t width, bool right_aligned) {
  std::size_t used = display_width(text);
  std::string spaces(used < width ? width - used : 0, ' ');
  return right_aligned ? spaces + std::string(text) : std::string(text) + spaces;
}

std::string printable(std::string_view text, bool keep_lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    Rune rune = first_rune(text);
    if (rune.code == '\n' || rune.code == '\t')
      out += keep_lines ? static_cast<char>(rune.code) : ' ';
    else if (is_control(rune.code))
      out += '?';
    else
      out += text.substr(0, rune.bytes);
    text.remove_prefix(rune.bytes);
  }
  return out;
}

std::string coloured(std::string_view text, Tone tone, bool colours) {
  if (!colours || tone == Tone::kPlain || text.empty()) return std::string(text);
  constexpr std::array<std::string_view, 6> kCodes = {"0", "32", "33", "31", "2", "1"};
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<std::size_t>(tone)], text);
}

Tone tone_of(std::string_view state) {
  constexpr std::array<std::string_view, 4> kGood = {"on", "connected", "succeeded", "enabled"};
  constexpr std::array<std::string_view, 9> kBusy = {"starting", "stopping", "paused",
                                                     "running",  "queued",   "draining",
                                                     "waking",   "warning",  "maintenance"};
  constexpr std::array<std::string_view, 5> kBad = {"crashed", "failed", "lost", "error",
                                                    "unknown"};
  constexpr std::array<std::string_view, 5> kFaint = {"off", "saved", "cancelled", "standby",
                                                      "asleep"};
  auto has = [&](auto& list) { return std::ranges::find(list, state) != list.end(); };
  if (has(kGood)) return Tone::kGood;
  if (has(kBusy)) return Tone::kBusy;
  if (has(kBad)) return Tone::kBad;
  return has(kFaint) ? Tone::kFaint : Tone::kPlain;
}

}  // namespace chorok::cli
