// Text on a terminal: how many columns it takes, how to cut it, how to colour it. Nothing that a
// server sends reaches the terminal as a control character.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace chorok::cli {

// Columns that UTF-8 text takes: 2 for Hangul, CJK and emoji, 0 for combining marks.
std::size_t display_width(std::string_view text);
// The longest beginning that fits, ended by "…" where something was cut.
std::string clip(std::string_view text, std::size_t width);
// `text` and spaces up to `width` columns.
std::string pad(std::string_view text, std::size_t width, bool right_aligned = false);
// Control characters and broken UTF-8 as '?'; line ends as spaces unless kept.
std::string printable(std::string_view text, bool keep_lines = false);

enum class Tone : std::uint8_t { kPlain, kGood, kBusy, kBad, kFaint, kStrong };
std::string coloured(std::string_view text, Tone tone, bool colours);
// What a state's name means to the eye: on is good, failed is bad.
Tone tone_of(std::string_view state);

}  // namespace chorok::cli
