#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>

namespace chorok {
namespace {

enum class Colour { kRed, kGreen };
const Type& enum_type(const Colour*) {
  static const Type kType = describe_enum<Colour>("Colour", "", {{0, "red", ""}, {1, "green", ""}});
  return kType;
}

struct Wheel {
  std::string name;
  Mib size{};
  static const Type& type() {
    static const Type kType =
        describe<Wheel>("Wheel", "Turns.")
            .field("name", &Wheel::name, "Its name.",
                   {.max_length = 8, .pattern = Pattern::kName, .required = true})
            .field("size", &Wheel::size, "How large.", {.min = 1, .max = 100});
    return kType;
  }
};

struct Car {
  bool fast = false;
  std::uint8_t doors = 4;
  double mass = 0;
  Colour colour = Colour::kRed;
  std::vector<Wheel> wheels;
  std::map<std::string, std::string> labels;
  std::optional<Wheel> spare;
  Time built{};
  Duration age{};
  std::string serial;
  std::string key;
  static const Type& type() {
    static const Type kType = describe<Car>("Car", "Drives.")
                                  .field("fast", &Car::fast, "")
                                  .field("doors", &Car::doors, "")
                                  .field("mass", &Car::mass, "")
                                  .field("colour", &Car::colour, "")
                                  .field("wheels", &Car::wheels, "", {.max_count = 3})
                                  .field("labels", &Car::labels, "")
                                  .field("spare", &Car::spare, "")
                                  .field("built", &Car::built, "")
                                  .field("age", &Car::age, "")
                                  .field("serial", &Car::serial, "", {.read_only = true})
                                  .field("key", &Car::key, "", {.secret = true});
    return kType;
  }
};

struct Garage {
  Car van = {.doors = 2, .wheels = {}, .labels = {}, .serial = {}, .key = {}};
  std::vector<Car> others;
  static const Type& type() {
    static const Type kType = describe<Garage>("Garage", "Holds.")
                                  .field("van", &Garage::van, "")
                                  .field("others", &Garage::others, "");
    return kType;
  }
};

Error error_of(std::string_view text, json::DecodeOptions options = {}) {
  auto decoded = json::decode<Car>(text, options);
  EXPECT_FALSE(decoded) << text;
  return decoded ? Error{} : decoded.error();
}

TEST(Json, WhatIsWrittenReadsBackTheSame) {
  Car car;
  car.fast = true;
  car.doors = 3;
  car.mass = 1.25;
  car.colour = Colour::kGreen;
  car.wheels = {{"a", Mib(1)}, {"b", Mib(2)}};
  car.labels = {{"owner", "na\"me\n"}};
  car.spare = Wheel{"s", Mib(7)};
  car.built = *json::parse_time("2026-11-21T22:24:48.123Z");
  car.age = from_seconds(1.5);
  car.key = "secret";
  std::string text = json::encode(car, {.secrets = true});
  auto back = json::decode<Car>(text, {.stored = true});
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(json::encode(*back, {.secrets = true}), text);
  EXPECT_EQ(json::encode(*back, {.pretty = true}).find("secret"), std::string::npos);
}

TEST(Json, EveryErrorNamesItsFieldByPointer) {
  EXPECT_EQ(error_of(R"({"wheels":[{"name":"a"},{"name":"b","size":0}]})").field, "/wheels/1/size");
  EXPECT_EQ(error_of(R"({"wheels":[{"size":1}]})").field, "/wheels/0/name");
  EXPECT_EQ(error_of(R"({"labels":{"a/b~c":3}})").field, "/labels/a~1b~0c");
  EXPECT_EQ(error_of(R"({"doors":256})").field, "/doors");
  EXPECT_EQ(error_of(R"({"doors":1.5})").field, "/doors");
  EXPECT_EQ(error_of(R"({"built":"yesterday"})").field, "/built");
  EXPECT_EQ(error_of(R"({"wheels":[{"name":"-x"}]})").field, "/wheels/0/name");
  EXPECT_EQ(error_of(R"({"wheels":[{"name":"123456789"}]})").field, "/wheels/0/name");
  EXPECT_EQ(error_of(R"({"wheels":[{},{},{},{}]})").field, "/wheels");
}

TEST(Json, UnknownNamesGetASuggestion) {
  EXPECT_NE(error_of(R"({"door":1})").message.find("did you mean 'doors'"), std::string::npos);
  EXPECT_NE(error_of(R"({"colour":"gren"})").message.find("did you mean 'green'"),
            std::string::npos);
}

TEST(Json, BrokenAndHostileTextIsRefused) {
  for (const char* text :
       {"", "{", "[]", "{} x", "{\"a\"", "nul", "{\"fast\":tru}", "\xff", "{\"key\":\"\\ud800\"}"})
    EXPECT_EQ(error_of(text).code, Code::kInvalid) << text;
  EXPECT_EQ(error_of(std::string(100, '[')).code, Code::kInvalid);
  EXPECT_EQ(error_of("{\"fast\": true}", {.max_bytes = 5}).code, Code::kExhausted);
}

// An infinity was written as null and read back as the default. Found by fuzz/json_fuzz.
TEST(Json, ANumberBeyondADoubleIsRefusedAndNotKeptAsInfinity) {
  for (const bool stored : {false, true}) {
    for (const char* text : {"{\"mass\": 1e999}", "{\"mass\": -66666666666e6650}"}) {
      EXPECT_EQ(error_of(text, {.stored = stored}).field, "/mass") << text;
    }
    EXPECT_EQ(error_of("{\"age\": 1e999}", {.stored = stored}).field, "/age");
  }
}

TEST(Json, WhatIsTooSmallToKeepIsZero) {
  for (const char* text : {"{\"mass\": -1e-999}", "{\"mass\": -0.0}", "{\"mass\": -0}"}) {
    const auto car = json::decode<Car>(text);
    ASSERT_TRUE(car) << text;
    EXPECT_EQ(car->mass, 0) << text;
    EXPECT_FALSE(std::signbit(car->mass)) << text;
  }
}

TEST(Json, ReadOnlyFieldsAreIgnoredAndStoredOnesAreTaken) {
  EXPECT_EQ(json::decode<Car>(R"({"serial":"x"})")->serial, "");
  EXPECT_EQ(json::decode<Car>(R"({"serial":"x","from_the_future":1})", {.stored = true})->serial,
            "x");
}

TEST(Json, MergeReplacesWhatIsPresentAndResetsNull) {
  Car car;
  car.mass = 5;
  car.labels = {{"a", "1"}, {"b", "2"}};
  car.spare = Wheel{"s", Mib(7)};
  ASSERT_TRUE(json::merge(Car::type(), &car,
                          R"({"mass":null,"labels":{"a":"3","b":null},"spare":{"size":9}})"));
  EXPECT_EQ(car.mass, 0);
  EXPECT_EQ(car.labels.at("a"), "3");
  EXPECT_FALSE(car.labels.contains("b"));
  EXPECT_EQ(car.spare->name, "s");
  EXPECT_EQ(car.spare->size, Mib(9));
}

TEST(Json, DefaultsAreThoseOfTheStruct) {
  Car car;
  EXPECT_EQ(json::encode(car, {.defaults = false}), "{}");
  car.doors = 0;
  std::string text = json::encode(car, {.defaults = false});
  EXPECT_EQ(text, R"({"doors":0})");
  EXPECT_EQ(json::decode<Car>(text)->doors, 0);
  ASSERT_TRUE(json::merge(Car::type(), &car, R"({"doors":null})"));
  EXPECT_EQ(car.doors, 4);
}

// A struct within another may have other defaults there than by itself: what is left out must be
// what whoever reads begins with.
TEST(Json, DefaultsOfAStructWithinAnotherAreTheOuterOnes) {
  Garage garage;
  EXPECT_EQ(json::encode(garage, {.defaults = false}), "{}");
  garage.van.doors = 4;  // as many as a car has that stands by itself
  const std::string text = json::encode(garage, {.defaults = false});
  EXPECT_EQ(text, R"({"van":{"doors":4}})");
  EXPECT_EQ(json::decode<Garage>(text)->van.doors, 4);
  ASSERT_TRUE(json::merge(Garage::type(), &garage, R"({"van":{"doors":null}})"));
  EXPECT_EQ(garage.van.doors, 2);
  // One in a list is by itself.
  garage.others.emplace_back();
  EXPECT_EQ(json::encode(garage, {.defaults = false}), R"({"others":[{}]})");
}

TEST(Json, TimesRoundTrip) {
  for (const char* text :
       {"2026-11-21T22:24:48.123Z", "1970-01-02T00:00:00.000Z", "2100-02-28T23:59:59.999Z", ""})
    EXPECT_EQ(json::format_time(*json::parse_time(text)), text);
  EXPECT_FALSE(json::parse_time("2026-13-21T22:24:48Z"));
  EXPECT_FALSE(json::parse_time("2026-11-21"));
}

TEST(Json, TheSchemaCarriesLimitsUnitsAndDocs) {
  std::string schema = json::schema(Wheel::type());
  EXPECT_NE(schema.find(R"("x-unit":"MiB")"), std::string::npos);
  EXPECT_NE(schema.find(R"("minimum":1)"), std::string::npos);
  EXPECT_NE(schema.find(R"("required":["name"])"), std::string::npos);
}

TEST(Json, TheSchemaSaysWhatAFieldIsWhenItIsLeftOut) {
  std::string schema = json::schema(Car::type());
  for (const char* part :
       {R"("fast":{"type":"boolean","default":false})", R"("default":4)", R"("default":"red")"})
    EXPECT_NE(schema.find(part), std::string::npos) << part << " in " << schema;
  for (const char* part :
       {R"("serial":{"type":"string","maxLength":256,"default")", R"("date-time","default")"})
    EXPECT_EQ(schema.find(part), std::string::npos) << part;
  std::string wheel = json::schema(Wheel::type());
  std::size_t name = wheel.find(R"("name":{)");
  ASSERT_NE(name, std::string::npos);
  // One that is required has no default.
  EXPECT_EQ(wheel.substr(name, wheel.find('}', name) - name).find("default"), std::string::npos);
}

TEST(Json, WhatIsNotJsonIsSaidWithAPointerToTheNearestValue) {
  auto where = [](std::string_view text) { return error_of(text).field; };
  EXPECT_EQ(where(R"({"wheels":[{"name":"a"},{"name":nul}]})"), "/wheels/1/name");
  EXPECT_EQ(where(R"({"wheels":[{"name":"a"},{"name":"b",,}]})"), "/wheels/1");
  EXPECT_EQ(where(R"({"age":1 "owner":"x"})"), "/age");
  EXPECT_EQ(where(R"({"wheels":[1,2)"), "/wheels/1");
  EXPECT_EQ(where(R"({"a/b":tru})"), "/a~1b");
  EXPECT_EQ(where(R"({"age)"), "");
  EXPECT_EQ(where(R"(nonsense)"), "");
  EXPECT_EQ(where("{\"a\xff\":x}"), "");
  EXPECT_EQ(where("{\"" + std::string(5000, 'k') + "\":x}"), "");
}

TEST(Json, SecondsAreTheDecimalNumberThatTheyWere) {
  for (int tenths = 0; tenths < 1000; ++tenths) {
    double value = tenths / 10.0;
    EXPECT_EQ(seconds(from_seconds(value)), value);
  }
  EXPECT_EQ(json::encode(from_seconds(0.3)), "0.3");
}

}  // namespace
}  // namespace chorok
