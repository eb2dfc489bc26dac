// Random values through every writer and back: what is written must be read as the same.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "cli/patch.h"
#include "cli/text.h"
#include "cli/value.h"
#include "cli/yaml.h"

namespace chorok::cli {
namespace {

class Maker {
 public:
  explicit Maker(std::uint64_t seed) : dice_(seed) {}

  Value value(int depth) {
    switch (roll(depth > 3 ? 6 : 8)) {
      case 0:
        return {};
      case 1:
        return roll(2) == 0;
      case 2:
        return static_cast<std::int64_t>(dice_() >> roll(64)) - (1 << 20);
      case 3:
        return static_cast<double>(static_cast<std::int64_t>(dice_())) / 1024.0 + 0.5;
      case 4:
      case 5:
        return text();
      case 6: {
        Value list = Value::list();
        for (std::size_t n = roll(4); n > 0; --n) list.push(value(depth + 1));
        return list;
      }
      default:
        return object(depth);
    }
  }

  Value object(int depth) {
    Value made = Value::object();
    for (std::size_t n = roll(5); n > 0; --n) made.member(text()) = value(depth + 1);
    return made;
  }

  std::string text() {
    constexpr std::array<std::string_view, 40> kParts = {
        "a",   "b c",  "1",    "0x1",  "1e5",  "-",  ":",    ": ", " #", "#",
        "\n",  "\n\n", "\t",   " ",    "'",    "\"", "\\",   "{",  "}",  "[",
        "]",   ",",    "&x",   "*x",   "!t",   "|",  ">",    "%",  "@",  "`",
        "yes", "off",  "null", "true", "초록", "…",  "\x01", "~",  "=",  "1:30"};
    std::string out;
    for (std::size_t n = roll(5); n > 0; --n) out += kParts[roll(kParts.size())];
    return out;
  }

  std::size_t roll(std::size_t sides) { return dice_() % sides; }

 private:
  std::mt19937_64 dice_;
};

constexpr std::uint64_t kSeeds = 3000;

TEST(Random, YamlAndJsonComeBack) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Value value = Maker(seed).value(0);
    auto json = parse_json(to_json(value, seed % 2 == 0));
    ASSERT_TRUE(json) << "seed " << seed;
    ASSERT_EQ(to_json(*json), to_json(value)) << "seed " << seed;
    auto yaml = parse_yaml(to_yaml(value));
    ASSERT_TRUE(yaml) << "seed " << seed << "\n" << to_yaml(value) << yaml.error().message;
    ASSERT_EQ(to_json(*yaml), to_json(value)) << "seed " << seed << "\n" << to_yaml(value);
  }
}

void apply(Value& into, const Value& patch);

void apply_object(Value& into, const Value& patch) {
  if (!into.is_object()) into = Value::object();
  apply(into, patch);
}

// RFC 7396, as the manager applies it.
void apply(Value& into, const Value& patch) {
  for (const Member& member : patch.members()) {
    if (member.value.is_null())
      into.remove(member.key);
    else if (member.value.is_object())
      apply_object(into.member(member.key), member.value);
    else
      into.member(member.key) = member.value;
  }
}

Value without_nulls(const Value& value) {
  if (!value.is_object()) return value;
  Value out = Value::object();
  for (const Member& member : value.members())
    if (!member.value.is_null()) out.member(member.key) = without_nulls(member.value);
  return out;
}

bool same(const Value& a, const Value& b) {
  if (!a.is_object() || !b.is_object()) return to_json(a) == to_json(b);
  if (a.members().size() != b.members().size()) return false;
  for (const Member& member : a.members())
    if (!b.find(member.key) || !same(member.value, *b.find(member.key))) return false;
  return true;
}

TEST(Random, PatchLeadsFromOneToTheOther) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Maker maker(seed);
    Value before = without_nulls(maker.object(0)), after = without_nulls(maker.object(0));
    if (maker.roll(2) == 0) {
      Value common = before;
      apply(common, after);
      after = common;
    }
    Value patched = before;
    apply(patched, merge_patch(before, after));
    ASSERT_TRUE(same(patched, after)) << "seed " << seed << "\n"
                                      << to_json(before) << "\n"
                                      << to_json(after) << "\n"
                                      << to_json(merge_patch(before, after));
  }
}

TEST(Random, ClippedTextFits) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Maker maker(seed);
    std::string text;
    for (int i = 0; i < 6; ++i) text += static_cast<char>(maker.roll(256));
    text += maker.text();
    std::size_t width = maker.roll(12);
    ASSERT_LE(display_width(clip(text, width)), width) << "seed " << seed;
    ASSERT_GE(display_width(pad(text, width)), width) << "seed " << seed;
    std::string shown = printable(text);
    for (char c : shown) ASSERT_GE(static_cast<unsigned char>(c), 0x20) << "seed " << seed;
  }
}

}  // namespace
}  // namespace chorok::cli
