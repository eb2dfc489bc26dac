#include "manager/http_options.h"

#include <gtest/gtest.h>

namespace chorok::manager {
namespace {

constexpr OptionSpec kSpecs[] = {{"state", "DIR", ""}, {"listen", "ADDR", ""}, {"verbose", "", ""}};

TEST(Options, AreReadBothWays) {
  const std::string_view args[] = {"run",      "--state", "/x",       "--listen=a",
                                   "--listen", "b",       "--verbose"};
  Options options = Options::parse(args, kSpecs).value();
  EXPECT_EQ(options.rest(), std::vector<std::string>{"run"});
  EXPECT_EQ(options.get("state"), "/x");
  EXPECT_EQ(options.all("listen"), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(options.has("verbose"));
  EXPECT_EQ(options.get("nothing", "else"), "else");
}

TEST(Options, SayWhatIsWrong) {
  const std::string_view typo[] = {"--stat", "x"};
  EXPECT_NE(Options::parse(typo, kSpecs).error().message.find("--state"), std::string::npos);
  const std::string_view missing[] = {"--state"};
  EXPECT_FALSE(Options::parse(missing, kSpecs));
  const std::string_view number[] = {"--state", "7x"};
  EXPECT_FALSE(Options::parse(number, kSpecs).value().number("state", 1, 0, 10));
}

TEST(Options, ListenAddresses) {
  EXPECT_EQ(parse_listen("0.0.0.0:8443").value().port, 8443);
  EXPECT_EQ(parse_listen("[::]:1").value().address, "::");
  for (const char* bad : {"", "8443", ":8443", "a:", "a:99999", "a:1x"})
    EXPECT_FALSE(parse_listen(bad)) << bad;
}

}  // namespace
}  // namespace chorok::manager
